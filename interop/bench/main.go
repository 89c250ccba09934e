// Command bench runs this project's stack, gVisor's netstack and lneto on the
// same work, and prints what each took, and the ratios.
//
//	go run ./bench                     # all, about two minutes
//	go run ./bench -rows 'bulk|udp'    # some rows
//	go run ./bench -json > bench.json
//
// Two stacks of a kind are joined by a link in memory: Ethernet frames, MTU
// 1500, checksums made and verified, no offload of any kind. The contestants
// take turns, a fraction of a second each, for several rounds; the table has
// the median of the rounds, and for the ratios the median of the ratio in each
// round. Time is CPU time of the whole process on one core, unless a row says otherwise:
// other work on the machine disturbs it less than the clock.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

func main() {
	only := flag.String("rows", "", "regular expression: the rows to run; see -list")
	list := flag.Bool("list", false, "list the rows")
	per := flag.Duration("for", 300*time.Millisecond, "time of each contestant in each round")
	rounds := flag.Int("rounds", 7, "rounds")
	asJSON := flag.Bool("json", false, "print JSON")
	with := flag.String("with", "", "regular expression: the columns to run beside ours; '^$' for none")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file; use it with -with '^$' and one row")
	flag.Parse()
	if err := run(*only, *list, *per, *rounds, *asJSON, *with, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// rowReport is a row and what came of it.
type rowReport struct {
	Key     string             `json:"key"`
	Title   string             `json:"title"`
	Unit    string             `json:"unit"`
	Bytes   int                `json:"unit_bytes,omitempty"`
	Clock   string             `json:"clock"`
	Results []result           `json:"results"`
	Ratios  map[string]float64 `json:"ratios"` // how many times the time of ours each other one takes
	Targets []verdict          `json:"targets"`
}

type verdict struct {
	Over   string  `json:"over"`
	Wanted float64 `json:"wanted"`
	Got    float64 `json:"got"`
	Met    bool    `json:"met"`
}

type report struct {
	Machine string      `json:"machine"`
	Go      string      `json:"go"`
	Modules []string    `json:"modules"`
	Rounds  int         `json:"rounds"`
	For     string      `json:"for"`
	Rows    []rowReport `json:"rows"`
	Sizes   []sizeRow   `json:"sizes,omitempty"`
}

func run(only string, list bool, per time.Duration, rounds int, asJSON bool, with, profile string) error {
	re, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	others, err := regexp.Compile(with)
	if err != nil {
		return fmt.Errorf("-with: %w", err)
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	rep := report{Machine: machine(), Go: runtime.Version(), Modules: modules(), Rounds: rounds, For: per.String()}
	if !asJSON && !list {
		fmt.Printf("%s, %s\n%s\n%d rounds of %s\n\n", rep.Machine, rep.Go, strings.Join(rep.Modules, ", "), rounds, per)
	}
	for _, r := range rows() {
		switch {
		case list:
			fmt.Printf("%-12s %s\n", r.key, r.title)
			continue
		case !re.MatchString(r.key):
			continue
		}
		r.entrants = slices.DeleteFunc(r.entrants, func(e entrant) bool { return e.name != ours && !others.MatchString(e.name) })
		out := r.run(rounds, per)
		rep.Rows = append(rep.Rows, out)
		if !asJSON {
			out.print(os.Stdout)
		}
	}
	if err := runSizes(&rep, re, others, list, asJSON); err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(rep)
	}
	return nil
}

func (r row) run(rounds int, per time.Duration) rowReport {
	out := rowReport{Key: r.key, Title: r.title, Unit: r.unit, Bytes: r.bytes, Clock: "cpu", Ratios: map[string]float64{}}
	if r.wall {
		out.Clock = "wall"
	}
	out.Results = measure(r.entrants, rounds, per, r.wall)
	for _, x := range out.Results[1:] {
		out.Ratios[x.Name] = ratio(out.Results[0], x, r.wall)
	}
	for _, t := range r.targets {
		if t.over == "" && len(out.Results[0].Rounds) > 0 {
			got := out.rate(out.Results[0])
			out.Targets = append(out.Targets, verdict{"a Mbit/s", t.times, got, got >= t.times})
		}
		if got, ok := out.Ratios[t.over]; ok && got > 0 {
			out.Targets = append(out.Targets, verdict{t.over, t.times, got, got >= t.times})
		}
	}
	return out
}

// rate is a result in Mbit/s, 0 if a unit has no bytes.
func (r rowReport) rate(x result) float64 {
	if r.Bytes == 0 || len(x.Rounds) == 0 {
		return 0
	}
	return float64(r.Bytes) * 8 * 1e3 / x.Median.time(r.Clock == "wall")
}

// modules are the versions of whom we run beside.
func modules() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var out []string
	for _, d := range info.Deps {
		switch d.Path {
		case "gvisor.dev/gvisor", "github.com/soypat/lneto":
			out = append(out, d.Path+" "+d.Version)
		}
	}
	return out
}

// machine says what the figures were taken on.
func machine() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name += ", " + strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores", name, runtime.NumCPU())
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/soypat/lneto/x/xnet"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"github.com/understudy-net/understudy/stack"
)

// size is what things that do nothing cost.
type size struct {
	Name       string  `json:"name"`
	Bytes      float64 `json:"heap_bytes"`
	Objects    float64 `json:"heap_objects"`
	Goroutines float64 `json:"goroutines"`
	Make       float64 `json:"make_ns"`
	Note       string  `json:"note,omitempty"`
	Failure    string  `json:"failure,omitempty"`
}

type sizeRow struct {
	Key     string `json:"key"`
	Title   string `json:"title"`
	Results []size `json:"results"`
	Target  string `json:"target"`
	Met     bool   `json:"met"`
}

// sizeOf makes things and says what each of per things costs: build returns
// what must stay alive, and how to end it.
func sizeOf(name string, per int, build func() (keep any, end func(), err error)) size {
	settle()
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	g0 := runtime.NumGoroutine()
	start := time.Now()
	keep, end, err := build()
	took := time.Since(start)
	if err != nil {
		return size{Name: name, Failure: err.Error()}
	}
	settle()
	runtime.ReadMemStats(&m1)
	g1 := runtime.NumGoroutine()
	runtime.KeepAlive(keep)
	if end != nil {
		end()
	}
	n := float64(per)
	return size{Name: name, Bytes: float64(int64(m1.HeapAlloc)-int64(m0.HeapAlloc)) / n,
		Objects:    float64(int64(m1.HeapObjects)-int64(m0.HeapObjects)) / n,
		Goroutines: float64(g1-g0) / n, Make: float64(took) / n}
}

// settle lets what is going on in the background come to an end: delayed ACKs,
// TIME-WAITs, two collections.
func settle() {
	time.Sleep(100 * time.Millisecond)
	runtime.GC()
	runtime.GC()
}

const idleConns = 4000

func oursIdleConns() size {
	p, err := newPair()
	if err != nil {
		return size{Name: ours, Failure: err.Error()}
	}
	ln, err := p.listen(80, 16)
	if err != nil {
		return size{Name: ours, Failure: err.Error()}
	}
	ends := make([][2]stack.TCP, 0, idleConns) // the user's own
	return sizeOf(ours, 2*idleConns, func() (any, func(), error) {
		var buf [16]byte
		for range idleConns {
			a, b, err := p.connect(ln)
			if err != nil {
				return nil, nil, err
			}
			if _, err := a.Write(p.now, buf[:]); err != nil { // used, and idle again
				return nil, nil, err
			}
			p.run()
			b.Read(p.now, buf[:])
			p.now = p.now.Add(100 * time.Millisecond) // the delayed ACK
			p.stacks[1].Advance(p.now)
			p.run()
			p.drain()
			ends = append(ends, [2]stack.TCP{a, b})
		}
		return ends, nil, p.lost()
	})
}

func gvisorIdleConns() size {
	p, err := newGvisorPair()
	if err != nil {
		return size{Name: "gvisor", Failure: err.Error()}
	}
	ln, err := gonet.ListenTCP(p.stacks[1], gvisorAddr(80), ipv4.ProtocolNumber)
	if err != nil {
		return size{Name: "gvisor", Failure: err.Error()}
	}
	const n = idleConns / 4
	keep := make([]io.Closer, 0, 2*n)
	return sizeOf("gvisor", 2*n, func() (any, func(), error) {
		var buf [16]byte
		for range n {
			a, b, err := p.connect(ln, 80)
			if err != nil {
				return nil, nil, err
			}
			if _, err := a.Write(buf[:]); err != nil {
				return nil, nil, err
			}
			if _, err := b.Read(buf[:]); err != nil {
				return nil, nil, err
			}
			keep = append(keep, a, b)
		}
		return keep, func() {
			for _, c := range keep {
				c.Close()
			}
			p.close()
		}, nil
	})
}

// lnetoIdleConns leaves out the buffers, which lneto's user gives and which a connection keeps all its life.
func lnetoIdleConns() size {
	const n, buffer = 500, 128
	p, err := newLnetoPair(n)
	if err != nil {
		return size{Name: "lneto", Failure: err.Error()}
	}
	keep := make([]any, 0, 2*n)
	s := sizeOf("lneto", 2*n, func() (any, func(), error) {
		for i := range uint16(n) {
			a, b, err := p.connect(2000+i, 3000+i, buffer, 4)
			if err != nil {
				return nil, nil, err
			}
			keep = append(keep, a, b)
		}
		return keep, nil, nil
	})
	s.Bytes -= 2 * buffer
	s.Note = "and the buffers that the user gives"
	return s
}

func oursStacks() size {
	const n = 500
	return sizeOf(ours, n, func() (any, func(), error) {
		all := make([]*stack.Stack, n)
		for i := range all {
			s, err := newStack(0, func(time.Time, []byte) {}, nil)
			if err != nil {
				return nil, nil, err
			}
			s.Advance(time.Now())
			for s.Pending() {
				s.NextEvent()
			}
			if !s.Addr().IsValid() {
				return nil, nil, errors.New("no address")
			}
			all[i] = s
		}
		return all, nil, nil
	})
}

func gvisorStacks() size {
	const n = 200
	p := &gvisorPair{}
	return sizeOf("gvisor", n, func() (any, func(), error) {
		ends := make([]*gvisorPair, n)
		for i := range ends {
			link, _ := newWire(&p.sent)
			s, err := newGvisor(ethernet.New(link), [4]byte{10, 0, 0, 1})
			if err != nil {
				return nil, nil, err
			}
			ends[i] = &gvisorPair{}
			ends[i].stacks[0] = s
		}
		return ends, func() {
			for _, p := range ends {
				p.stacks[0].Destroy()
			}
		}, nil
	})
}

func lnetoStacks() size {
	const n = 500
	return sizeOf("lneto", n, func() (any, func(), error) {
		all := make([]*xnet.StackAsync, n)
		for i := range all {
			s := new(xnet.StackAsync)
			err := s.Reset(xnet.StackConfig{Hostname: "h1", RandSeed: 1, StaticAddress4: [4]byte{10, 0, 0, 1},
				HardwareAddress: [6]byte{2, 0, 0, 0, 0, 1}, MaxActiveTCPPorts: 4, MaxActiveUDPPorts: 4, MTU: mtu})
			if err != nil {
				return nil, nil, err
			}
			all[i] = s
		}
		return all, nil, nil
	})
}

// runSizes does the rows about size.
func runSizes(rep *report, only, others *regexp.Regexp, list, asJSON bool) error {
	for _, r := range []struct {
		key, title, target string
		ok                 func(size) bool
		make               []func() size
	}{
		{"idle-conn", "an idle established connection, one end", "at most 600 B of heap",
			func(s size) bool { return s.Bytes <= 600 }, []func() size{oursIdleConns, gvisorIdleConns, lnetoIdleConns}},
		{"idle-stack", "an idle stack with an address", "at most 2 KB of heap, no goroutine, made in 10 µs",
			func(s size) bool { return s.Bytes <= 2048 && s.Goroutines == 0 && s.Make <= 10e3 }, []func() size{oursStacks, gvisorStacks, lnetoStacks}},
	} {
		if list {
			fmt.Printf("%-12s %s\n", r.key, r.title)
			continue
		}
		if !only.MatchString(r.key) {
			continue
		}
		row := sizeRow{Key: r.key, Title: r.title, Target: r.target}
		names := []string{ours, "gvisor", "lneto"}
		for i, m := range r.make {
			if i == 0 || others.MatchString(names[i]) {
				row.Results = append(row.Results, m())
			}
		}
		row.Met = row.Results[0].Failure == "" && r.ok(row.Results[0])
		rep.Sizes = append(rep.Sizes, row)
		if !asJSON {
			row.print(os.Stdout)
		}
	}
	return nil
}

func (r sizeRow) print(w io.Writer) {
	fmt.Fprintf(w, "%s  [%s]\n", r.Title, r.Key)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\theap\tobjects\tgoroutines\tmade in\t")
	for _, s := range r.Results {
		if s.Failure != "" {
			fmt.Fprintf(tw, "%s\tfailed: %s\t\t\t\t\n", s.Name, s.Failure)
			continue
		}
		fmt.Fprintf(tw, "%s\t%.0f B\t%.1f\t%.2f\t%s\t  %s\n", s.Name, s.Bytes, s.Objects, s.Goroutines, nanos(s.Make), s.Note)
	}
	tw.Flush()
	word := "met"
	if !r.Met {
		word = "MISSED"
	}
	fmt.Fprintf(w, "  target %s: %s\n\n", r.Target, word)
}

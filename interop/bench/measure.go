package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// work is one contestant's part of a row, set up and ready.
type work struct {
	// run does n units. It returns when all are done and checked.
	run func(n int) error
	// packets, if not nil, counts those on the link since set-up.
	packets func() uint64
	// note, if not nil, says something worth knowing after all rounds.
	note  func() string
	close func()
}

// entrant is one column of a row.
type entrant struct {
	name  string
	procs int // GOMAXPROCS while it works; 0: 1
	make  func() (*work, error)
}

// sample is what one round of one entrant took, for each unit.
type sample struct {
	CPU     float64 `json:"cpu_ns"`  // of the whole process, user and system
	Wall    float64 `json:"wall_ns"` // by the clock
	Allocs  float64 `json:"allocs"`
	Bytes   float64 `json:"alloc_bytes"`
	Packets float64 `json:"packets,omitempty"`
}

// result is what all rounds of one entrant came to.
type result struct {
	Name    string   `json:"name"`
	Median  sample   `json:"median"`
	Spread  float64  `json:"spread"` // half the distance of the quartiles of the time that counts, by the median
	Rounds  []sample `json:"rounds"`
	Units   int      `json:"units_per_round"`
	Note    string   `json:"note,omitempty"`
	Failure string   `json:"failure,omitempty"`
}

// contest is an entrant with its work during the rounds of a row.
type contest struct {
	entrant
	work *work
	n    int
	res  result
}

// measure lets the entrants work in turn, rounds times, each for about d.
func measure(entrants []entrant, rounds int, d time.Duration, wall bool) []result {
	cs := make([]*contest, len(entrants))
	for i, e := range entrants {
		cs[i] = &contest{entrant: e, res: result{Name: e.name}}
		cs[i].prepare(d)
	}
	for round := range rounds {
		for i := range cs {
			c := cs[(i+round)%len(cs)]
			if c.res.Failure != "" {
				continue
			}
			s, err := c.sample(c.n)
			if err != nil {
				c.res.Failure = err.Error()
				continue
			}
			c.res.Rounds = append(c.res.Rounds, s)
		}
	}
	out := make([]result, len(cs))
	for i, c := range cs {
		c.finish(wall)
		out[i] = c.res
	}
	return out
}

// prepare sets the entrant up, lets it warm up, and finds out how many units
// take about d.
func (c *contest) prepare(d time.Duration) {
	defer c.failed()
	prev := runtime.GOMAXPROCS(max(1, c.procs))
	defer runtime.GOMAXPROCS(prev)
	w, err := c.make()
	if err != nil {
		c.res.Failure = err.Error()
		return
	}
	c.work = w
	for n := 16; ; n *= 2 {
		start := time.Now()
		if err := w.run(n); err != nil {
			c.res.Failure = err.Error()
			return
		}
		if took := time.Since(start); took > d/8 || n >= 1<<26 {
			c.n = max(1, int(float64(n)*float64(d)/float64(took)))
			c.res.Units = c.n
			return
		}
	}
}

// failed turns a panic, of a foreign stack for example, into a failure of the entrant.
func (c *contest) failed() {
	if p := recover(); p != nil {
		c.res.Failure = fmt.Sprint("panic: ", p)
	}
}

func (c *contest) sample(n int) (s sample, err error) {
	defer c.failed()
	prev := runtime.GOMAXPROCS(max(1, c.procs))
	defer runtime.GOMAXPROCS(prev)
	runtime.GC()                                     // what others left is no concern of this one
	if err := c.work.run(max(1, n/20)); err != nil { // the caches are its own again
		return s, err
	}
	var m0, m1 runtime.MemStats
	var packets uint64
	if c.work.packets != nil {
		packets = c.work.packets()
	}
	runtime.ReadMemStats(&m0)
	start, cpu := time.Now(), cpuTime()
	err = c.work.run(n)
	took, used := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&m1)
	if c.work.packets != nil {
		packets = c.work.packets() - packets
	}
	per := 1 / float64(n)
	return sample{
		CPU: float64(used) * per, Wall: float64(took) * per,
		Allocs: float64(m1.Mallocs-m0.Mallocs) * per, Bytes: float64(m1.TotalAlloc-m0.TotalAlloc) * per,
		Packets: float64(packets) * per,
	}, err
}

func (c *contest) finish(wall bool) {
	if c.work != nil {
		if c.work.note != nil && c.res.Failure == "" {
			c.res.Note = c.work.note()
		}
		if c.work.close != nil {
			c.work.close()
		}
	}
	r := c.res.Rounds
	if len(r) == 0 {
		return
	}
	field := func(f func(s sample) float64) float64 { return median(r, f) }
	c.res.Median = sample{
		CPU: field(func(s sample) float64 { return s.CPU }), Wall: field(func(s sample) float64 { return s.Wall }),
		Allocs: field(func(s sample) float64 { return s.Allocs }), Bytes: field(func(s sample) float64 { return s.Bytes }),
		Packets: field(func(s sample) float64 { return s.Packets }),
	}
	c.res.Spread = spread(r, func(s sample) float64 { return s.time(wall) })
}

// time is the time that counts in a row.
func (s sample) time(wall bool) float64 {
	if wall {
		return s.Wall
	}
	return s.CPU
}

func sorted(r []sample, f func(sample) float64) []float64 {
	v := make([]float64, len(r))
	for i := range r {
		v[i] = f(r[i])
	}
	slices.Sort(v)
	return v
}

func median(r []sample, f func(sample) float64) float64 {
	v := sorted(r, f)
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

func spread(r []sample, f func(sample) float64) float64 {
	v := sorted(r, f)
	return (v[len(v)*3/4] - v[len(v)/4]) / 2 / max(v[len(v)/2], 1e-9)
}

// ratio is how many times longer b takes than a: the median over the rounds
// that both did, since what disturbs the machine disturbs a round of both alike.
func ratio(a, b result, wall bool) float64 {
	n := min(len(a.Rounds), len(b.Rounds))
	v := make([]float64, n)
	for i := range n {
		v[i] = b.Rounds[i].time(wall) / a.Rounds[i].time(wall)
	}
	if n == 0 {
		return 0
	}
	slices.SortFunc(v, cmp.Compare[float64])
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

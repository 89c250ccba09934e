package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/understudy-net/understudy/device"
)

// How often run looks at its device, and how long something must be pending without any change before it says so.
const (
	watchEvery = 250 * time.Millisecond
	watchQuiet = 2 * time.Second
)

// watch tells what the device is doing and waits for: when the user asks (see notifyStuck), and by itself
// when nothing has moved for two seconds while something was pending.
func (m *machine) watch(ctx context.Context, asked <-chan os.Signal) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var q quiet
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			l := m.look()
			m.report(l.text(false))
		case now := <-tick.C:
			s := m.snapshot()
			m.mu.Lock()
			m.pending.see(now, s.Stuck)
			m.mu.Unlock()
			if q.stuck(now, s.Stuck) {
				m.report("nothing has moved for 2 s:\n" + list(s.Stuck))
			}
		}
	}
}

func (m *machine) snapshot() device.Snapshot {
	m.w.Lock()
	defer m.w.Unlock()
	return m.device.Snapshot()
}

// quiet notices when the same things stay pending. Lines hold counts, so they change when anything moves.
type quiet struct {
	lines []string
	since time.Time
	told  bool
}

// stuck reports, once for each set of lines, that it has not changed for watchQuiet.
func (q *quiet) stuck(now time.Time, lines []string) bool {
	if !slices.Equal(q.lines, lines) {
		*q = quiet{lines: lines, since: now}
	}
	if len(lines) == 0 || q.told || now.Sub(q.since) < watchQuiet {
		return false
	}
	q.told = true
	return true
}

func list(lines []string) string { return "  " + strings.Join(lines, "\n  ") + "\n" }

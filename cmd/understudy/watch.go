package main

import (
	"context"
	"fmt"
	"io"
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

// watch tells what the device waits for, and for whom: when the user asks (see notifyStuck), and by itself
// when nothing has moved for two seconds while something was pending.
func (m *machine) watch(ctx context.Context, out io.Writer, asked <-chan os.Signal) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var q quiet
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			m.report(out, describeDevice(m.snapshot()))
		case now := <-tick.C:
			if s := m.snapshot(); q.stuck(now, s.Stuck) {
				m.report(out, "nothing has moved for 2 s:\n"+list(s.Stuck))
			}
		}
	}
}

func (m *machine) snapshot() device.Snapshot {
	m.w.Lock()
	defer m.w.Unlock()
	return m.device.Snapshot()
}

// report writes whole lines among those of -v.
func (m *machine) report(out io.Writer, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	io.WriteString(out, text) // there is nobody to tell about lost lines
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

// describeDevice is the answer to a user who asks.
func describeDevice(s device.Snapshot) string {
	text := fmt.Sprintf("device: %s", s.Power)
	if s.Host != 0 {
		text += fmt.Sprintf(", firmware %v, host driver %v, %s", s.Flash.Running, s.Host, s.Link)
	}
	if s.Addr.IsValid() {
		text += fmt.Sprintf(", %v", s.Addr)
	}
	text += fmt.Sprintf("; %d requests, %d messages\n", s.Counters.Requests, s.Counters.Messages)
	if len(s.Stuck) == 0 {
		return text + "  nothing is pending\n"
	}
	return text + list(s.Stuck)
}

func list(lines []string) string { return "  " + strings.Join(lines, "\n  ") + "\n" }

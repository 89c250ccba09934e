package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/spi"
)

// trace writes what passes on a bus to a file, as text that a bus.Player can
// play. Lines for which the disk is too slow are left out, which the file says.
type trace struct{ out *behind }

// tracedLines is how many lines may wait for the disk.
const tracedLines = 2048

// startTrace puts a tap on a bus that writes to the file at path. With "" it
// returns the bus as it is.
func startTrace(path string, p bus.Port) (bus.Port, *trace, error) {
	if path == "" {
		return p, nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--trace: %w", err)
	}
	t := newTrace(f)
	return bus.NewTap(p, bus.TapConfig{Line: t.line, Now: time.Now, Bytes: spi.MaxDecoded}), t, nil
}

func newTrace(f io.WriteCloser) *trace {
	return &trace{newBehind(f, tracedLines, func(n int) string {
		return fmt.Sprintf("# %d lines are missing here: the file was written too slowly\n", n)
	})}
}

// line queues a line. It never waits.
func (t *trace) line(s string) { t.out.Write([]byte(s + "\n")) }

// Close writes what is waiting and returns what went wrong. A nil trace is none.
func (t *trace) Close() error {
	if t == nil {
		return nil
	}
	switch lost, err := t.out.Close(); {
	case err != nil:
		return fmt.Errorf("--trace: %w", err)
	case lost > 0:
		return fmt.Errorf("--trace: the last %d lines are missing: the file is written too slowly", lost)
	}
	return nil
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/spi"
)

// trace writes what passes on a bus to a file, as text that a bus.Player can
// play. A goroutine of its own writes, so that a slow disk does not hold up the
// bus: lines that it cannot keep up with are left out, which the file says.
type trace struct {
	lines chan string
	done  chan error

	mu     sync.Mutex
	closed bool
	lost   int
}

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
	t := &trace{lines: make(chan string, tracedLines), done: make(chan error, 1)}
	go t.write(f)
	return t
}

// line queues a line. It never waits.
func (t *trace) line(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.lost > 0 {
		select {
		case t.lines <- fmt.Sprintf("# %d lines are missing here: the file was written too slowly", t.lost):
			t.lost = 0
		default:
		}
	}
	select {
	case t.lines <- s:
	default:
		t.lost++
	}
}

// write writes lines as they come, and to the disk whenever none is waiting.
func (t *trace) write(f io.WriteCloser) {
	w := bufio.NewWriterSize(f, 64<<10)
	var failed error
	for s := range t.lines {
		if failed != nil {
			continue
		}
		w.WriteString(s) // a failure shows at the end of the line
		failed = w.WriteByte('\n')
		if failed == nil && len(t.lines) == 0 {
			failed = w.Flush()
		}
	}
	if failed == nil {
		failed = w.Flush()
	}
	if err := f.Close(); failed == nil {
		failed = err
	}
	t.done <- failed
}

// Close writes what is waiting and returns what went wrong. A nil trace is none.
func (t *trace) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	t.closed = true
	lost := t.lost
	close(t.lines)
	t.mu.Unlock()
	switch err := <-t.done; {
	case err != nil:
		return fmt.Errorf("--trace: %w", err)
	case lost > 0:
		return fmt.Errorf("--trace: the last %d lines are missing: the file is written too slowly", lost)
	}
	return nil
}

package main

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

// behind is an io.Writer that never waits: what is written waits in a bounded queue, and a goroutine of its own passes it on.
// So a slow disk, a full pipe or a stopped terminal does not hold up the machine, whose lock may be held by the writer.
type behind struct {
	pieces chan []byte
	done   chan error

	// missing tells the reader, in the place of n pieces that found no room, that they are missing. Nil: such a piece is an
	// error, errSlow, for formats that cannot have holes.
	missing func(n int) string

	mu     sync.Mutex
	closed bool
	lost   int // since the reader was told last
}

var errSlow = errors.New("the file is written too slowly, and ends too early")

// newBehind writes to f, which then belongs to it. n is how many pieces may wait.
func newBehind(f io.WriteCloser, n int, missing func(n int) string) *behind {
	b := &behind{pieces: make(chan []byte, n), done: make(chan error, 1), missing: missing}
	go b.pass(f)
	return b
}

// Write queues a copy of p, which is one piece. After Close it does nothing.
func (b *behind) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return len(p), nil
	}
	if b.lost > 0 && b.queue([]byte(b.missing(b.lost))) {
		b.lost = 0
	}
	switch {
	case b.queue(append([]byte(nil), p...)):
	case b.missing == nil:
		return 0, errSlow
	default:
		b.lost++
	}
	return len(p), nil
}

func (b *behind) queue(p []byte) bool {
	select {
	case b.pieces <- p:
		return true
	default:
		return false
	}
}

// pass writes pieces as they come, and has them all on their way whenever none is waiting.
func (b *behind) pass(f io.WriteCloser) {
	w := bufio.NewWriterSize(f, 64<<10)
	for p := range b.pieces {
		w.Write(p) // a failure stays, and Flush says it
		if len(b.pieces) == 0 {
			w.Flush()
		}
	}
	failed := w.Flush()
	if err := f.Close(); failed == nil {
		failed = err
	}
	b.done <- failed
}

// Close waits until all is written, and returns what went wrong, and how many pieces are missing at the end.
func (b *behind) Close() (lost int, err error) {
	b.mu.Lock()
	b.closed = true
	lost = b.lost
	close(b.pieces)
	b.mu.Unlock()
	return lost, <-b.done
}

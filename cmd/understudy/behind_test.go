package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// slowFile takes nothing before it is told to.
type slowFile struct {
	strings.Builder
	gate   chan struct{}
	fail   error
	closed bool
}

func (f *slowFile) Write(p []byte) (int, error) {
	<-f.gate
	if f.fail != nil {
		return 0, f.fail
	}
	return f.Builder.Write(p)
}

func (f *slowFile) Close() error {
	f.closed = true
	return nil
}

// A disk that does not keep up costs lines, and the file says how many.
func TestTraceNeverWaits(t *testing.T) {
	f := &slowFile{gate: make(chan struct{})}
	tr := newTrace(f)
	const sent = 3 * tracedLines
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for j := range sent / 3 {
				tr.line(fmt.Sprintf("%d %0100d", i, j))
			}
		})
	}
	wg.Wait() // although nothing was written
	close(f.gate)
	for len(tr.out.pieces) > 0 { // until there is room
	}
	tr.line("the end")
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	tr.line("too late")
	written, lost, last := 0, 0, ""
	for l := range strings.Lines(f.String()) {
		n := 0
		if _, err := fmt.Sscanf(l, "# %d lines are missing", &n); err != nil {
			written++
		}
		lost += n
		last = l
	}
	if last != "the end\n" || written-1+lost != sent || lost < sent-tracedLines-1000 || !f.closed {
		t.Errorf("%d lines written, %d lost, of %d; last %q; closed %v", written, lost, sent, last, f.closed)
	}
}

func TestTraceTellsFailures(t *testing.T) {
	full := errors.New("disk full")
	f := &slowFile{gate: make(chan struct{}), fail: full}
	close(f.gate)
	tr := newTrace(f)
	for range 3 * tracedLines {
		tr.line(strings.Repeat("x", 100))
	}
	if err := tr.Close(); !errors.Is(err, full) || !strings.HasPrefix(err.Error(), "--trace: ") || !f.closed {
		t.Error(err)
	}
	if err := (*trace)(nil).Close(); err != nil {
		t.Error(err)
	}
}

// What cannot have holes ends with an error at the first piece that finds no room.
func TestBehindWithoutHoles(t *testing.T) {
	f := &slowFile{gate: make(chan struct{})}
	b := newBehind(f, 2, nil)
	var err error
	n := 0
	for ; err == nil && n < 10; n++ {
		_, err = b.Write([]byte("piece"))
	}
	if !errors.Is(err, errSlow) || n > 4 {
		t.Errorf("%v after %d", err, n)
	}
	close(f.gate)
	if lost, err := b.Close(); lost != 0 || err != nil || f.String() != strings.Repeat("piece", n-1) {
		t.Errorf("%q, %d lost, %v", f.String(), lost, err)
	}
}

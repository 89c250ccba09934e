package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// Ctrl-C sends the stations away, which is shown, and is no failure.
func TestAPEndsAtCtrlC(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"ap", "--with-station"}, stdio{out: w, err: &stderr})
		w.Close()
	}()
	var lines []string
	for in := bufio.NewScanner(r); in.Scan(); {
		lines = append(lines, in.Text())
		if strings.Contains(in.Text(), "pings") {
			interrupt()
		}
	}
	if c := <-code; c != exitOK || stderr.Len() > 0 {
		t.Errorf("exit code %d, %s", c, &stderr)
	}
	if n := len(lines); n < 7 || !strings.HasSuffix(lines[n-2], " left") || !strings.HasSuffix(lines[n-1], "1 station has joined") {
		t.Errorf("%q", lines)
	}
}

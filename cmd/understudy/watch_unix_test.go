//go:build unix

package main

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGUSR1 asks what the device waits for; a host that stops half-way through its boot is told by itself after 2 s.
func TestRunSaysWhoOwesTheNextStep(t *testing.T) {
	r, w := io.Pipe()
	m, err := newMachine(&options{uplink: "none", ssid: defaultSSID, profile: "winc1500-19.7.7"}, w)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	lines := make(chan string, 8)
	go func() {
		b := make([]byte, 1024)
		for {
			n, err := r.Read(b)
			if err != nil {
				return
			}
			lines <- string(b[:n])
		}
	}()
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	asked, stop := notifyStuck()
	defer stop()
	go func() { m.watch(ctx, asked); close(done) }()
	defer func() { cancel(); <-done }()

	next := func() string {
		t.Helper()
		select {
		case l := <-lines:
			return l
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was said")
		}
		return ""
	}
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	if l := next(); !strings.Contains(l, "boot ROM") || !strings.Contains(l, "nothing is pending") {
		t.Errorf("asked: %q", l)
	}
	m.port.Tx([]byte{0xca, 0, 0x10, 0, 0xca}, nil) // a host reads the chip id, and no more
	if l := next(); !strings.HasPrefix(l, "nothing has moved for 2 s:\n  host: ") {
		t.Errorf("not asked: %q", l)
	}
}

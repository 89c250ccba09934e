package remote

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serveInspecting runs a server in a bubble whose device says what text returns.
func serveInspecting(t *testing.T, text func() []byte, f func(t *testing.T, l *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newPipes()
		served := make(chan error, 1)
		go func() { served <- (&Server{Port: newChip(), Inspect: text}).Serve(ctx, l) }()
		f(t, l)
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// Who looks at the device needs no bus and takes none from a host.
func TestInspectBesideAHost(t *testing.T) {
	n := 0
	serveInspecting(t, func() []byte { n++; return bytes.Repeat([]byte{'a'}, n) }, func(t *testing.T, l *pipes) {
		look := func(want string) {
			t.Helper()
			conn := l.dial()
			defer conn.Close()
			if got, err := inspect(conn); err != nil || string(got) != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		}
		look("a")
		waiting := l.dial() // somebody who has not said yet that it wants the bus
		defer waiting.Close()
		host := dial(t, l)
		defer host.Close()
		look("aa")
		if err := host.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		if _, err := NewClient(t.Context(), l.dial()); !errors.Is(err, ErrBusy) {
			t.Errorf("a second host: %v", err)
		}
		look("aaa")
	})
}

func TestInspectIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text func() []byte
		want string
	}{
		"nothing to see": {nil, "does not show its device"},
		"too much":       {func() []byte { return make([]byte, MaxTransfer+1) }, "too much to show"},
	} {
		serveInspecting(t, c.text, func(t *testing.T, l *pipes) {
			conn := l.dial()
			defer conn.Close()
			if _, err := inspect(conn); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// What other servers say is an error, not a look at a device.
func TestInspectOfServersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		says []byte
		want error
	}{
		"an older server": {appendFrame(nil, kindRefuse, 0, append([]byte{byte(reasonVersion)}, "HELLO first"...)...), ErrRefused},
		"HELLO":           {appendFrame(nil, kindHello|answer, 0, 1, 0, 0, 0, 0, 0, 4, 0), ErrRefused},
		"an error":        {appendFrame(nil, kindInspect|answer, flagError, 'x'), ErrRefused},
		"nothing":         {nil, ErrGone},
		"half a frame":    {appendFrame(nil, kindInspect|answer, 0, 1, 2, 3)[:10], ErrGone},
		"a long frame":    {appendFrame(nil, kindInspect|answer, 0, make([]byte, MaxTransfer+1)...), ErrGone},
	} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				newReader(there).next(helloLen)
				there.Write(c.says)
			}()
			defer here.Close()
			if text, err := inspect(here); !errors.Is(err, c.want) {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		})
	}
}

func TestInspectOverAUnixSocket(t *testing.T) {
	path := serveUnix(t, newChip())
	if _, err := Inspect(t.Context(), "unix", path); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	l, err := net.Listen("unix", path+"2") // hears and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Inspect(ctx, "unix", path+"2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := Inspect(t.Context(), "unix", path+"3"); err == nil {
		t.Error("nobody is there")
	}
}

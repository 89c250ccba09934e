// Package overbus is for tests: it puts a bus socket, with the server and the
// client of package remote, between a device and its driver, so that a test
// that is meant for both ends of a bus in memory can run again with the two as
// far apart as two processes.
//
//	b := understudytest.NewConfig(t, understudytest.Config{Bus: overbus.Pipe(t)})
//
// Both forms have goroutines that wait for each other, so they are for benches
// on the wall clock, and not for virtual worlds, where only actors wait. [Pipe]
// is for those in a bubble of testing/synctest, whose time is virtual too.
package overbus

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/remote"
)

// Pipe returns a function that serves a bus at one end of a pipe in memory and
// returns the client at its other end. It waits in channels only: a bubble's
// clock stands still while a byte is under way. Both ends are closed with the
// test, after what was made later.
func Pipe(t testing.TB) func(bus.Port) bus.Port {
	return func(p bus.Port) bus.Port {
		here, there := net.Pipe()
		l := &single{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conn <- there
		serve(t, l, p)
		c, err := remote.NewClient(context.Background(), here)
		return finish(t, c, err)
	}
}

// Unix returns a function that serves a bus at a Unix socket and returns a
// client that has dialled it. Both ends are closed with the test, after what was
// made later.
func Unix(t testing.TB) func(bus.Port) bus.Port {
	return func(p bus.Port) bus.Port {
		dir, err := os.MkdirTemp("", "bus") // a test's own may be too long for the address of a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		l, err := net.Listen("unix", filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		serve(t, l, p)
		c, err := remote.Dial(context.Background(), "unix", l.Addr().String())
		return finish(t, c, err)
	}
}

// serve serves p at l until the test ends.
func serve(t testing.TB, l net.Listener, p bus.Port) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- remote.Serve(ctx, l, p) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("overbus: the server of the bus: %v", err)
		}
	})
}

// finish closes the client when the test ends.
func finish(t testing.TB, c *remote.Client, err error) bus.Port {
	if err != nil {
		t.Fatalf("overbus: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// single is a listener with one connection.
type single struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *single) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

package stack_test

import (
	"context"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/understudy-net/understudy/world"
)

// The suite measures with time.Now and starts goroutines, so it runs on the
// wall clock. The second end is the accepted one.
func TestNET02_StandardSuite(t *testing.T) {
	w := world.New()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); w.Close(); <-done })
	cable := newCable(w)
	a, b := addHost(w, cable, 0), addHost(w, cable, 1)
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l, err := b.Listen("tcp", ":7")
		if err != nil {
			return nil, nil, nil, err
		}
		defer l.Close()
		if c1, err = a.Dial(ctx, "tcp", "10.0.0.2:7"); err != nil {
			return nil, nil, nil, err
		}
		if c2, err = l.Accept(); err != nil {
			c1.Close()
			return nil, nil, nil, err
		}
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

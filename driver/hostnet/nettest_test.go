package hostnet_test

import (
	"context"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/internal/overbus"
	"github.com/understudy-net/understudy/understudytest"
)

// The suite measures with time.Now and makes subtests, so it runs on the wall
// clock in all forms. One end is a conn of the driver, the other one of a stack on the far
// side of the air.
func TestNET02_StandardSuite(t *testing.T) {
	for form, over := range map[string]func(testing.TB) func(bus.Port) bus.Port{
		"memory": func(testing.TB) func(bus.Port) bus.Port { return nil },
		"pipe":   overbus.Pipe,
		"unix":   overbus.Unix,
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			suite(t, understudytest.Config{Bus: over(t)})
		})
	}
}

func suite(t *testing.T, c understudytest.Config) {
	b := understudytest.NewConfig(t, c)
	if err := b.Join(); err != nil {
		t.Fatal(err)
	}
	h := b.AddHost("peer.test")
	t.Run("dialled", func(t *testing.T) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			l, err := h.Listen("tcp", ":7")
			if err != nil {
				return nil, nil, nil, err
			}
			defer l.Close()
			c1, err = b.Net.DialContext(context.Background(), "tcp", h.Addr.String()+":7")
			if err != nil {
				return nil, nil, nil, err
			}
			c2, err = l.Accept()
			return c1, c2, func() { c1.Close(); c2.Close() }, err
		})
	})
	t.Run("accepted", func(t *testing.T) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			l, err := b.Net.Listen(context.Background(), "tcp", ":8")
			if err != nil {
				return nil, nil, nil, err
			}
			defer l.Close()
			c2, err = h.Dial(context.Background(), "tcp", b.Client.Addr().String()+":8")
			if err != nil {
				return nil, nil, nil, err
			}
			c1, err = l.Accept()
			return c1, c2, func() { c1.Close(); c2.Close() }, err
		})
	})
}

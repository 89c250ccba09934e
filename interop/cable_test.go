package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// cable joins hosts on the wall clock; what each sends, all others get. It is a machine of its world.
type cable struct {
	w    *world.World
	slot *world.Slot
	ends []func(now time.Time, frame []byte)
	q    []flying
	due  time.Time

	loss    float64
	rnd     *rand.Rand
	dropped int
}

type flying struct {
	from  int
	frame []byte
}

func newCable(t *testing.T) *cable {
	c := &cable{w: world.New(), rnd: rand.New(rand.NewPCG(1, 2))}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		c.w.Close()
		<-done
	})
	c.w.Lock()
	c.slot = c.w.Add(c)
	c.w.Unlock()
	return c
}

func (c *cable) Deadline() time.Time { return c.due }

func (c *cable) Advance(now time.Time) {
	q := c.q
	c.q, c.due = nil, time.Time{}
	for _, f := range q {
		for i, in := range c.ends {
			if i != f.from {
				in(now, f.frame)
			}
		}
	}
}

// send puts a frame on the cable. Lock held.
func (c *cable) send(from int, now time.Time, frame []byte) {
	if c.loss > 0 && c.rnd.Float64() < c.loss {
		c.dropped++
		return
	}
	c.q = append(c.q, flying{from, bytes.Clone(frame)})
	if c.due.IsZero() {
		c.due = now
		c.slot.Touch()
	}
}

// plug adds an end, and says its number. Lock held.
func (c *cable) plug(in func(now time.Time, frame []byte)) int {
	c.ends = append(c.ends, in)
	return len(c.ends) - 1
}

// addOurs plugs in a stack of ours with the address 10.0.0.n.
func (c *cable) addOurs(t *testing.T, n byte) stack.Net {
	now := c.w.Lock()
	defer c.w.Unlock()
	var slot *world.Slot
	var host stack.Host
	end := c.plug(func(now time.Time, f []byte) {
		host.Stack.Input(now, f)
		slot.Touch()
	})
	s, err := stack.New(stack.Config{
		MAC: wire.MAC{2, 0, 0, 0, 0, n}, Rand: rand.NewPCG(uint64(n), 1), ACD: stack.ACD{Off: true, Announces: -1},
		Output: func(now time.Time, f []byte) { c.send(end, now, f) },
		Touch:  func() { slot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	host = stack.Host{Stack: s, Handle: stack.HandleSock}
	slot = c.w.Add(&host)
	if err := s.SetAddr(now, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 24), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	slot.Touch()
	return stack.Net{Owner: c.w, Stack: s}
}

// exchange sends n bytes each way at once over the two ends of a connection,
// closes both directions, and checks what arrived.
func exchange(t *testing.T, a, b net.Conn, n int) {
	t.Helper()
	errs := make(chan error, 4)
	half := func(name string, from, to net.Conn, seed uint64) {
		data := randomBytes(n, seed)
		go func() {
			_, err := from.Write(data)
			if err == nil {
				err = from.(interface{ CloseWrite() error }).CloseWrite()
			}
			errs <- wrap(name+" write", err)
		}()
		go func() {
			got, err := io.ReadAll(to)
			if err == nil && sha256.Sum256(got) != sha256.Sum256(data) {
				err = fmt.Errorf("%d bytes of %d, or others", len(got), len(data))
			}
			errs <- wrap(name+" read", err)
		}()
	}
	half("there", a, b, 1)
	half("back", b, a, 2)
	timeout := time.After(30 * time.Second)
	for range 4 {
		select {
		case err := <-errs:
			if err != nil {
				t.Error(err)
			}
		case <-timeout:
			t.Fatal("the exchange does not end")
		}
	}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errors.New(what), err)
}

func randomBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

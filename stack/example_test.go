package stack_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// random is a source seeded by the operating system. In a test or a simulation use one with a seed
// of your own.
func random() mathrand.Source {
	var seed [32]byte
	rand.Read(seed[:])
	return mathrand.NewChaCha8(seed)
}

// Two stacks, driven by hand from one goroutine: an echo of a few bytes over TCP.
func Example() {
	now := time.Now() // read once; any clock will do
	var client, server *stack.Stack
	var toServer, toClient [][]byte // the link

	make := func(last byte, out *[][]byte) *stack.Stack {
		s, err := stack.New(stack.Config{
			MAC:    wire.MAC{0x02, 0, 0, 0, 0, last},
			Rand:   random(),
			Output: func(now time.Time, frame []byte) { *out = append(*out, append([]byte(nil), frame...)) },
			ACD:    stack.ACD{Off: true}, // nobody else is on this link
		})
		if err != nil {
			panic(err)
		}
		s.SetAddr(now, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, last}), 24), netip.Addr{})
		return s
	}
	client, server = make(1, &toServer), make(2, &toClient)
	deliver := func() {
		for len(toServer)+len(toClient) > 0 {
			if len(toServer) > 0 {
				server.Input(now, toServer[0])
				toServer = toServer[1:]
			} else {
				client.Input(now, toClient[0])
				toClient = toClient[1:]
			}
		}
	}

	listener, _ := server.Listen(now, netip.MustParseAddrPort("0.0.0.0:7"), stack.ListenConfig{})
	c, _ := client.Dial(now, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:7"))
	c.Write(now, []byte("hello")) // goes out when the handshake is over
	deliver()

	var buf [100]byte
	s, _ := listener.Accept(now)
	n, _ := s.Read(now, buf[:])
	s.Write(now, buf[:n])
	s.Close(now)
	deliver()

	n, _ = c.Read(now, buf[:])
	_, err := c.Read(now, buf[:])
	fmt.Printf("%s, then %v; the client is %v\n", buf[:n], err, c.State())
	// Output: hello, then EOF; the client is CLOSE-WAIT
}

// cable joins two hosts. It is a machine: frames are queued by Output and delivered by Advance, so
// that no stack is called from within another.
type cable struct {
	slot   *world.Slot
	hosts  [2]*stack.Stack
	frames [2][][]byte // to each host
}

func newCable(w *world.World) *cable {
	c := &cable{}
	w.Lock()
	defer w.Unlock()
	c.slot = w.Add(c)
	return c
}

func (c *cable) Advance(now time.Time) {
	frames := c.frames
	c.frames = [2][][]byte{}
	for i, h := range c.hosts {
		for _, f := range frames[i] {
			if h != nil {
				h.Input(now, f)
			}
		}
	}
}

func (c *cable) Deadline() time.Time {
	if len(c.frames[0])+len(c.frames[1]) > 0 {
		return time.Unix(0, 1) // at once
	}
	return time.Time{}
}

// addHost makes a stack at one end of the cable, 10.0.0.1 or 10.0.0.2, and gives it to the world.
func addHost(w *world.World, c *cable, end int) stack.Net {
	now := w.Lock()
	defer w.Unlock()
	var slot *world.Slot
	s, err := stack.New(stack.Config{
		MAC: wire.MAC{0x02, 0, 0, 0, 0, byte(end + 1)}, Rand: random(),
		Output: func(now time.Time, frame []byte) {
			c.frames[1-end] = append(c.frames[1-end], append([]byte(nil), frame...))
			c.slot.Touch()
		},
		Touch: func() { slot.Touch() },
		ACD:   stack.ACD{Off: true}, // nobody else is on this link
	})
	if err != nil {
		panic(err)
	}
	c.hosts[end] = s
	slot = w.Add(&stack.Host{Stack: s}) // events go to the adapters of package sock
	s.SetAddr(now, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(end + 1)}), 24), netip.Addr{})
	return stack.Net{Owner: w, Stack: s}
}

// An HTTP server and a client of the standard library on two stacks in a world on the wall clock.
func Example_http() {
	w := world.New()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go w.Run(ctx)

	link := newCable(w)
	clientNet, serverNet := addHost(w, link, 0), addHost(w, link, 1)

	l, err := serverNet.Listen("tcp", ":80")
	if err != nil {
		panic(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "You asked for %s from %s.", r.URL.Path, r.Host)
	})}
	go server.Serve(l)
	defer server.Close()

	client := http.Client{Transport: &http.Transport{DialContext: clientNet.Dial, DisableKeepAlives: true}}
	resp, err := client.Get("http://10.0.0.2/page")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output: 200 OK You asked for /page from 10.0.0.2.
}

// Blocking calls in a world with a virtual clock: waiting takes no time, and everything happens in
// the same order each time.
func Example_virtual() {
	w := world.NewVirtual(world.Epoch)
	link := newCable(w)
	client, server := addHost(w, link, 0), addHost(w, link, 1)
	w.Go(func() {
		l, _ := server.Listen("tcp", ":80")
		c, _ := l.Accept()
		w.Sleep(time.Hour)
		c.Write([]byte("at last"))
		c.Close()
	})
	err := w.Do(func() {
		begin := w.Now()
		c, err := client.Dial(context.Background(), "tcp", "10.0.0.2:80")
		if err != nil {
			panic(err)
		}
		b, _ := io.ReadAll(c)
		c.Close()
		fmt.Printf("%s, after %v\n", b, w.Now().Sub(begin))
	})
	if err != nil {
		panic(err)
	}
	// Output: at last, after 1h0m0s
}

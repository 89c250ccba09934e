package understudytest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// Host is another computer on the network: a stack on the cable behind the
// access point. Its methods may be called from anywhere but from under the
// world's lock.
type Host struct {
	stack.Net // Dial, Listen, ListenPacket, Ping, LookupNetIP, as the host does them

	Name string     // as the router's DNS server knows it
	Addr netip.Addr // its address
	MAC  wire.MAC   // and that of its port

	b *Bench
}

// addHost plugs a host in and gives it a static address. Lock held.
func (b *Bench) addHost(now time.Time, name string, addr netip.Addr, gateway netip.Addr) (*Host, error) {
	a := addr.As4()
	h := &Host{Name: name, Addr: addr, MAC: wire.MAC{2, 0, a[0], a[1], a[2], a[3]}, b: b}
	var port *air.Port
	var slot *world.Slot
	s, err := stack.New(stack.Config{
		MAC:      h.MAC,
		Rand:     b.rand(),
		Hostname: name,
		ACD:      stack.ACD{Off: true}, // the addresses are ours to give
		Output:   func(now time.Time, eth []byte) { b.lan.send(now, port, eth) },
		Touch:    func() { slot.Touch() },
	})
	if err != nil {
		return nil, err
	}
	slot = b.World.Add(&stack.Host{Stack: s})
	port = b.lan.plug(h.MAC, func(now time.Time, eth []byte) {
		s.Input(now, eth)
		slot.Touch()
	})
	h.Net = stack.Net{Owner: b.World, Stack: s}
	return h, s.SetAddr(now, netip.PrefixFrom(addr, Prefix.Bits()), gateway, RouterAddr)
}

// HandleTCP serves the connections to a port: handle gets each one on an actor
// of its own, and closes it by returning.
func (h *Host) HandleTCP(port uint16, handle func(c net.Conn)) error {
	l, err := h.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	h.b.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the bench is closed
			}
			h.b.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	return nil
}

// HandleUDP serves the datagrams to a port: what handle returns goes back to
// the sender, nil is no answer.
func (h *Host) HandleUDP(port uint16, handle func(from net.Addr, p []byte) []byte) error {
	c, err := h.ListenPacket("udp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	h.b.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(buf)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
				continue // an ICMP error about an earlier answer
			}
			if answer := handle(from, buf[:n]); answer != nil {
				c.WriteTo(answer, from) // lost answers are part of UDP
			}
		}
	})
	return nil
}

// HandleHTTP serves HTTP on a port. It is a small server that also works in
// virtual worlds, where net/http's cannot: responses are kept until the
// handler has returned.
func (h *Host) HandleHTTP(port uint16, handler http.Handler) error {
	return h.HandleTCP(port, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			req.RemoteAddr = c.RemoteAddr().String()
			w := &response{header: http.Header{}}
			handler.ServeHTTP(w, req)
			io.Copy(io.Discard, req.Body) // an error shows in the next request
			if w.send(c, req) != nil || req.Close {
				return
			}
		}
	})
}

// response is the http.ResponseWriter of HandleHTTP.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *response) send(c net.Conn, req *http.Request) error {
	w.WriteHeader(http.StatusOK)
	resp := http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Close: req.Close,
	}
	out := bufio.NewWriter(c)
	if err := resp.Write(out); err != nil {
		return err
	}
	return out.Flush()
}

package sock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

// pipe is one direction between two ends: a bounded buffer.
type pipe struct {
	buf  []byte
	eof  bool // the writer has finished
	gone bool // the reader has closed
}

// end is a Stream: one end of two pipes.
type end struct {
	in, out *pipe
	peer    *sock.Conn
	port    uint16
}

const pipeSize = 4096

func (e *end) Read(_ time.Time, p []byte) (int, error) {
	switch {
	case len(e.in.buf) > 0:
		n := copy(p, e.in.buf)
		e.in.buf = append(e.in.buf[:0], e.in.buf[n:]...)
		e.peer.Ready(false, true)
		return n, nil
	case e.in.eof:
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (e *end) Write(_ time.Time, p []byte) (int, error) {
	if e.out.gone || e.out.eof {
		return 0, io.ErrClosedPipe
	}
	n := min(len(p), pipeSize-len(e.out.buf))
	if n == 0 {
		return 0, sock.ErrWouldBlock
	}
	e.out.buf = append(e.out.buf, p[:n]...)
	e.peer.Ready(true, false)
	return n, nil
}

func (e *end) CloseWrite(time.Time) error {
	e.out.eof = true
	e.peer.Ready(true, false)
	return nil
}

func (e *end) Close(now time.Time) error {
	e.in.gone = true
	e.CloseWrite(now)
	e.peer.Ready(true, true)
	return nil
}

func (e *end) LocalAddr() netip.AddrPort  { return addr(e.port) }
func (e *end) RemoteAddr() netip.AddrPort { return addr(3 - e.port) }

func addr(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), port)
}

func newPair(o sock.Owner) (*sock.Conn, *sock.Conn) {
	var a, b pipe
	e1, e2 := &end{in: &a, out: &b, port: 1}, &end{in: &b, out: &a, port: 2}
	c1, c2 := sock.NewConn(o, e1), sock.NewConn(o, e2)
	e1.peer, e2.peer = c2, c1
	return c1, c2
}

// running returns a wall world that runs until stop.
func running() (w *world.World, stop func()) {
	w = world.New()
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error)
	go func() { end <- w.Run(ctx) }()
	return w, func() { cancel(); <-end }
}

func TestConnKeepsTheContractOfNetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		w, end := running()
		a, b := newPair(w)
		return a, b, func() { a.Close(); b.Close(); end() }, nil
	})
}

func TestErrorsSayWhatHappenedWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := running()
		defer stop()
		c, _ := newPair(w)
		c.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := c.Read(make([]byte, 1))
		var op *net.OpError
		if !errors.As(err, &op) || !errors.Is(err, os.ErrDeadlineExceeded) || !op.Timeout() {
			t.Error(err)
		}
		if s := err.Error(); s != "read tcp 10.0.0.1:1->10.0.0.1:2: i/o timeout" {
			t.Error(s)
		}
		c.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestClosedWorldEndsCalls(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c, _ := newPair(w)
	var err error
	ended := make(chan bool)
	w.Do(func() {
		w.Go(func() {
			defer close(ended)
			_, err = c.Read(make([]byte, 1))
		})
		w.Sleep(time.Second)
		w.Close()
	})
	<-ended
	if !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	w := world.New()
	c1, c2 := newPair(w)
	p := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() { c1.Write(p); c2.Read(p) }); n > 0 {
		t.Error(n, "allocations")
	}
}

// queue is an Acceptor.
type queue struct {
	streams []sock.Stream
}

func (q *queue) Accept(time.Time) (sock.Stream, error) {
	if len(q.streams) == 0 {
		return nil, sock.ErrWouldBlock
	}
	s := q.streams[0]
	q.streams = q.streams[1:]
	return s, nil
}
func (q *queue) Close(time.Time) error { return nil }
func (q *queue) Addr() netip.AddrPort  { return addr(80) }

func TestListenerWaitsAndCanBeClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := running()
		defer stop()
		q := &queue{}
		l := sock.NewListener(w, q, nil)
		go func() {
			time.Sleep(time.Second)
			w.Lock()
			q.streams = append(q.streams, &end{port: 1})
			l.Ready()
			w.Unlock()
			time.Sleep(time.Second)
			l.Close()
		}()
		c, err := l.Accept()
		if err != nil || c.RemoteAddr().String() != "10.0.0.1:2" {
			t.Error(c, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if l.Addr().String() != "10.0.0.1:80" {
			t.Error(l.Addr())
		}
	})
}

// mailbox is a Datagram.
type mailbox struct {
	from []netip.AddrPort
	sent []netip.AddrPort
}

func (m *mailbox) ReadFrom(_ time.Time, p []byte) (int, netip.AddrPort, error) {
	if len(m.from) == 0 {
		return 0, netip.AddrPort{}, sock.ErrWouldBlock
	}
	from := m.from[0]
	m.from = m.from[1:]
	return copy(p, "hello"), from, nil
}
func (m *mailbox) WriteTo(_ time.Time, p []byte, to netip.AddrPort) (int, error) {
	m.sent = append(m.sent, to)
	return len(p), nil
}
func (m *mailbox) Close(time.Time) error     { return nil }
func (m *mailbox) LocalAddr() netip.AddrPort { return addr(53) }

func TestPacketConn(t *testing.T) {
	w := world.New()
	m := &mailbox{from: []netip.AddrPort{addr(7)}}
	c := sock.NewPacketConn(w, m)
	n, from, err := c.ReadFrom(make([]byte, 3))
	if n != 3 || from.String() != "10.0.0.1:7" || err != nil {
		t.Error(n, from, err)
	}
	if n, err := c.WriteTo([]byte("ab"), from); n != 2 || err != nil || m.sent[0] != addr(7) {
		t.Error(n, err, m.sent)
	}
	if _, err := c.WriteTo(nil, &net.TCPAddr{}); err == nil {
		t.Error("a TCP address was taken")
	}
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, _, err := c.ReadFrom(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	c.Close()
	if _, _, err := c.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestUDPConnHearsItsPeerOnly(t *testing.T) {
	m := &mailbox{from: []netip.AddrPort{addr(6), addr(7)}}
	c := sock.NewUDPConn(world.New(), m, addr(7))
	if n, err := c.Read(make([]byte, 9)); n != 5 || err != nil || len(m.from) != 0 {
		t.Error(n, err, m.from)
	}
	c.Write([]byte("x"))
	if m.sent[0] != addr(7) || c.RemoteAddr().String() != "10.0.0.1:7" {
		t.Error(m.sent)
	}
}

// Two ends of a pipe in a virtual world.
func Example() {
	w := world.NewVirtual(world.Epoch)
	c1, c2 := newPair(w)
	w.Do(func() {
		w.Go(func() {
			w.Sleep(time.Hour)
			c1.Write([]byte("hello"))
			c1.Close()
		})
		b, err := io.ReadAll(c2)
		fmt.Printf("%s %v after %v\n", b, err, w.Now().Sub(world.Epoch))
	})
	// Output: hello <nil> after 1h0m0s
}

func BenchmarkConn(b *testing.B) {
	w := world.New()
	c1, c2 := newPair(w)
	p := make([]byte, 1400)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		c1.Write(p)
		c2.Read(p)
	}
}

package sock_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/world"
)

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

func TestPacketConnErrorsSayWhatHappenedWhere(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	c := sock.NewPacketConn(w, &mailbox{})
	u := sock.NewUDPConn(w, &mailbox{}, addr(7))
	err := w.Do(func() {
		for want, c := range map[string]net.PacketConn{
			"read udp 10.0.0.1:53: i/o timeout":             c,
			"read udp 10.0.0.1:53->10.0.0.1:7: i/o timeout": u,
		} {
			c.SetDeadline(w.Now().Add(time.Hour))
			_, _, err := c.ReadFrom(nil)
			if !errors.Is(err, os.ErrDeadlineExceeded) || err.Error() != want {
				t.Error(err)
			}
			c.Close()
			for _, err := range []error{c.Close(), c.SetReadDeadline(time.Time{})} {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}
			if c.LocalAddr().String() != "10.0.0.1:53" {
				t.Error(c.LocalAddr())
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// slow is a Datagram with room for one datagram.
type slow struct {
	mailbox
	full bool
}

func (s *slow) WriteTo(now time.Time, p []byte, to netip.AddrPort) (int, error) {
	if s.full {
		return 0, sock.ErrWouldBlock
	}
	s.full = true
	return s.mailbox.WriteTo(now, p, to)
}

func TestPacketConnWaitsForRoom(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	s := &slow{}
	c := sock.NewUDPConn(w, s, addr(7))
	err := w.Do(func() {
		w.Go(func() {
			w.Sleep(time.Minute)
			w.Lock()
			s.full = false
			c.Ready(false, true)
			w.Unlock()
		})
		c.Write([]byte("1"))
		c.Write([]byte("2"))
		if d := w.Now().Sub(world.Epoch); d != time.Minute || len(s.sent) != 2 {
			t.Error(d, s.sent)
		}
		c.SetWriteDeadline(w.Now().Add(time.Minute))
		if _, err := c.Write([]byte("3")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mirror is a Datagram that gives back what was sent last.
type mirror struct {
	buf []byte
	to  netip.AddrPort
}

func (m *mirror) ReadFrom(_ time.Time, p []byte) (int, netip.AddrPort, error) {
	return copy(p, m.buf), m.to, nil
}
func (m *mirror) WriteTo(_ time.Time, p []byte, to netip.AddrPort) (int, error) {
	m.buf, m.to = append(m.buf[:0], p...), to
	return len(p), nil
}
func (m *mirror) Close(time.Time) error     { return nil }
func (m *mirror) LocalAddr() netip.AddrPort { return addr(53) }

func TestDatagramsDoNotAllocate(t *testing.T) {
	c := sock.NewUDPConn(world.New(), &mirror{buf: make([]byte, 0, 100)}, addr(7))
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		c.Write(p)
		c.Read(p)
		c.WriteToUDPAddrPort(p, addr(8))
		c.ReadFromUDPAddrPort(p)
	}); n > 0 {
		t.Error(n, "allocations")
	}
}

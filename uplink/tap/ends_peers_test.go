//go:build linux

package tap_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-net/understudy/internal/peers"
)

// TestKernelTCPEnds has connections with the kernel begin and end in every way that its sockets know.
func TestKernelTCPEnds(t *testing.T) {
	b := newWire(t)
	b.SetAddr(t)
	limit := time.Now().Add(20 * time.Second)
	read := func(c net.Conn) error {
		c.SetDeadline(limit)
		_, err := io.Copy(io.Discard, c)
		return err
	}
	t.Run("the kernel refuses", func(t *testing.T) {
		if _, err := b.Net.Dial(t.Context(), "tcp", "10.77.0.1:9"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	})
	t.Run("we refuse", func(t *testing.T) {
		_, err := peers.Do2(b.Namespace, func() (net.Conn, error) { return net.DialTimeout("tcp4", "10.77.0.2:9", 10*time.Second) })
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	})
	t.Run("the kernel resets", func(t *testing.T) {
		ours, theirs := b.Dialed(t)
		theirs.(*net.TCPConn).SetLinger(0)
		theirs.Close()
		if err := read(ours); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v", err)
		}
	})
	t.Run("we close with data unread", func(t *testing.T) {
		ours, theirs := b.Dialed(t)
		theirs.SetDeadline(limit)
		if _, err := theirs.Write([]byte("unread")); err != nil {
			t.Fatal(err)
		}
		peers.Poll(t, "the data to arrive", nil, func() bool { return b.buffered() == 6 })
		ours.Close()
		if err := read(theirs); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v", err)
		}
	})
	t.Run("both close at once", func(t *testing.T) {
		ours, theirs := b.Dialed(t)
		var wg sync.WaitGroup
		for _, c := range []net.Conn{ours, theirs} {
			wg.Go(func() {
				c.(interface{ CloseWrite() error }).CloseWrite()
				if err := read(c); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("urgent data", func(t *testing.T) {
		ours, theirs := b.Dialed(t)
		theirs.SetDeadline(limit)
		raw, err := theirs.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		theirs.Write([]byte("before "))
		raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("urgent"), unix.MSG_OOB, nil) })
		if err != nil {
			t.Fatal(err)
		}
		theirs.Write([]byte(" after"))
		theirs.Close()
		ours.SetDeadline(limit)
		if got, err := io.ReadAll(ours); err != nil || string(got) != "before urgent after" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// buffered returns how many bytes wait in the connections of the stack.
func (b *bench) buffered() (n int) {
	b.World.Lock()
	defer b.World.Unlock()
	for _, c := range b.Stack.Snapshot().TCP {
		n += c.Conn.Unread
	}
	return n
}

// TestKernelTCPOnSmallLink has the kernel take packets of 600 bytes only.
func TestKernelTCPOnSmallLink(t *testing.T) {
	b := newWire(t)
	b.SetMTU("tap0", 600)
	b.SetAddr(t)
	ours, theirs := b.Dialed(t)
	peers.CheckExchange(t, ours, theirs, 2<<20, false)
	ours, theirs = b.Accepted(t)
	peers.CheckExchange(t, ours, theirs, 2<<20, true)
}

func TestKernelTCPManyAtOnce(t *testing.T) {
	b := newWire(t)
	b.SetAddr(t)
	l, err := b.Net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			c, err := peers.Do2(b.Namespace, func() (net.Conn, error) { return net.DialTimeout("tcp4", "10.77.0.2:80", 10*time.Second) })
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			sent := make(chan error, 1)
			go func() { sent <- peers.Send(c, uint64(i), 50_000) }()
			if err := errors.Join(peers.Receive(c, uint64(i), 50_000), <-sent); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestKernelUDP has datagrams of all sizes echoed, both ways, and refused.
func TestKernelUDP(t *testing.T) {
	b := newWire(t)
	b.SetAddr(t)
	deadline := time.Now().Add(20 * time.Second)
	theirs, err := peers.Do2(b.Namespace, func() (net.PacketConn, error) { return net.ListenPacket("udp4", "10.77.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ours, err := b.Net.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	ours.SetDeadline(deadline)
	theirs.SetDeadline(deadline)
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(peers.StackAddr.Addr(), 7))
	buf := make([]byte, 1<<16)
	pass := func(from, at net.PacketConn, dst net.Addr, p []byte) error {
		if _, err := from.WriteTo(p, dst); err != nil {
			return err
		}
		n, _, err := at.ReadFrom(buf)
		if err == nil && !bytes.Equal(buf[:n], p) {
			err = fmt.Errorf("%d bytes came", n)
		}
		return err
	}
	for _, size := range []int{0, 1, 17, 18, 1472, 1473, 2953, 9000, 65507} {
		p := file(size)
		if err := pass(theirs, ours, to, p); err != nil {
			t.Errorf("%d bytes to us: %v", size, err)
		}
		if err := pass(ours, theirs, theirs.LocalAddr(), p); err != nil {
			t.Errorf("%d bytes to the kernel: %v", size, err)
		}
	}
	refused, err := b.Net.Dial(t.Context(), "udp", "10.77.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	refused.SetDeadline(deadline)
	refused.Write([]byte("hello"))
	if _, err := refused.Read(buf); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the kernel refuses: %v", err)
	}
	back, err := peers.Do2(b.Namespace, func() (net.Conn, error) { return net.Dial("udp4", "10.77.0.2:9") })
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	back.SetDeadline(deadline)
	back.Write([]byte("hello"))
	if _, err := back.Read(buf); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("we refuse: %v", err)
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/soypat/lneto"
	ltcp "github.com/soypat/lneto/tcp"
	ludp "github.com/soypat/lneto/udp"
	"github.com/soypat/lneto/x/xnet"
)

// lnetoPair is two of lneto's stacks in one event loop. A frame is written into
// a buffer by one and read from it by the other: no link could be shorter.
// Loss recovery stays off, which is how it comes, and fastest.
type lnetoPair struct {
	stacks [2]*xnet.StackAsync
	buf    [2048]byte
	sent   atomic.Uint64
}

const (
	lnetoBuffer = 32 << 10 // of a direction of a connection: the best of 8 KiB to the 64 KiB that its window can say
	lnetoQueue  = 64       // segments in flight
)

func newLnetoPair(ports uint16) (*lnetoPair, error) {
	p := &lnetoPair{}
	for i := range p.stacks {
		s := new(xnet.StackAsync)
		err := s.Reset(xnet.StackConfig{
			Hostname: fmt.Sprint("h", i), RandSeed: int64(i + 1),
			StaticAddress4: [4]byte{10, 0, 0, byte(i + 1)}, HardwareAddress: [6]byte{2, 0, 0, 0, 0, byte(i + 1)},
			MaxActiveTCPPorts: ports, MaxActiveUDPPorts: 4, MTU: mtu,
		})
		if err != nil {
			return nil, err
		}
		p.stacks[i] = s
	}
	for i, s := range p.stacks {
		s.SetGatewayHardwareAddr(p.stacks[1-i].HardwareAddr())
	}
	return p, nil
}

// move carries the frames that one side has, and says how many.
func (p *lnetoPair) move(from int) (int, error) {
	for n := 0; ; n++ {
		k, err := p.stacks[from].EgressEthernet(p.buf[:])
		if err != nil {
			return n, err
		}
		if k == 0 {
			p.sent.Add(uint64(n))
			return n, nil
		}
		if err := p.stacks[1-from].IngressEthernet(p.buf[:k]); err != nil && err != lneto.ErrPacketDrop {
			return n, err
		}
	}
}

// run carries frames until both sides are quiet.
func (p *lnetoPair) run() error {
	for {
		a, err := p.move(0)
		if err != nil {
			return err
		}
		b, err := p.move(1)
		if err != nil {
			return err
		}
		if a+b == 0 {
			return nil
		}
	}
}

func lnetoConn(size, queue int) (*ltcp.Conn, error) {
	c := new(ltcp.Conn)
	return c, c.Configure(ltcp.ConnConfig{
		RxBuf: make([]byte, size), TxBuf: make([]byte, size), TxPacketQueueSize: queue,
		RWBackoff: lnetoYield,
	})
}

func lnetoYield(uint) time.Duration { return lneto.BackoffFlagGosched }

// connect makes a connection from a port of one to a port of the other.
func (p *lnetoPair) connect(from, to uint16, size, queue int) (a, b *ltcp.Conn, err error) {
	if a, err = lnetoConn(size, queue); err != nil {
		return
	}
	if b, err = lnetoConn(size, queue); err != nil {
		return
	}
	return a, b, p.open(a, b, from, to)
}

func (p *lnetoPair) open(a, b *ltcp.Conn, from, to uint16) error {
	if err := p.stacks[1].ListenTCP4(b, to); err != nil {
		return err
	}
	if err := p.stacks[0].DialTCP(a, from, netip.AddrPortFrom(addrB, to)); err != nil {
		return err
	}
	if err := p.run(); err != nil {
		return err
	}
	if a.State() != ltcp.StateEstablished || b.State() != ltcp.StateEstablished {
		return fmt.Errorf("handshake ended in %v and %v", a.State(), b.State())
	}
	return nil
}

func lnetoBulk(streams int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newLnetoPair(uint16(streams))
		if err != nil {
			return nil, err
		}
		type stream struct {
			a, b *ltcp.Conn
			src  source
			dst  sink
		}
		ss := make([]*stream, streams)
		for i := range ss {
			ss[i] = new(stream)
			if ss[i].a, ss[i].b, err = p.connect(uint16(2000+i), uint16(3000+i), lnetoBuffer, lnetoQueue); err != nil {
				return nil, err
			}
		}
		buf := make([]byte, readSize)
		total := 0
		return &work{packets: p.sent.Load, run: func(n int) error {
			for end := total + n*unit; total < end; {
				for _, s := range ss {
					if k := min(writeSize, s.a.FreeOutput()); k > 0 {
						k, err := s.a.Write(s.src.next(k))
						if err != nil {
							return err
						}
						s.src.took(k)
					}
					if err := p.run(); err != nil {
						return err
					}
					if s.b.BufferedInput() == 0 {
						continue
					}
					k, err := s.b.Read(buf)
					if err != nil {
						return err
					}
					if err := s.dst.got(buf[:k]); err != nil {
						return err
					}
					total += k
				}
			}
			return nil
		}}, nil
	}
}

func lnetoPingPong() (*work, error) {
	p, err := newLnetoPair(1)
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect(2000, 3000, 2048, 4)
	if err != nil {
		return nil, err
	}
	var buf [16]byte
	return &work{packets: p.sent.Load, run: func(n int) error {
		for i := range n {
			buf[0] = byte(i)
			if _, err := a.Write(buf[:1]); err != nil {
				return err
			}
			if _, err := p.move(0); err != nil {
				return err
			}
			if b.BufferedInput() != 1 {
				return fmt.Errorf("%d bytes arrived", b.BufferedInput())
			}
			if _, err := b.Read(buf[:]); err != nil {
				return err
			}
			if _, err := b.Write(buf[:1]); err != nil {
				return err
			}
			if _, err := p.move(1); err != nil {
				return err
			}
			if k := a.BufferedInput(); k != 1 {
				return fmt.Errorf("%d bytes came back", k)
			}
			if _, err := a.Read(buf[:]); err != nil {
				return err
			}
			if buf[0] != byte(i) {
				return fmt.Errorf("got %d for %d", buf[0], byte(i))
			}
		}
		return nil
	}}, nil
}

// lnetoConnect uses two connections again and again: making them anew is up to lneto's user.
func lnetoConnect() (*work, error) {
	p, err := newLnetoPair(4)
	if err != nil {
		return nil, err
	}
	a, err := lnetoConn(2048, 4)
	if err != nil {
		return nil, err
	}
	b, err := lnetoConn(2048, 4)
	if err != nil {
		return nil, err
	}
	var buf [16]byte
	port := uint16(2000)
	return &work{packets: p.sent.Load, run: func(n int) error {
		for range n {
			if err := p.open(a, b, port, 3000); err != nil {
				return err
			}
			if port++; port == 0 {
				port = 2000
			}
			if err := a.Close(); err != nil {
				return fmt.Errorf("close: %w", err)
			}
			if err := p.run(); err != nil {
				return fmt.Errorf("FIN: %w in %v, %v", err, a.State(), b.State())
			}
			if n, err := b.Read(buf[:]); n != 0 || err != io.EOF && !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("no end of the stream: %d bytes, %v", n, err)
			}
			if err := b.Close(); err != nil && !errors.Is(err, net.ErrClosed) { // it closed itself already
				return fmt.Errorf("close of the other end: %w in %v, %v", err, a.State(), b.State())
			}
			if err := p.run(); err != nil {
				return fmt.Errorf("FIN of the other end: %w in %v, %v", err, a.State(), b.State())
			}
			if s := a.State(); s != ltcp.StateTimeWait && s != ltcp.StateClosed {
				return fmt.Errorf("ended in %v and %v", s, b.State())
			}
			a.Abort()
			b.Abort()
		}
		return nil
	}}, nil
}

func lnetoUDP(size int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newLnetoPair(1)
		if err != nil {
			return nil, err
		}
		var cs [2]*ludp.Conn
		for i := range cs {
			cs[i] = new(ludp.Conn)
			err := cs[i].Configure(ludp.ConnConfig{
				RxBuf: make([]byte, 16<<10), TxBuf: make([]byte, 16<<10), RxQueueSize: 8, TxQueueSize: 8, RWBackoff: lnetoYield,
			})
			if err != nil {
				return nil, err
			}
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(2 - i)}), uint16(3001-i))
			if err := p.stacks[i].DialUDP(cs[i], uint16(3000+i), to); err != nil {
				return nil, err
			}
		}
		buf := make([]byte, 2048)
		seq := 0
		return &work{packets: p.sent.Load, run: func(n int) error {
			for range n {
				if _, err := cs[0].Write(pattern[seq%period:][:size]); err != nil {
					return err
				}
				if _, err := p.move(0); err != nil {
					return err
				}
				if cs[1].BufferedInput() == 0 {
					return fmt.Errorf("datagram %d did not arrive", seq)
				}
				n, err := cs[1].Read(buf)
				if err != nil {
					return err
				}
				if err := sameDatagram(buf[:n], seq, size); err != nil {
					return err
				}
				seq++
			}
			return nil
		}}, nil
	}
}

// lnetoBlocking runs work in goroutines on lneto's blocking calls: one more
// goroutine carries the frames, and all yield when they have nothing to do.
func lnetoBlocking(p *lnetoPair, do func() error) error {
	stop := make(chan struct{})
	carried := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				carried <- nil
				return
			default:
			}
			a, err := p.move(0)
			if err != nil {
				carried <- err
				return
			}
			b, err := p.move(1)
			if err != nil {
				carried <- err
				return
			}
			if a+b == 0 {
				runtime.Gosched()
			}
		}
	}()
	err := do()
	close(stop)
	return errors.Join(err, <-carried)
}

type lnetoNetConn struct{ *ltcp.Conn }

func (c lnetoNetConn) LocalAddr() net.Addr  { return nil }
func (c lnetoNetConn) RemoteAddr() net.Addr { return nil }

func lnetoPingPongBlocking() (*work, error) {
	p, err := newLnetoPair(1)
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect(2000, 3000, 2048, 4)
	if err != nil {
		return nil, err
	}
	return &work{packets: p.sent.Load, run: func(n int) error {
		return lnetoBlocking(p, func() error { return blockingPingPong(lnetoNetConn{a}, lnetoNetConn{b}, n) })
	}}, nil
}

func lnetoBulkBlocking() (*work, error) {
	p, err := newLnetoPair(1)
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect(2000, 3000, lnetoBuffer, lnetoQueue)
	if err != nil {
		return nil, err
	}
	ss := []*blockingStream{newBlockingStream(lnetoNetConn{a}, lnetoNetConn{b})}
	return &work{packets: p.sent.Load, run: func(n int) error {
		return lnetoBlocking(p, func() error { return runBlocking(ss, n) })
	}}, nil
}

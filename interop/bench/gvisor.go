package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	gtcp "gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// gvisorPair is two of gVisor's stacks. The link hands packets over on the
// sender's goroutine, which is as fast as its pipe (that does not even copy) and
// a little faster than its channel endpoint with a goroutine that pumps. Its
// ethernet endpoint puts the headers on.
type gvisorPair struct {
	stacks [2]*gstack.Stack
	sent   atomic.Uint64
}

const gvisorNIC = 1

func newGvisorPair() (*gvisorPair, error) {
	p := &gvisorPair{}
	a, b := newWire(&p.sent)
	for i, end := range []*wireEnd{a, b} {
		s, err := newGvisor(ethernet.New(end), [4]byte{10, 0, 0, byte(i + 1)})
		if err != nil {
			return nil, err
		}
		p.stacks[i] = s
	}
	return p, nil
}

// newGvisor makes one as it comes, with buffers that suit a fast link and a
// short TIME-WAIT.
func newGvisor(link gstack.LinkEndpoint, addr [4]byte) (*gstack.Stack, error) {
	s := gstack.New(gstack.Options{
		NetworkProtocols:   []gstack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []gstack.TransportProtocolFactory{gtcp.NewProtocol, udp.NewProtocol},
	})
	if err := s.CreateNIC(gvisorNIC, link); err != nil {
		return nil, errors.New(err.String())
	}
	at := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(addr), PrefixLen: 24}}
	if err := s.AddProtocolAddress(gvisorNIC, at, gstack.AddressProperties{}); err != nil {
		return nil, errors.New(err.String())
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: gvisorNIC}})
	wait := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	sack := tcpip.TCPSACKEnabled(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: gtcp.MinBufferSize, Default: gvisorBuffer, Max: gtcp.MaxBufferSize}
	recv := tcpip.TCPReceiveBufferSizeRangeOption{Min: gtcp.MinBufferSize, Default: gvisorBuffer, Max: gtcp.MaxBufferSize}
	for _, o := range []tcpip.SettableTransportProtocolOption{&wait, &sack, &send, &recv} {
		if err := s.SetTransportProtocolOption(gtcp.ProtocolNumber, o); err != nil {
			return nil, fmt.Errorf("%T: %v", o, err)
		}
	}
	return s, nil
}

// gvisorBuffer was the best of 64 KiB to 4 MiB.
const gvisorBuffer = 256 << 10

func (p *gvisorPair) close() {
	for _, s := range p.stacks {
		s.Destroy()
	}
}

func gvisorAddr(port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: gvisorNIC, Addr: tcpip.AddrFrom4(addrB.As4()), Port: port}
}

// wireEnd is one end of a link that hands packets over on the sender's goroutine,
// copied, as a real link would.
type wireEnd struct {
	*channel.Endpoint
	peer *wireEnd
	n    *atomic.Uint64
}

func newWire(n *atomic.Uint64) (a, b *wireEnd) {
	a = &wireEnd{Endpoint: channel.New(0, mtu+header.EthernetMinimumSize, "\x02\x00\x00\x00\x00\x01"), n: n}
	b = &wireEnd{Endpoint: channel.New(0, mtu+header.EthernetMinimumSize, "\x02\x00\x00\x00\x00\x02"), n: n}
	a.peer, b.peer = b, a
	return a, b
}

func (e *wireEnd) WritePackets(l gstack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range l.AsSlice() {
		in := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithView(pkt.ToView())})
		e.peer.InjectInbound(0, in)
		in.DecRef()
	}
	e.n.Add(uint64(l.Len()))
	return l.Len(), nil
}

func (p *gvisorPair) connect(ln *gonet.TCPListener, port uint16) (a *gonet.TCPConn, b net.Conn, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if a, err = gonet.DialContextTCP(ctx, p.stacks[0], gvisorAddr(port), ipv4.ProtocolNumber); err != nil {
		return
	}
	b, err = ln.Accept()
	return
}

func gvisorBulk(streams, idle int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newGvisorPair()
		if err != nil {
			return nil, err
		}
		ln, err := gonet.ListenTCP(p.stacks[1], gvisorAddr(80), ipv4.ProtocolNumber)
		if err != nil {
			return nil, err
		}
		var conns []net.Conn
		open := func() (a, b net.Conn, err error) {
			a, b, err = p.connect(ln, 80)
			conns = append(conns, a, b)
			return
		}
		for range idle {
			if _, _, err := open(); err != nil {
				return nil, err
			}
		}
		ss := make([]*blockingStream, streams)
		for i := range ss {
			a, b, err := open()
			if err != nil {
				return nil, err
			}
			ss[i] = newBlockingStream(a, b)
		}
		return &work{packets: p.sent.Load, run: func(n int) error { return runBlocking(ss, n) }, close: func() {
			for _, c := range conns {
				c.Close()
			}
			p.close()
		}}, nil
	}
}

func gvisorPingPong() (*work, error) {
	p, err := newGvisorPair()
	if err != nil {
		return nil, err
	}
	ln, err := gonet.ListenTCP(p.stacks[1], gvisorAddr(80), ipv4.ProtocolNumber)
	if err != nil {
		return nil, err
	}
	a, b, err := p.connect(ln, 80)
	if err != nil {
		return nil, err
	}
	return &work{packets: p.sent.Load, run: func(n int) error { return blockingPingPong(a, b, n) }, close: p.close}, nil
}

func gvisorConnect() (*work, error) {
	p, err := newGvisorPair()
	if err != nil {
		return nil, err
	}
	ln, err := gonet.ListenTCP(p.stacks[1], gvisorAddr(80), ipv4.ProtocolNumber)
	if err != nil {
		return nil, err
	}
	var buf [16]byte
	return &work{packets: p.sent.Load, close: p.close, run: func(n int) error {
		for range n {
			a, b, err := p.connect(ln, 80)
			if err != nil {
				return err
			}
			a.Close()
			if n, err := b.Read(buf[:]); n != 0 || err != io.EOF {
				return fmt.Errorf("no end of the stream: %d bytes, %v", n, err)
			}
			b.Close()
		}
		return nil
	}}, nil
}

// gvisorUDP uses the endpoints themselves, which is the fastest way.
func gvisorUDP(size int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newGvisorPair()
		if err != nil {
			return nil, err
		}
		var qa, qb waiter.Queue
		a, e := p.stacks[0].NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &qa)
		if e != nil {
			return nil, errors.New(e.String())
		}
		b, e := p.stacks[1].NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &qb)
		if e != nil {
			return nil, errors.New(e.String())
		}
		at := gvisorAddr(9)
		if e := b.Bind(at); e != nil {
			return nil, errors.New(e.String())
		}
		if e := a.Connect(at); e != nil {
			return nil, errors.New(e.String())
		}
		arrived := make(chan struct{}, 1)
		entry := waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) {
			select {
			case arrived <- struct{}{}:
			default:
			}
		})
		qb.EventRegister(&entry)
		buf := make([]byte, 2048)
		seq := 0
		var r bytes.Reader
		return &work{packets: p.sent.Load, close: p.close, run: func(n int) error {
			for range n {
				r.Reset(pattern[seq%period:][:size])
				if _, e := a.Write(&r, tcpip.WriteOptions{}); e != nil {
					return errors.New(e.String())
				}
				w := tcpip.SliceWriter(buf)
				res, e := b.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: true})
				for would(e) { // the first one waits for ARP
					<-arrived
					w = buf
					res, e = b.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: true})
				}
				if e != nil {
					return errors.New(e.String())
				}
				if err := sameDatagram(buf[:res.Count], seq, size); err != nil {
					return err
				}
				seq++
			}
			return nil
		}}, nil
	}
}

// gvisorUDPConn uses the adapters of gonet, as most programs do.
func gvisorUDPConn(size int) func() (*work, error) {
	return func() (*work, error) {
		p, err := newGvisorPair()
		if err != nil {
			return nil, err
		}
		at := gvisorAddr(9)
		b, err := gonet.DialUDP(p.stacks[1], &at, nil, ipv4.ProtocolNumber)
		if err != nil {
			return nil, err
		}
		a, err := gonet.DialUDP(p.stacks[0], nil, &at, ipv4.ProtocolNumber)
		if err != nil {
			return nil, err
		}
		buf := make([]byte, 2048)
		seq := 0
		return &work{packets: p.sent.Load, close: p.close, run: func(n int) error {
			for range n {
				if _, err := a.Write(pattern[seq%period:][:size]); err != nil {
					return err
				}
				n, _, err := b.ReadFrom(buf)
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

func would(e tcpip.Error) bool {
	_, ok := e.(*tcpip.ErrWouldBlock)
	return ok
}

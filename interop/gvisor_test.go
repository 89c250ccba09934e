package interop

import (
	"context"
	"net"
	"testing"
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
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// addGvisor plugs in a stack of gVisor's with the address 10.0.0.n.
func (c *cable) addGvisor(t *testing.T, n byte) *gstack.Stack {
	link := channel.New(1024, 1500+header.EthernetMinimumSize, tcpip.LinkAddress([]byte{2, 0, 0, 0, 0, n}))
	s := gstack.New(gstack.Options{
		NetworkProtocols:   []gstack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []gstack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	if err := s.CreateNIC(1, ethernet.New(link)); err != nil {
		t.Fatal(err)
	}
	at := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4([4]byte{10, 0, 0, n}), PrefixLen: 24}}
	if err := s.AddProtocolAddress(1, at, gstack.AddressProperties{}); err != nil {
		t.Fatal(err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	sack := tcpip.TCPSACKEnabled(true)
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		t.Fatal(err)
	}

	// Both ways lead over a channel: neither stack may call the other while it holds its locks.
	in := make(chan []byte, 4096)
	c.w.Lock()
	end := c.plug(func(_ time.Time, f []byte) {
		select {
		case in <- f:
		default:
		}
	})
	c.w.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case f := <-in:
				pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithData(f)})
				link.InjectInbound(0, pkt)
				pkt.DecRef()
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		for pkt := link.ReadContext(ctx); pkt != nil; pkt = link.ReadContext(ctx) {
			f := pkt.ToView().AsSlice()
			now := c.w.Lock()
			c.send(end, now, f)
			c.w.Unlock()
			pkt.DecRef()
		}
	}()
	t.Cleanup(func() {
		cancel()
		s.Destroy()
	})
	return s
}

func gvisorAt(n byte, port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4([4]byte{10, 0, 0, n}), Port: port}
}

// both makes a connection that ours opens, and one that gVisor opens, and hands both ends to f.
func both(t *testing.T, loss float64, f func(t *testing.T, ours, theirs net.Conn)) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	t.Run("ours opens", func(t *testing.T) {
		c := newCable(t)
		c.loss = loss
		n, g := c.addOurs(t, 1), c.addGvisor(t, 2)
		ln, err := gonet.ListenTCP(g, gvisorAt(2, 80), ipv4.ProtocolNumber)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		a, err := n.Dial(ctx, "tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		f(t, a, b)
		c.check(t, n)
	})
	t.Run("gVisor opens", func(t *testing.T) {
		c := newCable(t)
		c.loss = loss
		n, g := c.addOurs(t, 1), c.addGvisor(t, 2)
		ln, err := n.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		b, err := gonet.DialContextTCP(ctx, g, gvisorAt(1, 80), ipv4.ProtocolNumber)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		a, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		f(t, a, b)
		c.check(t, n)
	})
}

func TestTCPWithGvisor(t *testing.T) {
	both(t, 0, func(t *testing.T, ours, theirs net.Conn) { exchange(t, ours, theirs, 8<<20) })
}

func TestTCPWithGvisorOverALossyLink(t *testing.T) {
	both(t, 0.01, func(t *testing.T, ours, theirs net.Conn) { exchange(t, ours, theirs, 1<<20) })
}

func TestGvisorRefusesAndWeRefuse(t *testing.T) {
	c := newCable(t)
	n, g := c.addOurs(t, 1), c.addGvisor(t, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if conn, err := n.Dial(ctx, "tcp", "10.0.0.2:81"); err == nil {
		conn.Close()
		t.Error("dialled a port of gVisor's that is closed")
	} else if !isRefused(err) {
		t.Errorf("dial: %v", err)
	}
	if conn, err := gonet.DialContextTCP(ctx, g, gvisorAt(1, 81), ipv4.ProtocolNumber); err == nil {
		conn.Close()
		t.Error("gVisor dialled a port of ours that is closed")
	}
}

func TestUDPWithGvisor(t *testing.T) {
	c := newCable(t)
	n, g := c.addOurs(t, 1), c.addGvisor(t, 2)
	pc, err := n.ListenPacket("udp", ":9")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	to := gvisorAt(1, 9)
	u, err := gonet.DialUDP(g, nil, &to, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	pc.SetDeadline(time.Now().Add(10 * time.Second))
	u.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 9000)
	for _, size := range []int{1, 1400, 1472, 1473, 8000} { // the last ones in fragments
		data := randomBytes(size, uint64(size))
		if _, err := u.Write(data); err != nil {
			t.Fatal(err)
		}
		k, from, err := pc.ReadFrom(buf)
		if err != nil || string(buf[:k]) != string(data) {
			t.Fatalf("%d bytes: got %d, %v", size, k, err)
		}
		if _, err := pc.WriteTo(buf[:k], from); err != nil {
			t.Fatal(err)
		}
		if k, err := u.Read(buf); err != nil || string(buf[:k]) != string(data) {
			t.Fatalf("%d bytes back: got %d, %v", size, k, err)
		}
	}
}

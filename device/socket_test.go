package device

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dns"
)

func bindTo(id int8, port, session uint16) hif.Bind {
	return hif.Bind{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port), Sock: id, Session: session}
}

func recvOf(id int8, session uint16) hif.Recv {
	return hif.Recv{Timeout: hif.NoTimeout, Sock: id, Session: session, HasBuffer: true, Buffer: 1400}
}

// sendData is SEND or SENDTO; false if the buffer was refused.
func (h *host) sendData(op hif.Op, m hif.Send, data []byte) bool {
	h.b.t.Helper()
	offset := hif.TCPDataOffset
	if m.Sock >= hif.TCPSockets {
		offset = hif.UDPDataOffset
	}
	m.Size = uint16(len(data))
	p := m.Append(nil)
	p = append(p, bytes.Repeat([]byte{0xee}, offset-len(p))...)
	return h.deliver(op, true, append(p, data...))
}

func (h *host) connect(id int8, to netip.AddrPort, session uint16) hif.Status {
	h.b.t.Helper()
	send(h, hif.OpSockConnect, hif.SockConnect{Addr: to, Sock: id, Flags: 0x5a, Session: session})
	m := await(h, 40*time.Second, hif.OpSockConnect, hif.ParseSockConnectReply)
	if m.Sock != id || m.Status == 0 && m.AppDataOffset != 88 || m.Status > 0 {
		h.b.t.Errorf("connect reply %+v", m)
	}
	return m.Status
}

func (h *host) bind(id int8, port, session uint16) hif.Status {
	h.b.t.Helper()
	send(h, hif.OpBind, bindTo(id, port, session))
	m := await(h, 0, hif.OpBind, hif.ParseBindReply)
	if m.Sock != id || m.Session != session {
		h.b.t.Errorf("bind reply %+v", m)
	}
	return m.Status
}

func (h *host) listen(id int8, session uint16) hif.Status {
	h.b.t.Helper()
	send(h, hif.OpListen, hif.Listen{Sock: id, Session: session})
	m := await(h, 0, hif.OpListen, hif.ParseBindReply)
	if m.Sock != id || m.Session != session {
		h.b.t.Errorf("listen reply %+v", m)
	}
	return m.Status
}

func (h *host) close(id int8, session uint16) {
	h.b.t.Helper()
	send(h, hif.OpClose, hif.Close{Sock: id, Session: session})
}

// recv posts a RECV and waits for the answer.
func (h *host) recv(d time.Duration, m hif.Recv) hif.RecvReply {
	h.b.t.Helper()
	send(h, hif.OpRecv, m)
	r := await(h, d, hif.OpRecv, hif.ParseRecvReply)
	if r.Sock != m.Sock || r.Session != m.Session {
		h.b.t.Errorf("recv reply %+v for %+v", r, m)
	}
	return r
}

// sent waits for the answer to a SEND.
func (h *host) sent(d time.Duration, id int8, session uint16) hif.Status {
	h.b.t.Helper()
	m := await(h, d, hif.OpSend, hif.ParseSendReply)
	if m.Sock != id || m.Session != session {
		h.b.t.Errorf("send reply %+v, want socket %d session %d", m, id, session)
	}
	return m.Status
}

// accept lets the peer take the connection that comes to port.
func (p *peer) accept(l stack.Listener) (c stack.TCP) {
	p.b.t.Helper()
	p.b.until(5*time.Second, "connection at the peer", func() bool {
		var err error
		c, err = l.Accept(p.b.now)
		return err == nil
	})
	return c
}

func (p *peer) listen(port uint16) stack.Listener {
	p.b.t.Helper()
	l, err := p.s.Listen(p.b.now, netip.AddrPortFrom(peerIP, port), stack.ListenConfig{})
	if err != nil {
		p.b.t.Fatal(err)
	}
	return l
}

// read lets the peer read n bytes.
func (p *peer) read(c stack.TCP, n int) []byte {
	p.b.t.Helper()
	var got []byte
	buf := make([]byte, 64<<10)
	p.b.until(time.Minute, "data at the peer", func() bool {
		p.b.h.pump()
		k, err := c.Read(p.b.now, buf)
		if err != nil && !errors.Is(err, sock.ErrWouldBlock) {
			p.b.t.Fatalf("read at the peer after %d bytes: %v", len(got), err)
		}
		got = append(got, buf[:k]...)
		return len(got) >= n
	})
	return got
}

// pair is a connection of socket 0, session 1, with the peer's port 80.
func pair(t testing.TB, change ...func(*Config)) (*bench, *peer, stack.TCP) {
	t.Helper()
	b, p := online(t, change...)
	l := p.listen(80)
	if s := b.h.connect(0, netip.AddrPortFrom(peerIP, 80), 1); s != hif.StatusOK {
		t.Fatalf("connect: %v", s)
	}
	return b, p, p.accept(l)
}

func TestTCP01_ConnectSendRecvClose(t *testing.T) {
	b, p, c := pair(t)
	if !b.h.sendData(hif.OpSend, hif.Send{Sock: 0, Session: 1}, []byte("hello")) {
		t.Fatal("refused")
	}
	if got := p.read(c, 5); string(got) != "hello" {
		t.Errorf("the peer got %q", got)
	}
	if s := b.h.sent(5*time.Second, 0, 1); s != 5 {
		t.Errorf("SEND %v", s)
	}
	send(b.h, hif.OpRecv, recvOf(0, 1))
	c.Write(b.now, []byte("world"))
	r := await(b.h, 5*time.Second, hif.OpRecv, hif.ParseRecvReply)
	if r.Status != 5 || string(r.Data) != "world" || r.Remote != netip.AddrPortFrom(peerIP, 80) || r.Offset != 16 {
		t.Errorf("RECV %+v", r)
	}
	c.Write(b.now, []byte("bye")) // TCP-21: all data before the end
	c.CloseWrite(b.now)
	if r := b.h.recv(5*time.Second, recvOf(0, 1)); string(r.Data) != "bye" {
		t.Errorf("RECV %+v", r)
	}
	for range 2 { // and the same again when asked again
		if r := b.h.recv(5*time.Second, recvOf(0, 1)); r.Status != 0 {
			t.Errorf("RECV after the peer's end: %v", r.Status)
		}
	}
	b.h.sendData(hif.OpSend, hif.Send{Sock: 0, Session: 1}, []byte("still open")) // this way
	if got := p.read(c, 10); string(got) != "still open" {
		t.Errorf("the peer got %q", got)
	}
	b.h.sent(time.Second, 0, 1)
	b.h.close(0, 1)
	b.until(5*time.Second, "end at the peer", func() bool {
		_, err := c.Read(b.now, make([]byte, 9))
		return err != nil && !errors.Is(err, sock.ErrWouldBlock)
	})
}

func TestTCP03_ConnectRefused(t *testing.T) {
	b, _ := online(t)
	start := b.now
	if s := b.h.connect(3, netip.AddrPortFrom(peerIP, 81), 9); s != hif.StatusAborted {
		t.Errorf("status %v, want aborted", s)
	}
	if d := b.now.Sub(start); d > 2*time.Second {
		t.Errorf("after %v", d)
	}
	// TCP-06: the id stays allocated; every request fails until CLOSE.
	if r := b.h.recv(0, recvOf(3, 9)); r.Status >= 0 {
		t.Errorf("RECV %v", r.Status)
	}
	b.h.sendData(hif.OpSend, hif.Send{Sock: 3, Session: 9}, []byte("x"))
	if s := b.h.sent(0, 3, 9); s >= 0 {
		t.Errorf("SEND %v", s)
	}
	if s := b.h.connect(3, netip.AddrPortFrom(peerIP, 81), 9); s >= 0 {
		t.Errorf("CONNECT %v", s)
	}
}

func TestTCP04_ConnectToSilence(t *testing.T) {
	b, p := online(t)
	// On the link, but not answering TCP: a peer that holds every SYN.
	if _, err := p.s.Listen(b.now, netip.AddrPortFrom(peerIP, 80), stack.ListenConfig{Hold: true}); err != nil {
		t.Fatal(err)
	}
	start := b.now
	if s := b.h.connect(0, netip.AddrPortFrom(peerIP, 80), 1); s != hif.StatusTimeout {
		t.Errorf("status %v, want timeout", s)
	}
	if d := b.now.Sub(start); d < 29*time.Second || d > 31*time.Second {
		t.Errorf("after %v, want about 30 s", d)
	}
}

func TestTCP05_BadConnects(t *testing.T) {
	b, _ := online(t)
	if s := b.h.connect(7, netip.AddrPortFrom(peerIP, 80), 1); s != hif.StatusInvalid {
		t.Errorf("on a UDP socket: %v", s)
	}
	for i, a := range []string{"0.0.0.0:80", "192.168.1.1:0", "255.255.255.255:80", "192.168.1.255:80", "224.0.0.1:80"} {
		if s := b.h.connect(int8(i), netip.MustParseAddrPort(a), 1); s != hif.StatusInvalidAddress {
			t.Errorf("to %s: %v", a, s)
		}
	}
	b = newBench(t)
	b.h.boot()
	if s := b.h.connect(0, netip.AddrPortFrom(peerIP, 80), 1); s != hif.StatusInvalid {
		t.Errorf("without an address: %v", s)
	}
}

func TestTCP07_TCP08_SizesOfASend(t *testing.T) {
	b, p, c := pair(t)
	for _, n := range []int{0, 1, 2, 3, 1399, 1400} {
		want := bytes.Repeat([]byte{byte(n)}, n)
		b.h.sendData(hif.OpSend, hif.Send{Session: 1}, want)
		if n > 0 {
			if got := p.read(c, n); !bytes.Equal(got, want) {
				t.Errorf("%d bytes arrived differently", n)
			}
		}
		if s := b.h.sent(5*time.Second, 0, 1); int(s) != n {
			t.Errorf("SEND of %d: %v", n, s)
		}
	}
	b.h.sendData(hif.OpSend, hif.Send{Session: 1}, make([]byte, 1401))
	if s := b.h.sent(0, 0, 1); s != hif.StatusInvalidArg {
		t.Errorf("SEND of 1401: %v", s)
	}
	b.h.deliver(hif.OpSend, true, hif.Send{Size: 100, Session: 1}.Append(nil)) // announces more than it carries
	if s := b.h.sent(0, 0, 1); s != hif.StatusInvalidArg {
		t.Errorf("SEND without its data: %v", s)
	}
}

func TestTCP09_TCP11_SendAnswersAreAcknowledgements(t *testing.T) {
	b, p, c := pair(t)
	b.air.SetLink(apMAC, devMAC, linkDown()) // no acknowledgement gets through
	var want []byte
	for i := range 10 {
		data := bytes.Repeat([]byte{byte('a' + i)}, 10*(i+1))
		want = append(want, data...)
		b.h.sendData(hif.OpSend, hif.Send{Session: uint16(100 + i)}, data) // a new session each time
	}
	b.h.quiet(time.Second, hif.OpSend)
	b.air.SetLink(apMAC, devMAC, linkUp())
	if got := p.read(c, len(want)); !bytes.Equal(got, want) {
		t.Error("the stream is not the concatenation of the sends")
	}
	for i := range 10 {
		if s := b.h.sent(10*time.Second, 0, uint16(100+i)); int(s) != 10*(i+1) {
			t.Errorf("answer %d: %v", i, s)
		}
	}
}

func TestTCP12_HM08_FloodIsRefusedAndGoesOn(t *testing.T) {
	b, p, c := pair(t)
	chunk := make([]byte, 1400)
	total, refused := 0, false
	for i := 0; i < 2000 && !refused; i++ {
		for j := range chunk {
			chunk[j] = byte(total + j)
		}
		if refused = !b.h.sendData(hif.OpSend, hif.Send{Session: 1}, chunk); !refused {
			total += len(chunk)
		}
		b.run(time.Millisecond)
	}
	if !refused || b.dev.Counters().Refused == 0 {
		t.Fatalf("a peer that does not read has taken %d bytes", total)
	}
	// Control messages get through all the same.
	send(b.h, hif.OpGetRSSI, hif.None{})
	got := p.read(c, total)
	for i, v := range got {
		if v != byte(i) {
			t.Fatalf("byte %d is wrong", i)
		}
	}
	if len(got) != total {
		t.Errorf("the peer got %d bytes of %d", len(got), total)
	}
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
	for n := 0; n < total; n += 1400 {
		if s := b.h.sent(5*time.Second, 0, 1); s != 1400 {
			t.Fatalf("SEND %v", s)
		}
	}
	if !b.h.sendData(hif.OpSend, hif.Send{Session: 1}, chunk) {
		t.Error("still refused")
	}
	if b.dev.in.held != 0 {
		t.Errorf("%d buffers are still held", b.dev.in.held)
	}
}

func TestCloseDeliversWhatWaits(t *testing.T) {
	b, p, c := pair(t)
	total := 0
	for b.h.sendData(hif.OpSend, hif.Send{Session: 1}, make([]byte, 1400)) {
		total += 1400
		b.run(time.Millisecond)
	}
	b.run(time.Second)
	b.h.pump()
	b.h.inbox = nil
	b.h.pump()
	b.h.close(0, 1)
	if b.dev.fw.sockets[0].state != sockFree {
		t.Error("the id is not free after CLOSE")
	}
	if got := p.read(c, total); len(got) != total {
		t.Errorf("%d bytes of %d", len(got), total)
	}
	if b.dev.in.held != 0 || len(b.dev.fw.lingering) != 0 {
		t.Errorf("%d buffers held, %d lingering", b.dev.in.held, len(b.dev.fw.lingering))
	}
	b.h.quiet(time.Minute, hif.OpSend) // HM-11
}

func TestLingeringEnds(t *testing.T) {
	b, _, _ := pair(t)
	for b.h.sendData(hif.OpSend, hif.Send{Session: 1}, make([]byte, 1400)) {
		b.run(time.Millisecond)
	}
	b.h.close(0, 1)
	b.run(lingerTime + time.Second) // the peer never reads
	if b.dev.in.held != 0 || len(b.dev.fw.lingering) != 0 {
		t.Errorf("%d buffers held, %d lingering", b.dev.in.held, len(b.dev.fw.lingering))
	}
}

func TestTCP14_HM12_BufferLength(t *testing.T) {
	b, _, c := pair(t)
	c.Write(b.now, []byte("0123456789abcdefghijvwxyz"))
	b.run(time.Second)
	var got []int
	var all []byte
	for range 3 {
		m := recvOf(0, 1)
		m.Buffer = 10
		r := b.h.recv(0, m)
		got, all = append(got, int(r.Status)), append(all, r.Data...)
	}
	if got[0] != 10 || got[1] != 10 || got[2] != 5 || string(all) != "0123456789abcdefghijvwxyz" {
		t.Errorf("RECV %v %q, want 10 10 5 and all bytes", got, all)
	}
	m := recvOf(0, 1)
	m.Buffer = 0
	if r := b.h.recv(0, m); r.Status != hif.StatusInvalidArg {
		t.Errorf("RECV without room: %v", r.Status)
	}
	// The short form of hosts before 19.7.7 has no buffer length: up to 1400 bytes.
	c.Write(b.now, make([]byte, 3000))
	b.run(time.Second)
	if r := b.h.recv(0, hif.Recv{Timeout: hif.NoTimeout, Session: 1}); r.Status != 1400 {
		t.Errorf("short form: %v", r.Status)
	}
}

func TestTCP15_RecvTimeout(t *testing.T) {
	b, _, c := pair(t)
	start := b.now
	m := recvOf(0, 1)
	m.Timeout = 500
	if r := b.h.recv(2*time.Second, m); r.Status != hif.StatusTimeout || len(r.Data) != 0 {
		t.Errorf("RECV %+v", r)
	}
	if d := b.now.Sub(start); d < 490*time.Millisecond || d > 510*time.Millisecond {
		t.Errorf("after %v", d)
	}
	m.Session = 77 // habit 6: another session each time
	send(b.h, hif.OpRecv, m)
	c.Write(b.now, []byte("late"))
	if r := await(b.h, time.Second, hif.OpRecv, hif.ParseRecvReply); string(r.Data) != "late" || r.Session != 77 {
		t.Errorf("RECV %+v", r)
	}
}

func TestTCP17_RecvWithoutTimeout(t *testing.T) {
	b, _, c := pair(t)
	send(b.h, hif.OpRecv, recvOf(0, 1))
	b.h.quiet(10*time.Minute, hif.OpRecv)
	c.Write(b.now, []byte("x"))
	await(b.h, time.Second, hif.OpRecv, hif.ParseRecvReply)
	b.h.quiet(time.Minute, hif.OpRecv) // one request, one answer
}

func TestTCP19_SecondRecvGetsTheOneAnswer(t *testing.T) {
	b, _, c := pair(t)
	send(b.h, hif.OpRecv, recvOf(0, 1))
	send(b.h, hif.OpRecv, recvOf(0, 2))
	c.Write(b.now, []byte("x"))
	if r := await(b.h, time.Second, hif.OpRecv, hif.ParseRecvReply); r.Session != 2 {
		t.Errorf("session %d", r.Session)
	}
	b.h.quiet(time.Second, hif.OpRecv)
	if b.dev.Counters().RecvReplaced != 1 {
		t.Error("not counted")
	}
}

func TestTCP20_WindowClosesWithoutRecv(t *testing.T) {
	b, p, c := pair(t)
	taken := 0
	for range 400 {
		n, _ := c.Write(b.now, make([]byte, 1400))
		taken += n
		b.run(10 * time.Millisecond)
	}
	if _, out := c.Buffered(); out == 0 {
		t.Fatalf("a device that nobody reads from has taken all of %d bytes", taken)
	}
	_ = p
	got := 0
	for got < taken {
		r := b.h.recv(10*time.Second, recvOf(0, 1))
		if r.Status <= 0 {
			t.Fatalf("RECV %v after %d of %d bytes", r.Status, got, taken)
		}
		got += int(r.Status)
	}
}

func TestTCP23_Reset(t *testing.T) {
	b, _, c := pair(t)
	send(b.h, hif.OpRecv, recvOf(0, 1))
	b.air.SetLink(apMAC, devMAC, linkDown()) // so that the send is not answered
	b.h.sendData(hif.OpSend, hif.Send{Session: 3}, []byte("lost"))
	b.run(10 * time.Millisecond)
	b.air.SetLink(apMAC, devMAC, linkUp())
	c.Abort(b.now)
	if s := b.h.sent(5*time.Second, 0, 3); s != hif.StatusAborted && s != 4 {
		t.Errorf("SEND %v", s)
	}
	if r := await(b.h, 5*time.Second, hif.OpRecv, hif.ParseRecvReply); r.Status != hif.StatusAborted {
		t.Errorf("RECV %v", r.Status)
	}
	if r := b.h.recv(0, recvOf(0, 1)); r.Status != hif.StatusAborted {
		t.Errorf("RECV again %v", r.Status)
	}
	b.h.sendData(hif.OpSend, hif.Send{Session: 4}, []byte("x"))
	if s := b.h.sent(0, 0, 4); s >= 0 {
		t.Errorf("SEND after reset %v", s)
	}
}

func TestTCP26_HM11_NothingAfterClose(t *testing.T) {
	b, _, c := pair(t)
	send(b.h, hif.OpRecv, recvOf(0, 1))
	b.h.hold = true // the answers are queued but not fetched
	b.h.sendData(hif.OpSend, hif.Send{Session: 1}, []byte("x"))
	send(b.h, hif.OpGetRSSI, hif.None{})
	b.h.hold = false
	c.Write(b.now, []byte("data for the dead"))
	b.run(time.Second)
	b.h.close(0, 1)
	b.h.pump()
	for _, m := range b.h.inbox[1:] { // the first was posted before CLOSE
		if m.op.Group() == hif.GroupIP {
			t.Errorf("%v after CLOSE", m.op)
		}
	}
	b.h.quiet(time.Minute, hif.OpRecv)
}

// A megabyte there and back over a link that loses, duplicates and reorders.
func TestTCP27_EchoOverABadLink(t *testing.T) {
	b, _, c := pair(t)
	bad := air.Link{Loss: 0.05, Duplicate: 0.02, Reorder: 0.05, Delay: time.Millisecond, Jitter: 2 * time.Millisecond}
	b.air.SetLink(apMAC, devMAC, bad)
	b.air.SetLink(devMAC, apMAC, bad)
	const total = 1 << 20
	want := func(i int) byte { return byte(i*31 + i>>8) }
	sent, got, owed := 0, 0, 0
	var pending []byte // the peer's echo that its window has no room for
	buf := make([]byte, 64<<10)
	posted := false
	b.until(20*time.Minute, "the last byte", func() bool {
		for sent < total && owed < 20 {
			n := min(1400, total-sent)
			chunk := make([]byte, n)
			for i := range chunk {
				chunk[i] = want(sent + i)
			}
			if !b.h.sendData(hif.OpSend, hif.Send{Session: 1}, chunk) {
				break
			}
			sent, owed = sent+n, owed+1
		}
		n, _ := c.Read(b.now, buf)
		pending = append(pending, buf[:n]...)
		n, _ = c.Write(b.now, pending)
		pending = pending[n:]
		if !posted {
			send(b.h, hif.OpRecv, recvOf(0, 1))
			posted = true
		}
		b.h.pump()
		for _, m := range b.h.inbox {
			switch m.op {
			case hif.OpSend:
				owed--
			case hif.OpRecv:
				r, err := hif.ParseRecvReply(m.payload)
				if err != nil || r.Status <= 0 {
					t.Fatalf("after %d bytes: %v, %v", got, r.Status, err)
				}
				for i, v := range r.Data {
					if v != want(got+i) {
						t.Fatalf("byte %d is %#x", got+i, v)
					}
				}
				got, posted = got+len(r.Data), false
			default:
				t.Fatalf("unexpected %v", m.op)
			}
		}
		b.h.inbox = b.h.inbox[:0]
		return got == total
	})
}

// The same calls give the same bytes on the bus and on the air.
func TestSameCallsSameResults(t *testing.T) {
	run := func() (hash uint64) {
		b := newBench(t).withAP(secret)
		p := b.withPeer(peerIP)
		serveDHCP(t, p, time.Hour)
		b.air.Tap(func(now time.Time, f air.Frame) {
			for _, v := range f.Data {
				hash = (hash ^ uint64(v)) * 1099511628211
			}
			hash ^= uint64(now.UnixNano())
		})
		b.h.boot()
		b.h.join(secret)
		await(b.h, 20*time.Second, hif.OpDHCPConf, hif.ParseIPConfig)
		p.listen(80)
		b.h.connect(0, netip.AddrPortFrom(peerIP, 80), 1)
		b.h.sendData(hif.OpSend, hif.Send{Session: 1}, []byte("hello"))
		b.h.sent(time.Second, 0, 1)
		return hash
	}
	if one, two := run(), run(); one != two {
		t.Errorf("hashes of the frames differ: %x, %x", one, two)
	}
}

func TestTCP30_KeepAlive(t *testing.T) {
	b, _, _ := pair(t)
	for o, v := range map[hif.SockOption]uint32{hif.OptKeepAlive: 1, hif.OptKeepAliveIdle: 4, hif.OptKeepAliveInterval: 2, hif.OptKeepAliveCount: 3} {
		send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Value: v, Option: o, Session: 1})
	}
	send(b.h, hif.OpRecv, recvOf(0, 1))
	b.peers = nil // the peer is gone
	start := b.now
	r := await(b.h, 20*time.Second, hif.OpRecv, hif.ParseRecvReply)
	if d := b.now.Sub(start); r.Status != hif.StatusAborted || d < 4*time.Second || d > 7*time.Second {
		t.Errorf("RECV %v after %v, want aborted after about 5 s", r.Status, d)
	}
}

func TestBind(t *testing.T) {
	b, _ := online(t)
	check := func(what string, got, want hif.Status) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("BND-01", b.h.bind(0, 80, 1), hif.StatusOK)
	check("BND-02 port 0", b.h.bind(1, 0, 2), hif.StatusInvalidAddress)
	check("BND-03 same port", b.h.bind(2, 80, 3), hif.StatusAddressInUse)
	check("BND-04 the other protocol", b.h.bind(7, 80, 4), hif.StatusOK)
	check("BND-03 same port, UDP", b.h.bind(8, 80, 5), hif.StatusAddressInUse)
	check("BND-07 twice", b.h.bind(0, 81, 1), hif.StatusInvalid)
	send(b.h, hif.OpBind, hif.Bind{Addr: netip.MustParseAddrPort("10.0.0.1:99"), Sock: 3, Session: 6})
	check("BND-05 not our address", await(b.h, 0, hif.OpBind, hif.ParseBindReply).Status, hif.StatusInvalidAddress)
	send(b.h, hif.OpBind, hif.Bind{Addr: netip.AddrPortFrom(staticIP, 99), Sock: 3, Session: 6})
	check("our address", await(b.h, 0, hif.OpBind, hif.ParseBindReply).Status, hif.StatusOK)
	check("LSN-02 not bound", b.h.listen(4, 7), hif.StatusInvalid)
	check("LISTEN on UDP", b.h.listen(7, 4), hif.StatusInvalid)
	check("LSN-01", b.h.listen(0, 1), hif.StatusOK)
	check("LISTEN twice", b.h.listen(0, 1), hif.StatusInvalid)
	b.h.close(0, 1)
	check("a port just closed", b.h.bind(5, 80, 8), hif.StatusOK)

	old := newBench(t)
	old.h.version = 0x13521352
	old.h.boot()
	check("port 0 of an older host", old.h.bind(7, 0, 1), hif.StatusOK)
	check("before there is an address", old.h.bind(0, 80, 1), hif.StatusOK)
}

// serve makes socket 0 listen at port 80.
func (h *host) serve() {
	h.b.t.Helper()
	if s := h.bind(0, 80, 1); s != 0 {
		h.b.t.Fatalf("bind: %v", s)
	}
	if s := h.listen(0, 1); s != 0 {
		h.b.t.Fatalf("listen: %v", s)
	}
}

func (p *peer) dial(port uint16) stack.TCP {
	p.b.t.Helper()
	c, err := p.s.Dial(p.b.now, netip.AddrPort{}, netip.AddrPortFrom(staticIP, port))
	if err != nil {
		p.b.t.Fatal(err)
	}
	return c
}

func TestLSN03_LSN04_LSN08_HM10_Accept(t *testing.T) {
	b, p := online(t)
	b.h.serve()
	one, two := p.dial(80), p.dial(80)
	first := await(b.h, 5*time.Second, hif.OpAccept, hif.ParseAccept)
	second := await(b.h, 5*time.Second, hif.OpAccept, hif.ParseAccept)
	if first.Listener != 0 || first.Sock != 6 || second.Sock != 5 || first.AppDataOffset != 88 || first.Peer != one.LocalAddr() || second.Peer != two.LocalAddr() {
		t.Errorf("events %+v %+v", first, second)
	}
	one.Write(b.now, []byte("to six"))
	two.Write(b.now, []byte("to five"))
	b.h.quiet(time.Second, hif.OpRecv)
	if r := b.h.recv(0, recvOf(6, 100)); string(r.Data) != "to six" {
		t.Errorf("socket 6 got %q", r.Data)
	}
	if r := b.h.recv(0, recvOf(5, 101)); string(r.Data) != "to five" {
		t.Errorf("socket 5 got %q", r.Data)
	}
	b.h.sendData(hif.OpSend, hif.Send{Sock: 6, Session: 100}, []byte("answer"))
	if got := p.read(one, 6); string(got) != "answer" {
		t.Errorf("the peer got %q", got)
	}
	b.h.close(0, 1) // LSN-06: children live on, new attempts are reset
	b.h.sendData(hif.OpSend, hif.Send{Sock: 5, Session: 101}, []byte("alive"))
	p.read(two, 5)
	three := p.dial(80)
	b.until(time.Second, "RST", func() bool { return errors.Is(three.Err(), stack.ErrRefused) })
}

func TestLSN05_NoFreeID(t *testing.T) {
	b, p := online(t)
	b.h.serve()
	var conns []stack.TCP
	for range 7 {
		conns = append(conns, p.dial(80))
	}
	for range 6 {
		await(b.h, 5*time.Second, hif.OpAccept, hif.ParseAccept)
	}
	b.h.quiet(3*time.Second, hif.OpAccept)
	waiting := 0
	for _, c := range conns {
		if c.Info().State.String() != "ESTABLISHED" {
			waiting++
		}
	}
	if waiting != 1 {
		t.Errorf("%d attempts are not completed, want 1", waiting)
	}
	b.h.close(3, 0)
	if m := await(b.h, time.Minute, hif.OpAccept, hif.ParseAccept); m.Sock != 3 {
		t.Errorf("the retry got id %d, want 3", m.Sock)
	}
}

func TestAcceptAvoidsIDsThatTheHostHasNamed(t *testing.T) {
	b, p := online(t)
	b.h.serve()
	send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Sock: 6, Option: hif.OptKeepAlive, Session: 9})
	p.dial(80)
	if m := await(b.h, 5*time.Second, hif.OpAccept, hif.ParseAccept); m.Sock != 5 {
		t.Errorf("the connection got id %d, which the host uses", m.Sock)
	}
}

func TestHostClaimsAnAcceptedID(t *testing.T) {
	b, p := online(t)
	b.h.serve()
	c := p.dial(80)
	m := await(b.h, 5*time.Second, hif.OpAccept, hif.ParseAccept)
	l := p.listen(81)
	if s := b.h.connect(m.Sock, netip.AddrPortFrom(peerIP, 81), 50); s != hif.StatusOK {
		t.Errorf("connect: %v", s)
	}
	p.accept(l)
	b.until(time.Second, "reset of the accepted connection", func() bool { return errors.Is(c.Err(), stack.ErrReset) })
}

func TestVanishedHostIsReplaced(t *testing.T) {
	b, _, c := pair(t)
	if s := b.h.bind(0, 99, 1234); s != hif.StatusOK { // the same id, a new session, no CLOSE
		t.Errorf("bind: %v", s)
	}
	b.until(time.Second, "reset", func() bool { return errors.Is(c.Err(), stack.ErrReset) })
	if b.dev.Counters().SocketsReused != 1 {
		t.Error("not counted")
	}
}

// An ACCEPT that is still queued when its listener is closed must not come, and its connection has no owner.
func TestHM11_AcceptOfAClosedListener(t *testing.T) {
	b, p := online(t)
	b.h.serve()
	send(b.h, hif.OpGetRSSI, hif.None{}) // stands before the host, so ACCEPT waits
	c := p.dial(80)
	b.run(time.Second)
	b.h.close(0, 1)
	b.h.quiet(time.Second, hif.OpAccept)
	b.until(time.Second, "reset", func() bool { return errors.Is(c.Err(), stack.ErrReset) })
	if !b.dev.fw.noSockets() {
		t.Error("the child keeps its id")
	}
}

func TestUDP(t *testing.T) {
	b, p := online(t)
	u, err := p.s.ListenUDP(b.now, netip.AddrPortFrom(peerIP, 5353), stack.UDPConfig{})
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(peerIP, 5353)
	if s := b.h.bind(7, 5000, 1); s != 0 {
		t.Fatal(s)
	}
	read := func() (string, netip.AddrPort) {
		t.Helper()
		buf := make([]byte, 2000)
		var n int
		var from netip.AddrPort
		b.until(time.Second, "datagram at the peer", func() bool {
			n, from, err = u.ReadFrom(b.now, buf)
			return err == nil
		})
		return string(buf[:n]), from
	}
	sendTo := func(op hif.Op, m hif.Send, data string) hif.Status {
		t.Helper()
		b.h.sendData(op, m, []byte(data))
		return await(b.h, 0, op, hif.ParseSendReply).Status
	}
	if s := sendTo(hif.OpSendTo, hif.Send{Sock: 7, Session: 1}, "x"); s != hif.StatusAddrRequired { // UDP-06
		t.Errorf("SENDTO nowhere: %v", s)
	}
	if s := sendTo(hif.OpSend, hif.Send{Sock: 7, Session: 1}, "x"); s != hif.StatusAddrRequired {
		t.Errorf("SEND nowhere: %v", s)
	}
	if s := sendTo(hif.OpSendTo, hif.Send{Sock: 7, Session: 1, Addr: to}, "one"); s != 3 { // UDP-01
		t.Errorf("SENDTO: %v", s)
	}
	if got, from := read(); got != "one" || from != netip.AddrPortFrom(staticIP, 5000) {
		t.Errorf("%q from %v", got, from)
	}
	sendTo(hif.OpSendTo, hif.Send{Sock: 7, Session: 1}, "two") // UDP-05
	sendTo(hif.OpSend, hif.Send{Sock: 7, Session: 1}, "three") // UDP-07
	if a, _ := read(); a != "two" {
		t.Errorf("got %q", a)
	}
	if a, _ := read(); a != "three" {
		t.Errorf("got %q", a)
	}
	// UDP-02 to UDP-04, UDP-09: receiving.
	us := netip.AddrPortFrom(staticIP, 5000)
	for _, d := range []string{"", string(make([]byte, 100)), "next"} {
		u.WriteTo(b.now, []byte(d), us)
	}
	b.run(time.Second)
	m := recvOf(7, 1)
	m.Buffer = 40
	recvFrom := func(op hif.Op, m hif.Recv) hif.RecvReply {
		t.Helper()
		send(b.h, op, m)
		return await(b.h, time.Second, op, hif.ParseRecvReply)
	}
	if r := recvFrom(hif.OpRecvFrom, m); r.Status != 40 || r.Remote != to {
		t.Errorf("RECVFROM %+v", r)
	}
	if r := recvFrom(hif.OpRecv, m); string(r.Data) != "next" { // habit 7
		t.Errorf("RECV on UDP %+v", r)
	}
	if b.dev.Counters().EmptyDatagram != 1 {
		t.Error("the empty datagram was not counted")
	}
	m.Timeout = 300
	if r := recvFrom(hif.OpRecvFrom, m); r.Status != hif.StatusTimeout {
		t.Errorf("RECVFROM %v", r.Status)
	}
	// UDP-10, UDP-11: answers switched off after bind, and before it.
	send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Sock: 7, Session: 1})
	b.h.sendData(hif.OpSendTo, hif.Send{Sock: 7, Session: 1, Addr: to}, []byte("quiet"))
	b.h.quiet(time.Second, hif.OpSendTo)
	if a, _ := read(); a != "quiet" {
		t.Errorf("got %q", a)
	}
	send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Sock: 8, Session: 2})
	b.h.bind(8, 5001, 2)
	if s := sendTo(hif.OpSendTo, hif.Send{Sock: 8, Session: 2, Addr: to}, "loud"); s != 4 {
		t.Errorf("SENDTO %v", s)
	}
	// An unbound socket gets a port.
	if s := sendTo(hif.OpSendTo, hif.Send{Sock: 9, Session: 3, Addr: to}, "unbound"); s != 7 {
		t.Errorf("SENDTO %v", s)
	}
	read()
	if a, from := read(); a != "unbound" || from.Port() == 0 {
		t.Errorf("%q from %v", a, from)
	}
	// UDP-17, and RECV where nothing can come.
	b.h.sendData(hif.OpSendTo, hif.Send{Sock: 1, Session: 4, Addr: to}, []byte("x"))
	if m := await(b.h, 0, hif.OpSendTo, hif.ParseSendReply); m.Status != hif.StatusInvalid {
		t.Errorf("SENDTO on TCP: %v", m.Status)
	}
	if r := recvFrom(hif.OpRecvFrom, recvOf(10, 5)); r.Status != hif.StatusInvalid {
		t.Errorf("RECVFROM on an unbound socket: %v", r.Status)
	}
	if r := recvFrom(hif.OpRecvFrom, recvOf(2, 5)); r.Status != hif.StatusInvalid {
		t.Errorf("RECVFROM on TCP: %v", r.Status)
	}
}

func TestUDP15_Multicast(t *testing.T) {
	b, p := online(t)
	b.h.bind(7, 5000, 1)
	u, _ := p.s.ListenUDP(b.now, netip.AddrPort{}, stack.UDPConfig{TTL: 1})
	group := netip.MustParseAddrPort("239.1.2.3:5000")
	u.WriteTo(b.now, []byte("before"), group)
	b.run(time.Second)
	send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Sock: 7, Session: 1, Option: hif.OptJoinGroup, Value: hif.GroupValue([4]byte{239, 1, 2, 3})})
	b.run(time.Second)
	u.WriteTo(b.now, []byte("member"), group)
	send(b.h, hif.OpRecvFrom, recvOf(7, 1))
	if r := await(b.h, time.Second, hif.OpRecvFrom, hif.ParseRecvReply); string(r.Data) != "member" {
		t.Errorf("got %q", r.Data)
	}
	send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Sock: 7, Session: 1, Option: hif.OptLeaveGroup, Value: hif.GroupValue([4]byte{239, 1, 2, 3})})
	u.WriteTo(b.now, []byte("after"), group)
	send(b.h, hif.OpRecvFrom, recvOf(7, 1))
	b.h.quiet(time.Second, hif.OpRecvFrom)
}

func TestBadSocketsAreNotAnswered(t *testing.T) {
	b, _ := online(t)
	for _, id := range []int8{-1, 11, 127, -128} {
		send(b.h, hif.OpBind, bindTo(id, 80, 1))
		send(b.h, hif.OpListen, hif.Listen{Sock: id})
		send(b.h, hif.OpSockConnect, hif.SockConnect{Addr: netip.AddrPortFrom(peerIP, 80), Sock: id})
		send(b.h, hif.OpRecv, recvOf(id, 1))
		send(b.h, hif.OpClose, hif.Close{Sock: id})
		send(b.h, hif.OpSetSocketOpt, hif.SocketOption{Sock: id})
		b.h.sendData(hif.OpSend, hif.Send{Sock: id}, []byte("x"))
	}
	b.run(time.Second)
	b.h.pump()
	if len(b.h.inbox) != 0 {
		t.Errorf("answers about sockets that are none: %v", b.h.inbox)
	}
	if n := b.dev.Counters().BadSocket; n != 28 {
		t.Errorf("%d counted, want 28", n)
	}
}

func TestDNS(t *testing.T) {
	b, p := online(t)
	zone := new(dns.Server)
	zone.Set("example.test", 0, netip.MustParseAddr("10.1.2.3"))
	p.s.ServeDNS(zone)
	ask := func(name string, d time.Duration) hif.DNSReply {
		t.Helper()
		send(b.h, hif.OpDNSResolve, hif.DNSResolve{Name: name})
		m := await(b.h, d, hif.OpDNSResolve, hif.ParseDNSReply)
		if m.Name != name {
			t.Errorf("asked for %q, told about %q", name, m.Name)
		}
		return m
	}
	if m := ask("example.test", 5*time.Second); m.IP != [4]byte{10, 1, 2, 3} { // CBK-02
		t.Errorf("got %v", m.IP)
	}
	if m := ask("nowhere.test", 5*time.Second); m.IP != [4]byte{} { // CBK-03
		t.Errorf("got %v", m.IP)
	}
	if m := ask("192.0.2.7", 0); m.IP != [4]byte{192, 0, 2, 7} { // habit 10
		t.Errorf("got %v", m.IP)
	}
	p.s.ServeDNS(nil)
	b.peers = nil
	start := b.now
	if m := ask("example.org", 40*time.Second); m.IP != [4]byte{} { // CBK-04
		t.Errorf("got %v", m.IP)
	}
	if d := b.now.Sub(start); d > 31*time.Second {
		t.Errorf("a silent server was given up after %v", d)
	}
}

func TestDNSWithoutAnAddressFailsAtOnce(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpDNSResolve, hif.DNSResolve{Name: "example.test"})
	if m := await(b.h, 0, hif.OpDNSResolve, hif.ParseDNSReply); m.IP != [4]byte{} {
		t.Errorf("got %v", m.IP)
	}
	for range 3 * maxPending { // bounded, and each is answered
		send(b.h, hif.OpDNSResolve, hif.DNSResolve{Name: "example.test"})
		await(b.h, 0, hif.OpDNSResolve, hif.ParseDNSReply)
	}
}

func TestDNSTimeoutOfOldHosts(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.version = 0x13521352
	b.h.boot()
	b.h.static()
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	start := b.now
	send(b.h, hif.OpDNSResolve, hif.DNSResolve{Name: "example.org"})
	await(b.h, 30*time.Second, hif.OpDNSResolve, hif.ParseDNSReply)
	if d := b.now.Sub(start); d >= 20*time.Second {
		t.Errorf("after %v: that host waits 20 s and takes the answer for the next one's", d)
	}
}

func TestPing(t *testing.T) {
	b, _ := online(t)
	ping := func(ip string, d time.Duration) hif.PingReply {
		t.Helper()
		m := hif.Ping{IP: netip.MustParseAddr(ip).As4(), Private: 0xdeadbeef, Count: 1, TTL: 128}
		send(b.h, hif.OpPing, m)
		r := await(b.h, d, hif.OpPing, hif.ParsePingReply)
		if r.IP != m.IP || r.Private != m.Private || r.Success+r.Failures != 1 {
			t.Errorf("ping %s: %+v", ip, r)
		}
		return r
	}
	if r := ping("192.168.1.1", time.Second); r.Error != hif.PingOK || r.RTT > 10 { // ICM-01
		t.Errorf("%+v", r)
	}
	if r := ping("192.168.1.9", 5*time.Second); r.Error != hif.PingUnreachable || r.RTT != 0 { // no answer to ARP
		t.Errorf("%+v", r)
	}
	if r := ping("255.255.255.255", 0); r.Error != hif.PingUnreachable {
		t.Errorf("%+v", r)
	}
	b.peers = nil
	start := b.now
	if r := ping("192.168.1.1", 5*time.Second); r.Error != hif.PingTimeout { // ICM-02
		t.Errorf("%+v", r)
	}
	if d := b.now.Sub(start); d < 3*time.Second || d > 4500*time.Millisecond {
		t.Errorf("timed out after %v, want about 4 s", d)
	}
	send(b.h, hif.OpDisconnect, hif.None{})
	if r := ping("192.168.1.1", 0); r.Error != hif.PingUnreachable { // ICM-10
		t.Errorf("%+v", r)
	}
}

func TestPingSeveral(t *testing.T) {
	b, _ := online(t)
	send(b.h, hif.OpPing, hif.Ping{IP: peerIP.As4(), Private: 1, Count: 3})
	if r := await(b.h, time.Second, hif.OpPing, hif.ParsePingReply); r.Success != 3 || r.Failures != 0 {
		t.Errorf("%+v", r)
	}
	b.h.quiet(10*time.Second, hif.OpPing)
}

func TestWIF01_LinkLoss(t *testing.T) {
	b, p, _ := pair(t)
	b.h.bind(7, 5000, 7)
	if _, err := p.s.Listen(b.now, netip.AddrPortFrom(peerIP, 90), stack.ListenConfig{Hold: true}); err != nil {
		t.Fatal(err)
	}
	b.h.pump()
	send(b.h, hif.OpRecv, recvOf(0, 1))
	send(b.h, hif.OpRecvFrom, recvOf(7, 7))
	send(b.h, hif.OpSockConnect, hif.SockConnect{Addr: netip.AddrPortFrom(peerIP, 90), Sock: 1, Session: 2})
	b.peers = nil
	send(b.h, hif.OpDNSResolve, hif.DNSResolve{Name: "example.test"})
	b.h.sendData(hif.OpSend, hif.Send{Session: 9}, []byte("lost"))
	send(b.h, hif.OpPing, hif.Ping{IP: peerIP.As4(), Private: 3, Count: 1})
	b.run(100 * time.Millisecond)
	b.h.inbox = nil
	b.ap.Stop(b.now)
	b.until(20*time.Second, "ping answer", func() bool {
		b.h.pump()
		for _, m := range b.h.inbox {
			if m.op == hif.OpPing {
				return true
			}
		}
		return false
	})
	var order []hif.Op
	for _, m := range b.h.inbox {
		order = append(order, m.op)
	}
	want := []hif.Op{hif.OpStateChanged, hif.OpSend, hif.OpRecv, hif.OpSockConnect, hif.OpRecvFrom, hif.OpDNSResolve, hif.OpPing}
	if len(order) != len(want) {
		t.Fatalf("got %v\nwant %v", order, want)
	}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("got %v\nwant %v", order, want)
		}
	}
	if m := await(b.h, 0, hif.OpSend, hif.ParseSendReply); m.Status != hif.StatusAborted || m.Session != 9 {
		t.Errorf("SEND %+v", m)
	}
	if m := await(b.h, 0, hif.OpRecv, hif.ParseRecvReply); m.Status != hif.StatusAborted {
		t.Errorf("RECV %+v", m)
	}
	if m := await(b.h, 0, hif.OpSockConnect, hif.ParseSockConnectReply); m.Status != hif.StatusAborted || m.Sock != 1 {
		t.Errorf("CONNECT %+v", m)
	}
	if m := await(b.h, 0, hif.OpDNSResolve, hif.ParseDNSReply); m.IP != [4]byte{} {
		t.Errorf("DNS %+v", m)
	}
	if m := await(b.h, 0, hif.OpPing, hif.ParsePingReply); m.Error != hif.PingUnreachable {
		t.Errorf("PING %+v", m)
	}
	// WIF-05: after rejoining old ids fail until they are closed, new ones work.
	b.h.inbox = nil
	b.peers = []*peer{p}
	b.ap.Start(b.now)
	b.h.join("")
	if r := b.h.recv(0, recvOf(0, 1)); r.Status != hif.StatusAborted {
		t.Errorf("RECV on an old socket: %v", r.Status)
	}
	b.h.sendData(hif.OpSendTo, hif.Send{Sock: 7, Session: 7, Addr: netip.AddrPortFrom(peerIP, 1)}, []byte("x"))
	if m := await(b.h, 0, hif.OpSendTo, hif.ParseSendReply); m.Status != hif.StatusAborted {
		t.Errorf("SENDTO on an old socket: %v", m.Status)
	}
	if s := b.h.connect(2, netip.AddrPortFrom(peerIP, 80), 20); s != hif.StatusOK {
		t.Errorf("new socket: %v", s)
	}
	b.h.close(0, 1)
	if s := b.h.connect(0, netip.AddrPortFrom(peerIP, 80), 21); s != hif.StatusOK {
		t.Errorf("old id after CLOSE: %v", s)
	}
}

package device

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/tcp"
)

// busy is a device with open sockets of every kind, in a network with a peer.
func busy(t testing.TB) *bench {
	t.Helper()
	b, p, _ := pair(t)
	b.h.bind(1, 81, 2)
	b.h.listen(1, 2)
	b.h.bind(7, 5000, 3)
	p.listen(90)
	p.dial(81)
	b.run(time.Second)
	b.h.pump()
	send(b.h, hif.OpRecv, recvOf(0, 1))
	send(b.h, hif.OpRecvFrom, recvOf(7, 3))
	b.h.inbox = nil
	return b
}

// checkBounds fails if anything has grown that must not, or if the device does not answer any more after a reset.
func checkBounds(t testing.TB, b *bench) {
	t.Helper()
	d := b.dev
	if n := d.out.n; n > maxQueue {
		t.Errorf("%d messages queued", n)
	}
	if n := len(d.regs.stored); n > maxStoredRegisters {
		t.Errorf("%d registers stored", n)
	}
	if d.in.held > d.profile.SendBuffers {
		t.Errorf("%d buffers held", d.in.held)
	}
	if f := d.fw; f != nil {
		if len(f.dns) > maxPending || len(f.pings) > maxPending || len(f.lingering) > d.profile.SendBuffers {
			t.Errorf("%d lookups, %d pings, %d lingering", len(f.dns), len(f.pings), len(f.lingering))
		}
		held := 0
		for i := range f.sockets {
			s := &f.sockets[i]
			held += len(s.tx.held)
			at := s.connectBy
			if s.rx.pending {
				at = earlier(at, s.rx.deadline)
			}
			if earlier(f.soonest, at) != f.soonest {
				t.Errorf("socket %d wants a look at %v, the firmware at %v", i, at, f.soonest)
			}
			if s.tx.n > maxSends+d.profile.SendBuffers+2 {
				t.Errorf("socket %d has %d sends outstanding", i, s.tx.n)
			}
		}
		for _, l := range f.lingering {
			held += len(l.held)
		}
		if held != d.in.held {
			t.Errorf("%d buffers held, sockets know of %d", d.in.held, held)
		}
	}
	d.Snapshot()
	d.Reset(b.now, true)
	d.Reset(b.now, false)
	b.h = newHost(b)
	b.h.boot()
	send(b.h, hif.OpGetRSSI, hif.None{})
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
}

// FuzzSPI feeds arbitrary bytes to the bus of a busy device. The first byte of the input cuts it into windows.
func FuzzSPI(f *testing.F) {
	f.Add([]byte{0, 0xca, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0xc9, 0, 0x10, 0x8c, 0, 8, 5, 1, 0xc9, 0, 0x10, 0x78, 0, 0, 0, 2})
	f.Add([]byte{3, 0xc7, 0x0d, 0x80, 0, 0, 0, 8, 0xf3, 1, 5, 8, 0, 0, 0, 0, 0, 0xc9, 0, 0x10, 0x6c, 0, 0x36, 0, 2})
	f.Add([]byte{0, 0xc9, 0, 0x14, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0xc8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 2 || len(in) > 4096 {
			return
		}
		b := busy(t)
		size, in := int(in[0])+1, in[1:]
		r := make([]byte, size)
		for len(in) > 0 {
			n := min(size, len(in))
			b.dev.Tx(b.now, in[:n], r[:n])
			in = in[n:]
			b.run(time.Millisecond)
		}
		b.run(time.Second)
		checkBounds(t, b)
	})
}

// FuzzMessages feeds arbitrary messages to a busy device, with a host that fetches some of the answers: a message is
// group, opcode, flags, length of the payload, payload.
func FuzzMessages(f *testing.F) {
	seed := func(op hif.Op, p hif.Payload) []byte {
		b := p.Append(nil)
		return append([]byte{byte(op.Group()), op.Code(), 0, byte(len(b))}, b...)
	}
	var all []byte
	for _, s := range [][]byte{
		seed(hif.OpConnectOld, oldConnect(ssid, "")), seed(hif.OpSockConnect, hif.SockConnect{Sock: 2, Session: 4, Addr: netip.AddrPortFrom(peerIP, 90)}),
		seed(hif.OpBind, bindTo(3, 99, 5)), seed(hif.OpListen, hif.Listen{Sock: 3, Session: 5}), seed(hif.OpRecv, recvOf(0, 1)),
		seed(hif.OpClose, hif.Close{Sock: 0}), seed(hif.OpDNSResolve, hif.DNSResolve{Name: "a.b"}), seed(hif.OpPing, hif.Ping{IP: peerIP.As4(), Count: 9}),
		seed(hif.OpStaticIP, hif.IPConfig{IP: staticIP.As4()}), seed(hif.OpScanSSIDList, hif.ScanSSIDList{SSIDs: []string{"x"}}),
		seed(hif.OpSetSocketOpt, hif.SocketOption{Sock: 7, Option: hif.OptJoinGroup, Value: 0x010203e0}), seed(hif.OpDisconnect, hif.None{}),
		append(seed(hif.OpDisconnect, hif.None{}), seed(hif.OpEnableAP, apConfig(secret))...),
		seed(hif.OpCustomIE, hif.CustomIE{Elements: []byte{221, 1, 9}}), seed(hif.OpDisableAP, hif.None{}),
		seed(hif.OpUnderstudy, hif.None{}), seed(hif.OpSHA256Finish, hif.SHA256{}), seed(hif.OpRSASign, hif.RSA{}), seed(hif.OpGetPRNG, hif.PRNG{Head: []byte{0, 0, 0, 0, 9, 0, 0, 0}}),
	} {
		f.Add(s)
		all = append(all, s...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		b := busy(t)
		b.h.hold = true
		for len(in) >= 4 {
			op, flags := hif.MakeOp(hif.Group(in[0]), in[1]), in[2]
			n := min(int(in[3]), len(in)-4)
			payload := in[4:][:n]
			in = in[4+n:]
			if flags&4 != 0 { // pad to where data are
				payload = append(append([]byte(nil), payload...), make([]byte, 1400)...)
			}
			b.h.deliver(op, flags&1 != 0, payload)
			if flags&2 == 0 {
				b.h.fetch()
			}
			b.run(time.Duration(flags>>4) * time.Second / 8)
		}
		b.run(time.Second)
		checkBounds(t, b)
	})
}

// A host that does everything that hosts do, in random order, and often wrongly, for a long time.
func TestRandomHost(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		r := rand.New(rand.NewPCG(seed, 99))
		b := busy(t)
		b.h.hold = true
		for range 1500 {
			randomStep(r, b)
		}
		checkBounds(t, b)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

var randomOps = []hif.Op{
	hif.OpSend, hif.OpSend, hif.OpSend, hif.OpRecv, hif.OpRecv, hif.OpRecv, hif.OpSendTo, hif.OpRecvFrom, hif.OpBind, hif.OpListen,
	hif.OpSockConnect, hif.OpSockConnect, hif.OpClose, hif.OpDNSResolve, hif.OpPing, hif.OpSetSocketOpt, hif.OpScan, hif.OpConnectOld,
	hif.OpDisconnect, hif.OpDefaultConnect, hif.OpGetConnInfo, hif.OpGetPRNG, hif.OpSSLConnect, hif.OpSecure, hif.OpUnderstudy,
	hif.OpSHA256Finish, hif.OpRSASign,
}

func randomStep(r *rand.Rand, b *bench) {
	id, session := int8(r.IntN(12)), uint16(r.IntN(4))
	port := uint16(80 + r.IntN(12))
	op := randomOps[r.IntN(len(randomOps))]
	switch op {
	case hif.OpSend, hif.OpSendTo:
		b.h.sendData(op, hif.Send{Sock: id, Session: session, Addr: netip.AddrPortFrom(peerIP, port)}, make([]byte, r.IntN(1402)))
	case hif.OpRecv, hif.OpRecvFrom:
		m := recvOf(id, session)
		if r.IntN(2) == 0 {
			m.Timeout = uint32(r.IntN(3000))
		}
		send(b.h, op, m)
	case hif.OpBind:
		send(b.h, op, bindTo(id, port, session))
	case hif.OpListen:
		send(b.h, op, hif.Listen{Sock: id, Session: session})
	case hif.OpSockConnect, hif.OpSSLConnect, hif.OpSecure:
		send(b.h, op, hif.SockConnect{Addr: netip.AddrPortFrom(peerIP, port), Sock: id, Flags: hif.TLSFlags(r.IntN(256)), Session: session})
	case hif.OpClose:
		send(b.h, op, hif.Close{Sock: id, Session: session})
	case hif.OpDNSResolve:
		send(b.h, op, hif.DNSResolve{Name: "some.name"})
	case hif.OpPing:
		send(b.h, op, hif.Ping{IP: peerIP.As4(), Count: uint16(r.IntN(20))})
	case hif.OpSetSocketOpt:
		send(b.h, op, hif.SocketOption{Sock: id, Option: hif.SockOption(r.IntN(9)), Value: r.Uint32(), Session: session})
	case hif.OpScan:
		send(b.h, op, hif.Scan{Channel: uint8(r.IntN(16))})
	case hif.OpConnectOld:
		send(b.h, op, oldConnect(ssid, ""))
	case hif.OpGetPRNG:
		p := make([]byte, 8)
		binary.LittleEndian.PutUint16(p[4:], uint16(r.IntN(2000)))
		b.h.deliver(op, true, p)
	case hif.OpSHA256Finish, hif.OpRSASign:
		b.h.deliver(op, r.IntN(2) == 0, make([]byte, r.IntN(700)))
	case hif.OpDisconnect, hif.OpDefaultConnect:
		if r.IntN(10) == 0 {
			send(b.h, op, hif.None{})
		}
	default:
		send(b.h, op, hif.None{})
	}
	if r.IntN(3) > 0 {
		b.h.fetch()
	}
	if r.IntN(20) == 0 {
		p := b.peers[0]
		p.s.Dial(b.now, netip.AddrPort{}, netip.AddrPortFrom(staticIP, port))
	}
	if r.IntN(4) == 0 {
		b.run(time.Duration(r.IntN(2000)) * time.Millisecond)
	}
}

func TestSYNFloodTakesNoSockets(t *testing.T) {
	b, p := online(t)
	b.h.serve()
	// 500 SYNs from a peer that never answers: dials that are aborted before their SYN-ACK comes.
	for i := range 500 {
		c, err := p.s.Dial(b.now, netip.AddrPort{}, netip.AddrPortFrom(staticIP, 80))
		if err != nil {
			t.Fatal(err)
		}
		if i > 7 {
			b.run(time.Microsecond)
		}
		c.Abort(b.now)
	}
	b.run(2 * time.Second)
	b.h.pump()
	b.h.inbox = nil
	p.dial(80)
	await(b.h, 10*time.Second, hif.OpAccept, hif.ParseAccept)
}

// With a host that never fetches its messages, or takes one and never says RX done, the rest of the world goes on.
func TestDeafHost(t *testing.T) {
	b, p, c := pair(t)
	b.h.hold = true
	send(b.h, hif.OpGetRSSI, hif.None{})
	for range 1000 {
		c.Write(b.now, make([]byte, 1400))
		b.h.sendData(hif.OpSend, hif.Send{Session: 1}, make([]byte, 100))
		b.run(time.Millisecond)
	}
	stuck := b.dev.Snapshot().Stuck
	if len(stuck) == 0 || stuck[0][:5] != "host:" {
		t.Errorf("the snapshot does not say who is to blame: %q", stuck)
	}
	if r, err := p.s.Ping(b.now, staticIP, stack.PingConfig{}); err != nil {
		t.Error(r, err)
	}
	before := len(p.events)
	b.run(time.Second)
	if !slices.ContainsFunc(p.events[before:], func(e stack.Event) bool { return e.Flags.Has(stack.Pong) && e.Ping.Err == nil }) {
		t.Error("the device does not answer pings any more")
	}
	checkBounds(t, b)
}

// A host that sends datagrams and does not fetch the answers is slowed down; it loses none.
func TestAnswersToDatagramsAreNotLost(t *testing.T) {
	b, _ := online(t)
	b.h.bind(7, 5000, 1)
	b.h.hold = true
	sent := 0
	for b.h.sendData(hif.OpSendTo, hif.Send{Sock: 7, Session: 1, Addr: netip.AddrPortFrom(peerIP, 9)}, []byte("x")) {
		if sent++; sent > 1000 {
			t.Fatal("never refused")
		}
	}
	b.h.hold = false
	for range sent {
		await(b.h, 0, hif.OpSendTo, hif.ParseSendReply)
	}
	if n := b.dev.Counters().RepliesLost; n != 0 || sent < 50 {
		t.Errorf("%d sent, %d answers lost", sent, n)
	}
	if !b.h.sendData(hif.OpSendTo, hif.Send{Sock: 7, Session: 1}, []byte("x")) {
		t.Error("still refused")
	}
}

func TestSnapshotSaysWhoIsToBlame(t *testing.T) {
	b, p, c := pair(t)
	c.Write(b.now, []byte("unread"))
	p.s.Listen(b.now, netip.AddrPortFrom(peerIP, 90), stack.ListenConfig{Hold: true})
	send(b.h, hif.OpSockConnect, hif.SockConnect{Addr: netip.AddrPortFrom(peerIP, 90), Sock: 1, Session: 2})
	b.run(time.Second)
	send(b.h, hif.OpGetRSSI, hif.None{})
	s := b.dev.Snapshot()
	want := []string{
		"host: WIFI/CURRENT_RSSI is posted and was not fetched; 0 messages wait behind it",
		"host: 6 bytes wait on socket 0 for a RECV",
		"network: socket 1 has no answer to SYN from 192.168.1.1:90",
	}
	if len(s.Stuck) != len(want) {
		t.Fatalf("got %q", s.Stuck)
	}
	for i := range want {
		if s.Stuck[i] != want[i] {
			t.Errorf("line %d: %q\nwant %q", i, s.Stuck[i], want[i])
		}
	}
	if s.Link != "joined" || s.Addr.Addr() != staticIP || len(s.Sockets) != 2 || s.Power != "firmware" || s.Sockets[0].In != 6 {
		t.Errorf("%+v", s)
	}
	if k := s.Sockets; k[0].Kind != "TCP" || k[0].Conn == nil || k[0].Conn.State != tcp.StateEstablished || k[0].Conn.Unread != 6 ||
		k[1].Conn == nil || k[1].Conn.State != tcp.StateSynSent {
		t.Errorf("%+v, %+v", k[0].Conn, k[1].Conn)
	}
}

// A message on the way of data costs no allocation.
func TestNoAllocationPerMessage(t *testing.T) {
	b, _, c := pair(t)
	payload := make([]byte, hif.TCPDataOffset+1400)
	hif.Send{Session: 1, Size: 1400}.Append(payload[:0])
	msg := hif.Header{Op: hif.OpSend, Len: hif.HeaderLen + len(payload)}.Append(nil)
	msg = append(msg, payload...)
	recv := hif.Header{Op: hif.OpRecv, Len: hif.HeaderLen + hif.RecvLenLong}.Append(nil)
	recv = recvOf(0, 1).Append(recv)
	buf := make([]byte, 2048)
	data := make([]byte, 1400)
	deliver := func(op hif.Op, data bool, msg []byte) {
		b.h.m.WriteReg(reg.State, hif.Request{Op: op, Data: data, Len: len(msg)}.Word())
		b.h.m.WriteReg(reg.RcvCtrl2, reg.RequestBuffer)
		a, _ := b.h.m.ReadReg(reg.RcvCtrl4)
		b.h.m.WriteBlock(a, msg)
		b.h.m.WriteReg(reg.RcvCtrl3, a<<reg.DoorbellShift|reg.Doorbell)
	}
	fetch := func() {
		for b.dev.IRQ() {
			v, _ := b.h.m.ReadReg(reg.RcvCtrl0)
			b.h.m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending)
			a, _ := b.h.m.ReadReg(reg.RcvCtrl1)
			b.h.m.ReadBlock(a, buf[:hif.ParseNotice(v).Size])
			b.h.m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending|reg.RcvDone)
		}
	}
	once := func() {
		deliver(hif.OpRecv, false, recv)
		deliver(hif.OpSend, true, msg)
		c.Write(b.now, data)
		b.run(10 * time.Millisecond)
		c.Read(b.now, buf)
		fetch()
	}
	for range 200 {
		once()
	}
	posted := b.dev.counters.Messages
	if n := testing.AllocsPerRun(500, once); n >= 1 {
		t.Errorf("%v allocations for a SEND, a RECV and their answers", n)
	}
	if n := b.dev.counters.Messages - posted; n < 1000 {
		t.Errorf("only %d messages were posted in 501 rounds", n)
	}
}

func TestUnlimitedProfile(t *testing.T) {
	b, p := online(t, func(c *Config) { c.Profile = Unlimited() })
	// Without the extension it is the real part.
	if len(b.dev.fw.sockets) != realTCPSockets+realUDPSockets {
		t.Errorf("%d sockets before the extension", len(b.dev.fw.sockets))
	}
	send(b.h, hif.OpUnderstudy, hif.None{})
	m := await(b.h, 0, hif.OpUnderstudy, hif.ParseLimits)
	if m.TCP != 96 || m.UDP != 30 || m.Send != 4000 {
		t.Fatalf("limits %+v", m)
	}
	l := p.listen(80)
	for id := range int8(20) {
		if s := b.h.connect(id, netip.AddrPortFrom(peerIP, 80), uint16(id)+1); s != 0 {
			t.Fatalf("socket %d: %v", id, s)
		}
	}
	c := p.accept(l)
	want := make([]byte, 4000)
	for i := range want {
		want[i] = byte(i)
	}
	payload := make([]byte, hif.TCPDataOffset)
	hif.Send{Sock: 0, Session: 1, Size: 4000}.Append(payload[:0])
	if !b.h.deliver(hif.OpSend, true, append(payload, want...)) {
		t.Fatal("refused")
	}
	if got := p.read(c, 4000); string(got) != string(want) {
		t.Error("4000 bytes arrived differently")
	}
	if s := b.h.sent(time.Second, 0, 1); s != 4000 {
		t.Errorf("SEND %v", s)
	}
	for n := 0; n < 4000; {
		k, _ := c.Write(b.now, want[n:])
		n += k
	}
	b.run(time.Second)
	r := recvOf(0, 1)
	r.Buffer = 4000
	if m := b.h.recv(time.Second, r); m.Status != 4000 || string(m.Data) != string(want) {
		t.Errorf("RECV %v", m.Status)
	}
	if s := b.h.bind(96, 5000, 200); s != 0 { // the first UDP socket
		t.Errorf("bind: %v", s)
	}
	// With sockets open the meaning of ids stays.
	send(b.h, hif.OpUnderstudy, hif.None{})
	if m := await(b.h, 0, hif.OpUnderstudy, hif.ParseLimits); m.TCP != 96 {
		t.Errorf("limits %+v", m)
	}
}

func TestRealProfileHasItsLimitsWithTheExtensionToo(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpUnderstudy, hif.None{})
	if m := await(b.h, 0, hif.OpUnderstudy, hif.ParseLimits); m.TCP != 7 || m.UDP != 4 || m.Send != 1400 {
		t.Errorf("limits %+v", m)
	}
}

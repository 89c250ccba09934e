package device

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/bus/hif"
)

var (
	soakFor  = flag.Duration("soak", 2*time.Hour, "virtual time that TestSoak lets pass")
	soakSeed = flag.Uint64("soakseed", 1, "seed of TestSoak")
)

// soak is a host that does whatever a seeded source says, for hours: boots as one of the known drivers, joins, transfers, sleeps, and
// loses its access point now and then.
type soak struct {
	*scripted
	b       *bench
	srv     *server
	r       *rand.Rand
	joined  bool // as the host knows it
	leased  bool
	apDown  time.Time // when the access point comes back; zero: it is there
	session uint16
	did     map[string]int
}

// TestSoak: nothing is left over and nothing is stuck after hours of connects, transfers, power save, loss of the access point
// and resets. Some hours in the normal run; a day with -soak 24h.
func TestSoak(t *testing.T) {
	b := newBench(t).withAP(secret)
	k := &soak{
		srv:      b.withServer(),
		scripted: overMemory(t, knownHosts[0], &owned{b: b}), b: b,
		r: rand.New(rand.NewPCG(*soakSeed, 0)), did: map[string]int{},
	}
	k.keep = 500 * time.Millisecond
	start := b.now
	var early uint64
	rounds := 0
	defer func() {
		t.Logf("seed %d: %v, %d rounds, %v", *soakSeed, b.now.Sub(start).Round(time.Second), rounds, k.did)
		if t.Failed() {
			t.Logf("stuck: %q", b.dev.Snapshot().Stuck)
		}
	}()
	for ; b.now.Sub(start) < *soakFor; rounds++ {
		k.round()
		if t.Failed() {
			return
		}
		if rounds == 20 {
			early = heap()
		}
	}
	if early > 0 && heap() > early+2<<20 {
		t.Errorf("the heap grew from %d to %d KiB in %d rounds", early>>10, heap()>>10, rounds)
	}
	for _, what := range []string{"boot", "join", "transfer", "datagram", "name", "ping", "scan", "serve", "refused", "access point lost", "default connect", "flash"} {
		if k.did[what] == 0 {
			t.Errorf("the soak never did: %s", what)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// round boots, does some things, and checks that nothing is left.
func (k *soak) round() {
	k.t.Helper()
	k.habits = knownHosts[k.r.IntN(len(knownHosts))]
	k.boot(k.scripted)
	k.did["boot"]++
	k.joined, k.leased, k.session = false, false, 1
	if k.extra != nil {
		k.extra(k.scripted)
	}
	for range 3 + k.r.IntN(12) {
		k.act()
		if k.t.Failed() {
			return
		}
	}
	k.settle()
}

func (k *soak) act() {
	if k.r.IntN(12) == 0 {
		k.loseAP()
	}
	k.returnAP()
	if !k.joined {
		k.join()
		return
	}
	switch k.r.IntN(11) {
	case 0, 1, 2:
		k.transfer()
	case 3:
		k.echoDatagram()
	case 4:
		k.name()
	case 5:
		k.ping()
	case 6:
		k.scan()
	case 7:
		k.mode = uint8(k.r.IntN(5))
		k.must(k.send(1, 45, []byte{k.mode, 1, 0, 0}, nil, 0), "SLEEP")
		k.idle(time.Duration(k.r.IntN(600)) * time.Second)
	case 8:
		k.readFlash()
	case 9, 10:
		k.serve()
	}
}

// loseAP takes the access point away for a while: it says goodbye, or it is not heard any more.
func (k *soak) loseAP() {
	if !k.apDown.IsZero() {
		return
	}
	k.did["access point lost"]++
	k.apDown = k.b.now.Add(time.Duration(1+k.r.IntN(90)) * time.Second)
	if k.r.IntN(2) == 0 {
		k.b.ap.Stop(k.b.now)
		return
	}
	k.b.air.SetLink(apMAC, devMAC, linkDown())
	k.b.air.SetLink(devMAC, apMAC, linkDown())
}

func (k *soak) returnAP() {
	if k.apDown.IsZero() || k.b.now.Before(k.apDown) {
		return
	}
	k.apDown = time.Time{}
	k.b.ap.Start(k.b.now)
	link := linkUp()
	if k.r.IntN(3) == 0 { // comes back, but badly heard
		link = air.Link{Loss: 0.03, Duplicate: 0.01, Reorder: 0.03, Delay: time.Millisecond, Jitter: time.Millisecond}
	}
	k.b.air.SetLink(apMAC, devMAC, link)
	k.b.air.SetLink(devMAC, apMAC, link)
}

// next waits for one of the messages. What is told about the link is noticed meanwhile.
func (k *soak) next(d time.Duration, ops ...hif.Op) (message, bool) {
	k.t.Helper()
	ops = append(ops, hif.OpStateChanged, hif.OpDHCPConf, hif.OpDHCPFailure)
	for end := k.b.now.Add(d); ; {
		m, ok := k.wait(max(end.Sub(k.b.now), 0), ops...)
		if !ok {
			return m, false
		}
		switch m.op {
		case hif.OpStateChanged:
			k.joined = m.payload[0] == 1
			if !k.joined {
				k.leased = false
			}
			return m, true
		case hif.OpDHCPConf:
			k.leased = true
		case hif.OpDHCPFailure:
			k.leased = false
		default:
			return m, true
		}
	}
}

// owed waits for what the device owes whatever happens on the air.
func (k *soak) owed(what string, d time.Duration, ops ...hif.Op) (message, bool) {
	k.t.Helper()
	m, ok := k.next(d, ops...)
	if !ok {
		k.t.Errorf("%s: %s has no answer after %v", k.habits.name, what, d)
	}
	return m, ok
}

func (k *soak) idle(d time.Duration) {
	for end := k.b.now.Add(d); k.b.now.Before(end); {
		if _, ok := k.next(end.Sub(k.b.now)); !ok {
			return
		}
	}
}

func (k *soak) join() {
	if k.r.IntN(3) == 0 && len(k.b.dev.stored) > 0 {
		k.did["default connect"]++
		k.must(k.send(1, 41, nil, nil, 0), "DEFAULT_CONNECT")
	} else {
		k.did["join"]++
		k.connectRequest(secret, true)
	}
	if m, ok := k.owed("join", time.Minute, hif.OpDefaultConnected); !ok || m.op == hif.OpDefaultConnected || !k.joined {
		k.idle(time.Duration(k.r.IntN(20)) * time.Second)
		return
	}
	for end := k.b.now.Add(30 * time.Second); k.joined && !k.leased && k.b.now.Before(end); {
		k.next(time.Second)
	}
}

// close is CLOSE. What has come for the socket and was not looked at is void, as it is for a driver, by its session.
func (k *soak) close(id byte, session uint16) {
	k.must(k.send(2, 0x49, []byte{id, 0, byte(session), byte(session >> 8)}, nil, 0), "CLOSE")
	k.inbox = slices.DeleteFunc(k.inbox, func(m message) bool { return m.op.Group() == hif.GroupIP })
}

// mine reports whether an answer to SEND or RECV is for this life of the socket; hosts drop the others.
func mine(m message, id byte, session uint16) bool {
	switch m.op {
	case hif.OpSend, hif.OpSendTo:
		return m.payload[0] == id && le.Uint16(m.payload[4:]) == session
	case hif.OpRecv, hif.OpRecvFrom:
		return m.payload[12] == id && le.Uint16(m.payload[14:]) == session
	}
	return true
}

// transfer is a connection with an echo of some data.
func (k *soak) transfer() {
	k.did["transfer"]++
	id, session := byte(k.r.IntN(7)), k.session
	k.session++
	p := append(sockaddr(netip.AddrPortFrom(peerIP, echoPort)), id, 0, byte(session), byte(session>>8))
	k.must(k.send(2, 0x44, p, nil, 0), "CONNECT")
	defer func() { k.close(id, session) }()
	m, ok := k.owed("CONNECT", time.Minute, hif.OpSockConnect)
	if !ok || m.op != hif.OpSockConnect || m.payload[1] != 0 {
		return
	}
	total := 1 + k.r.IntN(20_000)
	if k.r.IntN(6) == 0 {
		total *= 20 // more than the buffers on the way hold
	}
	if k.r.IntN(8) == 0 {
		k.loseAP()
	}
	var want, got []byte
	refused := 0
	request := []byte{0xff, 0xff, 0xff, 0xff, id, 0, byte(session), byte(session >> 8), 0x78, 5, 0, 0}
	k.must(k.send(2, 0x46, request[:k.recvLen], nil, 0), "RECV")
	for len(got) < total {
		for len(want) < total {
			data := make([]byte, min(2+k.r.IntN(1399), total-len(want)))
			for i := range data {
				data[i] = byte(k.r.Uint32())
			}
			if !k.sendData(0x45, id, session, data) {
				refused++
				break
			}
			want = append(want, data...)
		}
		m, ok := k.owed(fmt.Sprintf("RECV after %d of %d bytes", len(got), len(want)), 3*time.Minute, hif.OpRecv, hif.OpSend)
		if !ok {
			return
		}
		if !mine(m, id, session) {
			continue
		}
		switch m.op {
		case hif.OpStateChanged:
			return
		case hif.OpSend:
			if int16(le.Uint16(m.payload[2:])) < 0 {
				return
			}
		case hif.OpRecv:
			n := int16(le.Uint16(m.payload[8:]))
			if n <= 0 {
				return
			}
			got = append(got, m.payload[16:]...)
			if len(got) > len(want) || !bytes.Equal(got[len(got)-int(n):], want[len(got)-int(n):len(got)]) {
				k.t.Errorf("after %d bytes the echo is not what was sent", len(got))
				return
			}
			k.must(k.send(2, 0x46, request[:k.recvLen], nil, 0), "RECV")
		}
	}
	k.did["bytes"] += total
	k.did["refused"] += refused
}

// serve listens; a client comes, says something, hears it back, and ends or breaks the connection.
func (k *soak) serve() {
	k.did["serve"]++
	const port = 80
	id, session := byte(k.r.IntN(4)), k.session
	k.session += 2
	k.must(k.send(2, 0x41, append(sockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), port)), id, 0, byte(session), byte(session>>8)), nil, 0), "BIND")
	defer func() { k.close(id, session) }()
	if m, ok := k.owed("BIND", time.Second, hif.OpBind); !ok || m.op != hif.OpBind || m.payload[1] != 0 {
		return
	}
	k.must(k.send(2, 0x42, []byte{id, 0, byte(session), byte(session >> 8)}, nil, 0), "LISTEN")
	if m, ok := k.owed("LISTEN", time.Second, hif.OpListen); !ok || m.op != hif.OpListen || m.payload[1] != 0 {
		return
	}
	s := k.b.dev.fw.stack.Addr()
	if !s.IsValid() {
		return
	}
	client, err := k.srv.s.Dial(k.b.now, netip.AddrPort{}, netip.AddrPortFrom(s.Addr(), port))
	if err != nil {
		k.t.Errorf("the client cannot dial: %v", err)
		return
	}
	client.Write(k.b.now, []byte("question"))
	k.b.dev.touched()
	defer client.Abort(k.b.now)
	m, ok := k.next(20*time.Second, hif.OpAccept)
	if !ok || m.op != hif.OpAccept {
		return // the access point is away
	}
	child, own := m.payload[9], session+1
	defer func() { k.close(child, own) }()
	request := []byte{0xff, 0xff, 0xff, 0xff, child, 0, byte(own), byte(own >> 8), 0x78, 5, 0, 0}
	for range 2 { // the question, then the end of the connection in either form
		k.must(k.send(2, 0x46, request[:k.recvLen], nil, 0), "RECV")
		m, ok := k.next(2*time.Minute, hif.OpRecv)
		if !ok || m.op != hif.OpRecv || !mine(m, child, own) {
			return
		}
		if n := int16(le.Uint16(m.payload[8:])); n <= 0 {
			return
		}
		if string(m.payload[16:]) != "question" {
			k.t.Errorf("the client's question came as %q", m.payload[16:])
		}
		k.sendData(0x45, child, own, []byte("answer"))
		if k.r.IntN(2) == 0 {
			client.Abort(k.b.now)
		} else {
			client.Close(k.b.now)
		}
	}
}

func (k *soak) echoDatagram() {
	k.did["datagram"]++
	id, session := byte(7+k.r.IntN(4)), k.session
	k.session++
	k.must(k.send(2, 0x41, append(sockaddr(netip.MustParseAddrPort("0.0.0.0:5353")), id, 0, byte(session), byte(session>>8)), nil, 0), "BIND")
	defer func() { k.close(id, session) }()
	if m, ok := k.owed("BIND", time.Second, hif.OpBind); !ok || m.op != hif.OpBind || m.payload[1] != 0 {
		return
	}
	data := bytes.Repeat([]byte{byte(session)}, 2+k.r.IntN(1300))
	k.sendData(0x47, id, session, data)
	request := []byte{0xd0, 7, 0, 0, id, 0, byte(session), byte(session >> 8), 0xc0, 5, 0, 0} // 2 s
	k.must(k.send(2, 0x48, request[:k.recvLen], nil, 0), "RECVFROM")
	for {
		m, ok := k.owed("RECVFROM", 5*time.Second, hif.OpRecvFrom, hif.OpSendTo)
		if !ok || m.op == hif.OpStateChanged {
			return
		}
		if m.op == hif.OpRecvFrom && mine(m, id, session) {
			if n := int(int16(le.Uint16(m.payload[8:]))); n > 0 && !bytes.Equal(m.payload[16:], data) {
				k.t.Errorf("a datagram of %d bytes came back as %d others", len(data), n)
			}
			return
		}
	}
}

func (k *soak) name() {
	k.did["name"]++
	k.must(k.send(2, 0x4a, []byte(echoName+"\x00"), nil, 0), "DNS_RESOLVE")
	for {
		if m, ok := k.owed("DNS_RESOLVE", 35*time.Second, hif.OpDNSResolve); !ok || m.op == hif.OpDNSResolve {
			return
		}
	}
}

func (k *soak) ping() {
	k.did["ping"]++
	k.must(k.send(2, 0x52, append(peerIP.AsSlice(), 1, 2, 3, 4, 1, 0, 128, 0), nil, 0), "PING")
	for {
		if m, ok := k.owed("PING", 10*time.Second, hif.OpPing); !ok || m.op == hif.OpPing {
			return
		}
	}
}

func (k *soak) scan() {
	k.did["scan"]++
	k.must(k.send(1, 16, []byte{255, 0, 0, 0}, nil, 0), "SCAN")
	for {
		if m, ok := k.owed("SCAN", 20*time.Second, hif.OpScanDone); !ok || m.op == hif.OpScanDone {
			return
		}
	}
}

// readFlash looks at the flash with the firmware running, as updaters on a host do.
func (k *soak) readFlash() {
	k.did["flash"]++
	k.wake()
	if id := vendorFlash(k).id(); id != 0xc21420c2 {
		k.t.Errorf("flash id %#x", id)
	}
	k.doze()
}

// settle ends a round: with all sockets closed and some time for the rest nothing may be pending.
func (k *soak) settle() {
	k.apDown = time.Time{}
	k.b.ap.Start(k.b.now)
	k.b.air.SetLink(apMAC, devMAC, linkUp())
	k.b.air.SetLink(devMAC, apMAC, linkUp())
	k.idle(3 * time.Minute)
	k.inbox = nil
	d := k.b.dev
	s := d.Snapshot()
	if len(s.Stuck) > 0 || s.Mailbox.Held > 0 || s.Mailbox.Queued > 0 || len(s.Sockets) > 0 {
		k.t.Errorf("left over: %q, mailbox %+v, sockets %+v", s.Stuck, s.Mailbox, s.Sockets)
	}
	if n := len(d.regs.stored); n > maxStoredRegisters {
		k.t.Errorf("%d registers stored", n)
	}
	if c := s.Counters; c.RepliesLost > 0 || c.Malformed > 0 || c.NoGrant > 0 {
		k.t.Errorf("counters %+v", c)
	}
	if k.r.IntN(3) == 0 && k.joined {
		k.must(k.send(1, 43, nil, nil, 0), "DISCONNECT")
		k.owed("DISCONNECT", time.Second)
	}
}

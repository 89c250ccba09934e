package user

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
)

// A fakeEcho is a ping socket of the host that answers, or not.
type fakeEcho struct {
	replies chan echoMessage
	sent    chan echoMessage
	silent  bool
	err     error
	closed  chan struct{}
	once    sync.Once
}

type echoMessage struct {
	addr    netip.Addr
	ttl     int
	seq     uint16
	payload []byte
}

func newFakeEcho() *fakeEcho {
	return &fakeEcho{replies: make(chan echoMessage, 1000), sent: make(chan echoMessage, 1000), closed: make(chan struct{})}
}

func (f *fakeEcho) writeEcho(to netip.Addr, ttl int, seq uint16, payload []byte) error {
	if f.err != nil {
		return f.err
	}
	m := echoMessage{to, ttl, seq, bytes.Clone(payload)}
	f.sent <- m
	if !f.silent {
		f.replies <- m
	}
	return nil
}

func (f *fakeEcho) readEcho(b []byte) (netip.Addr, uint16, []byte, error) {
	select {
	case m := <-f.replies:
		return m.addr, m.seq, m.payload, nil
	case <-f.closed:
		return netip.Addr{}, 0, nil, net.ErrClosed
	}
}

func (f *fakeEcho) Close() error { f.once.Do(func() { close(f.closed) }); return nil }

func (b *bench) setEcho(f echoSocket, err error) {
	b.with(func(time.Time) { b.u.echo.open = func(uint16) (echoSocket, error) { return f, err } })
}

// ping pings from the device and returns the result.
func (b *bench) ping(to string, ttl uint8) stack.PingResult {
	b.t.Helper()
	b.with(func(now time.Time) {
		if _, err := b.s.Ping(now, netip.MustParseAddr(to), stack.PingConfig{TTL: ttl, Payload: []byte("twelve bytes"), Timeout: 3 * time.Second, Tag: b}); err != nil {
			b.t.Fatal(err)
		}
	})
	select {
	case r := <-b.pongs:
		return r
	case <-time.After(10 * time.Second):
		b.t.Fatal("no result of the ping")
	}
	panic("unreachable")
}

func TestPingOfTheGateway(t *testing.T) {
	b := newBench(t, Config{})
	if r := b.ping("10.77.0.1", 64); r.Err != nil || r.From != netip.MustParseAddr("10.77.0.1") {
		t.Errorf("%+v", r)
	}
	if s := b.u.Stats(); s.Echoes != 0 {
		t.Errorf("%d echoes went to the host", s.Echoes)
	}
}

func TestPingThroughTheHost(t *testing.T) {
	b := newBench(t, Config{})
	f := newFakeEcho()
	b.setEcho(f, nil)
	for i := range 3 {
		if r := b.ping("192.0.2.1", 9); r.Err != nil || r.From != netip.MustParseAddr("192.0.2.1") {
			t.Fatalf("ping %d: %+v", i, r)
		}
	}
	m := <-f.sent
	if m.addr != netip.MustParseAddr("192.0.2.1") || m.ttl != 8 || string(m.payload) != "twelve bytes" {
		t.Errorf("the host sent %+v", m)
	}
	if s := b.u.Stats(); s.Echoes != 3 || s.EchoReplies != 3 || s.EchoStray != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEchoOfStrangersIsIgnored(t *testing.T) {
	b := newBench(t, Config{})
	f := newFakeEcho()
	f.silent = true
	b.setEcho(f, nil)
	go func() {
		m := <-f.sent
		f.replies <- echoMessage{netip.MustParseAddr("192.0.2.66"), 0, m.seq, m.payload} // the right number, another host
		f.replies <- echoMessage{m.addr, 0, m.seq + 1, m.payload}                        // a number that nobody waits for
		f.replies <- m
		f.replies <- m // twice
	}()
	if r := b.ping("192.0.2.1", 64); r.Err != nil || r.From != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%+v", r)
	}
	eventually(t, "three strays counted", func() bool { return b.u.Stats().EchoStray == 3 })
}

func TestHostThatForbidsPing(t *testing.T) {
	b := newBench(t, Config{})
	b.setEcho(nil, syscall.EPERM)
	r := b.ping("192.0.2.1", 64)
	if !errors.Is(r.Err, stack.ErrUnreachable) {
		t.Errorf("the device sees %+v, want unreachable", r)
	}
	if n := b.u.Stats().Refused.Of(ReasonNoPing); n != 1 {
		t.Errorf("%d counted", n)
	}
	eventually(t, "told", func() bool { return strings.Contains(strings.Join(b.told(), ""), "this host forbids ping") })
}

func TestPingOfClosedAddresses(t *testing.T) {
	b := newBench(t, Config{})
	f := newFakeEcho()
	b.setEcho(f, nil)
	for _, to := range []string{"10.77.0.2", "169.254.169.254"} {
		if r := b.ping(to, 64); !errors.Is(r.Err, stack.ErrUnreachable) {
			t.Errorf("%s: %+v", to, r)
		}
	}
	if s := b.u.Stats(); s.Refused.Of(ReasonHost) != 1 || s.Refused.Of(ReasonMetadata) != 1 || len(f.sent) != 0 {
		t.Errorf("%v, %d sent", s.Refused, len(f.sent))
	}
}

func TestPingWhoseTimeToLiveEndsAtTheGateway(t *testing.T) {
	b := newBench(t, Config{})
	b.setEcho(newFakeEcho(), nil)
	if r := b.ping("192.0.2.1", 1); !errors.Is(r.Err, stack.ErrTTLExceeded) || r.From != b.u.policy.gateway {
		t.Errorf("%+v", r)
	}
}

func TestPingUnreachableFromTheHost(t *testing.T) {
	b := newBench(t, Config{})
	f := newFakeEcho()
	f.err = syscall.ENETUNREACH
	b.setEcho(f, nil)
	if r := b.ping("192.0.2.1", 64); !errors.Is(r.Err, stack.ErrUnreachable) {
		t.Errorf("%+v", r)
	}
	if n := b.u.Stats().Refused.Of(ReasonUnreachable); n != 1 {
		t.Errorf("%d counted", n)
	}
}

// echoFrom makes a frame with an echo request of the device.
func (b *bench) echoFrom(to string, id, seq uint16) []byte {
	return b.packet(wire.ProtoICMP, netip.MustParseAddr(to), 64, wire.ICMP{Type: wire.ICMPEcho, ID: id, Seq: seq}.Append(nil, []byte("x")))
}

func TestEchoesAreBoundedAndExpire(t *testing.T) {
	b := newVirtualBench(t, Config{MaxEcho: 5})
	f := newFakeEcho()
	f.silent = true
	b.setEcho(f, nil)
	start := b.w.Lock()
	for i := range uint16(8) {
		b.u.Input(start, b.echoFrom("192.0.2.1", 7, i))
	}
	b.w.Unlock()
	eventually(t, "five sent", func() bool { return b.u.Stats().Echoes == 5 })
	if n := b.u.Stats().Refused.Of(ReasonTooMany); n != 3 {
		t.Errorf("%d refused, want 3", n)
	}
	for b.u.Stats().EchoLost == 0 && b.w.Step() {
	}
	if s, d := b.u.Stats(), b.w.Now().Sub(start); s.EchoLost != 5 || d != 10*time.Second {
		t.Errorf("%d lost after %v, want 5 after 10 s", s.EchoLost, d)
	}
}

// This needs a host that lets us ping its loopback.
func TestPingOfTheHostsLoopback(t *testing.T) {
	probe, err := openPing(1)
	if err != nil {
		t.Skipf("this host forbids ping: %v", err)
	}
	probe.Close()
	b := newBench(t, Config{AllowHost: true})
	for i := range 3 {
		if r := b.ping("10.77.0.2", 64); r.Err != nil || r.From != netip.MustParseAddr("10.77.0.2") {
			t.Fatalf("ping %d: %+v", i, r)
		}
	}
}

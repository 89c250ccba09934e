package stack

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// pair is two stacks joined by a link without loss or delay, driven by hand.
type pair struct {
	t    testing.TB
	now  time.Time
	a, b *Stack
	q    [2][][]byte
	drop func(from int, frame []byte) bool
	log  func(from int, frame []byte)
}

var (
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
	start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
)

func testSource(seed uint64) rand.Source { return rand.NewPCG(seed, 1) }

func newPair(t testing.TB, change ...func(a, b *Config)) *pair {
	p := &pair{t: t, now: start}
	ca := Config{MAC: wire.MAC{2, 0, 0, 0, 0, 1}, Rand: testSource(1), ACD: ACD{Off: true, Announces: -1}}
	cb := Config{MAC: wire.MAC{2, 0, 0, 0, 0, 2}, Rand: testSource(2), ACD: ACD{Off: true, Announces: -1}}
	ca.Output = func(now time.Time, f []byte) { p.send(0, f) }
	cb.Output = func(now time.Time, f []byte) { p.send(1, f) }
	for _, fn := range change {
		fn(&ca, &cb)
	}
	var err error
	if p.a, err = New(ca); err != nil {
		t.Fatal(err)
	}
	if p.b, err = New(cb); err != nil {
		t.Fatal(err)
	}
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{})
	p.b.SetAddr(p.now, netip.PrefixFrom(addrB, 24), netip.Addr{})
	p.run()
	p.events(p.a)
	p.events(p.b)
	return p
}

func (p *pair) send(from int, f []byte) {
	if p.log != nil {
		p.log(from, f)
	}
	if p.drop != nil && p.drop(from, f) {
		return
	}
	p.q[from] = append(p.q[from], bytes.Clone(f))
}

// run delivers frames until the link is quiet.
func (p *pair) run() {
	for range 10000 {
		switch {
		case len(p.q[0]) > 0:
			f := p.q[0][0]
			p.q[0] = p.q[0][1:]
			p.b.Input(p.now, f)
		case len(p.q[1]) > 0:
			f := p.q[1][0]
			p.q[1] = p.q[1][1:]
			p.a.Input(p.now, f)
		default:
			return
		}
	}
	p.t.Fatal("the link does not come to rest")
}

// step goes to the next deadline, at most until; it reports whether there was one.
func (p *pair) step(until time.Time) bool {
	p.run()
	var d time.Time
	for _, s := range []*Stack{p.a, p.b} {
		if x := s.Deadline(); !x.IsZero() && (d.IsZero() || x.Before(d)) {
			d = x
		}
	}
	if d.IsZero() || d.After(until) {
		p.now = until
		return false
	}
	if d.After(p.now) {
		p.now = d
	}
	p.a.Advance(p.now)
	p.b.Advance(p.now)
	p.run()
	return true
}

// pass lets d pass.
func (p *pair) pass(d time.Duration) {
	until := p.now.Add(d)
	for p.step(until) {
	}
}

func (p *pair) events(s *Stack) (l []Event) {
	for {
		e, ok := s.NextEvent()
		if !ok {
			return l
		}
		l = append(l, e)
	}
}

// connect makes a connection from a to b and returns both ends.
func (p *pair) connect(port uint16) (a, b TCP) {
	p.t.Helper()
	l, err := p.b.Listen(p.now, netip.AddrPortFrom(addrB, port), ListenConfig{})
	if err != nil {
		p.t.Fatal(err)
	}
	if a, err = p.a.Dial(p.now, netip.AddrPort{}, netip.AddrPortFrom(addrB, port)); err != nil {
		p.t.Fatal(err)
	}
	p.run()
	if b, err = l.Accept(p.now); err != nil {
		p.t.Fatalf("accept: %v (dialer is %v)", err, a.State())
	}
	l.Close(p.now)
	p.events(p.a)
	p.events(p.b)
	return a, b
}

func (p *pair) read(c TCP) string {
	var out []byte
	var buf [4096]byte
	for {
		n, err := c.Read(p.now, buf[:])
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return string(out) + "<EOF>"
		}
		if err == errWouldBlock {
			return string(out)
		}
		if err != nil {
			return string(out) + "<" + err.Error() + ">"
		}
	}
}

func TestPingPongClose(t *testing.T) {
	p := newPair(t)
	a, b := p.connect(80)
	if n, err := a.Write(p.now, []byte("hello")); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	p.run()
	if got := p.read(b); got != "hello" {
		t.Fatalf("b read %q", got)
	}
	b.Write(p.now, []byte("world"))
	p.run()
	if got := p.read(a); got != "world" {
		t.Fatalf("a read %q", got)
	}
	a.CloseWrite(p.now)
	p.run()
	if got := p.read(b); got != "<EOF>" {
		t.Fatalf("b read %q", got)
	}
	b.Write(p.now, []byte("late"))
	b.Close(p.now)
	p.run()
	if got := p.read(a); got != "late<EOF>" {
		t.Fatalf("a read %q", got)
	}
	if a.State().String() != "TIME-WAIT" {
		t.Fatal(a.State())
	}
	a.Close(p.now)
	p.pass(3 * time.Minute)
	if len(p.a.tcps)+len(p.b.tcps) != 0 {
		t.Fatal("connections are left")
	}
	if d := p.a.Deadline(); !d.IsZero() {
		t.Fatalf("a wants to be called at %v", d)
	}
}

func TestBulk(t *testing.T) {
	p := newPair(t)
	a, b := p.connect(80)
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	var got []byte
	buf := make([]byte, 32<<10)
	for off := 0; len(got) < len(data); {
		n, _ := a.Write(p.now, data[off:])
		off += n
		p.run()
		for {
			n, err := b.Read(p.now, buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
		if !p.step(p.now.Add(time.Millisecond)) && n == 0 {
			p.pass(time.Second)
		}
		if p.now.Sub(start) > time.Minute {
			t.Fatalf("stuck at %d: %+v", len(got), a.Info())
		}
	}
	if !bytes.Equal(got, data) {
		t.Fatal("data differ")
	}
	t.Logf("%v virtual, %+v", p.now.Sub(start), a.Info())
}

func TestUDPAndPing(t *testing.T) {
	p := newPair(t)
	u, err := p.b.ListenUDP(p.now, netip.AddrPortFrom(addrB, 7), UDPConfig{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.a.ListenUDP(p.now, netip.AddrPort{}, UDPConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.WriteTo(p.now, []byte("ping"), netip.AddrPortFrom(addrB, 7)); err != nil {
		t.Fatal(err)
	}
	p.run()
	var buf [10]byte
	n, from, err := u.ReadFrom(p.now, buf[:])
	if err != nil || string(buf[:n]) != "ping" {
		t.Fatal(n, from, err)
	}
	if from.Addr() != addrA {
		t.Fatal(from)
	}
	if _, err := p.a.Ping(p.now, addrB, PingConfig{}); err != nil {
		t.Fatal(err)
	}
	p.run()
	e := p.events(p.a)
	if len(e) != 1 || e[0].Flags != Pong || e[0].Ping.Err != nil {
		t.Fatalf("%+v", e)
	}
}

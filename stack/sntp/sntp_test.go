package sntp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

var (
	t0      = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	truth   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	server1 = netip.MustParseAddrPort("192.0.2.123:123")
	server2 = netip.MustParseAddrPort("192.0.2.124:123")
)

// clientTest drives one client in virtual time. The true time is now + true0 - t0.
type clientTest struct {
	*testing.T
	c   *Client
	now time.Time
}

func newClientTest(t *testing.T, f func(*ClientConfig)) *clientTest {
	t.Helper()
	c := ClientConfig{Rand: rand.NewPCG(1, 2), Servers: []string{"192.0.2.123", "192.0.2.124"}, StartDelay: -1}
	if f != nil {
		f(&c)
	}
	cl, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return &clientTest{t, cl, t0}
}

// request is what a client sent.
type request struct {
	wire.NTP
	port uint16
	to   netip.AddrPort
}

func (t *clientTest) output() (request, bool) {
	t.Helper()
	b, port, to, ok := t.c.Output(t.now, nil)
	if !ok {
		return request{}, false
	}
	p, err := wire.ParseNTP(b)
	if err != nil || len(b) != wire.NTPLen {
		t.Fatalf("sent %x: %v", b, err)
	}
	return request{p, port, to}, true
}

func (t *clientTest) want(why string, to netip.AddrPort) request {
	t.Helper()
	r, ok := t.output()
	if !ok || r.to != to {
		t.Fatalf("%s: at %v sent to %v, %v, want %v", why, t.now.Sub(t0), r.to, ok, to)
	}
	return r
}

func (t *clientTest) wantIdle(why string) {
	t.Helper()
	if r, ok := t.output(); ok {
		t.Fatalf("%s: at %v sent to %v, want nothing", why, t.now.Sub(t0), r.to)
	}
}

func (t *clientTest) wantEvent(why string, kind EventKind, err error) Event {
	t.Helper()
	e, ok := t.c.NextEvent()
	if !ok || e.Kind != kind || !errors.Is(e.Err, err) {
		t.Fatalf("%s: event %v (%v), %v, want %v (%v)", why, e.Kind, e.Err, ok, kind, err)
	}
	return e
}

func (t *clientTest) wantNoEvent(why string) {
	t.Helper()
	if e, ok := t.c.NextEvent(); ok {
		t.Fatalf("%s: event %v (%v), want none", why, e.Kind, e.Err)
	}
}

// step goes to the next deadline.
func (t *clientTest) step(most time.Duration) {
	t.Helper()
	d := t.c.Deadline()
	if d.IsZero() || d.After(t.now.Add(most)) {
		t.Fatalf("deadline %v, want one within %v of %v", d, most, t.now)
	}
	if d.After(t.now) {
		t.now = d
	}
	t.c.Advance(t.now)
}

// start begins and returns the first request.
func (t *clientTest) start() request {
	t.Helper()
	t.c.Start(t.now)
	t.step(0)
	return t.want("start", server1)
}

// answerTo is a good answer to r at the true time at.
func answerTo(r request, at time.Time) wire.NTP {
	return wire.NTP{
		Version: 4, Mode: wire.NTPServer, Stratum: 2, Precision: -20, RootDelay: 100, RootDispersion: 100,
		Reference: wire.NTPTimeOf(at), Originate: r.Transmit, Receive: wire.NTPTimeOf(at), Transmit: wire.NTPTimeOf(at),
	}
}

// reply answers r, changed by f.
func (t *clientTest) reply(r request, f func(*wire.NTP)) {
	p := answerTo(r, truth.Add(t.now.Sub(t0)))
	if f != nil {
		f(&p)
	}
	t.c.Input(t.now, r.to, r.port, p.Append(nil))
}

// NTP-1, NTP-2, NTP-8: a request tells nothing but a nonce.
func TestNTP1_NTP2_NTP8_S09_Request(t0 *testing.T) {
	nonces, ports := map[wire.NTPTime]bool{}, map[uint16]bool{}
	t := newClientTest(t0, nil)
	for range 100 {
		t.c.Sync(t.now)
		t.step(time.Minute)
		r, ok := t.output()
		if !ok {
			t.Fatal("nothing sent")
		}
		if want := (wire.NTP{Version: 4, Mode: wire.NTPClient, Transmit: r.Transmit}); r.NTP != want {
			t.Fatalf("sent %+v", r.NTP)
		}
		if !t.c.Uses(r.port) || r.port < 1024 {
			t.Fatalf("port %d", r.port)
		}
		nonces[r.Transmit], ports[r.port] = true, true
	}
	if len(nonces) != 100 || len(ports) < 95 {
		t.Errorf("%d nonces, %d ports in 100 requests", len(nonces), len(ports))
	}
}

func TestNTP7_OffsetFromFourTimestamps(t0 *testing.T) {
	t := newClientTest(t0, nil)
	if _, known := t.c.Time(t.now); known {
		t.Error("the time is known before anyone was asked")
	}
	r := t.start()
	sent := t.now
	// 30 ms there, 2 ms at the server, 30 ms back.
	t.now = t.now.Add(62 * time.Millisecond)
	p := answerTo(r, truth)
	p.Receive, p.Transmit = wire.NTPTimeOf(truth.Add(30*time.Millisecond)), wire.NTPTimeOf(truth.Add(32*time.Millisecond))
	t.c.Input(t.now, r.to, r.port, p.Append(nil))
	e := t.wantEvent("answered", EventSynced, nil)
	if d := e.Offset - truth.Sub(sent); d < -1 || d > 1 {
		t.Errorf("offset is wrong by %v", d)
	}
	if got, known := t.c.Time(t.now); !known || got.Sub(truth.Add(62*time.Millisecond)).Abs() > time.Nanosecond || got.Location() != time.UTC {
		t.Errorf("time %v, %v", got, known)
	}
	if e.Server != server1 || e.Name != "192.0.2.123" {
		t.Errorf("%+v", e)
	}
}

// NTP-10 of driver-api.md: the next synchronisation about a day later.
func TestIntervalIsADay(t0 *testing.T) {
	t := newClientTest(t0, nil)
	t.reply(t.start(), nil)
	t.wantEvent("answered", EventSynced, nil)
	before := t.now
	t.step(25 * time.Hour)
	if d := t.now.Sub(before); d < 23*time.Hour || d > 24*time.Hour {
		t.Errorf("after %v", d)
	}
	t.want("the same server", server1)
}

// NTP-2, NTP-3, NTP-6, NTP-9 and the N rows: answers that are dropped while the wait goes on.
func TestNTP2_NTP3_NTP6_NTP9_N01ToN10_BadAnswers(t0 *testing.T) {
	for name, f := range map[string]func(*wire.NTP){
		"N-02 originate wrong by a bit":  func(p *wire.NTP) { p.Originate ^= 1 },
		"N-02 originate zero":            func(p *wire.NTP) { p.Originate = 0 },
		"N-03 transmit zero":             func(p *wire.NTP) { p.Transmit = 0 },
		"N-03 receive zero":              func(p *wire.NTP) { p.Receive = 0 },
		"N-03 receive after transmit":    func(p *wire.NTP) { p.Receive = p.Transmit + 1<<32 },
		"held for longer than we waited": func(p *wire.NTP) { p.Receive -= 10 << 32 },
		"N-04 mode 3":                    func(p *wire.NTP) { p.Mode = wire.NTPClient },
		"N-04 mode 5":                    func(p *wire.NTP) { p.Mode = wire.NTPBroadcast },
		"N-04 mode 6":                    func(p *wire.NTP) { p.Mode = 6 },
		"N-04 mode 7":                    func(p *wire.NTP) { p.Mode = 7 },
		"N-04 version 0":                 func(p *wire.NTP) { p.Version = 0 },
		"N-04 version 5":                 func(p *wire.NTP) { p.Version = 5 },
		"N-04 version 7":                 func(p *wire.NTP) { p.Version = 7 },
		"N-05 forged kiss":               func(p *wire.NTP) { p.Stratum, p.RefID, p.Originate = 0, [4]byte{'D', 'E', 'N', 'Y'}, 1 },
		"N-06 stratum 16":                func(p *wire.NTP) { p.Stratum = 16 },
		"N-06 stratum 255":               func(p *wire.NTP) { p.Stratum = 255 },
		"N-06 unsynchronized":            func(p *wire.NTP) { p.Leap = wire.NTPUnsynchronized },
		"N-08 root delay a second":       func(p *wire.NTP) { p.RootDelay = 1 << 16 },
		"N-08 root delay negative":       func(p *wire.NTP) { p.RootDelay = 1 << 31 },
		"N-08 root dispersion":           func(p *wire.NTP) { p.RootDispersion = 0xffffffff },
	} {
		t := newClientTest(t0, nil)
		r := t.start()
		t.reply(r, f)
		t.wantNoEvent(name)
		if _, known := t.c.Time(t.now); known {
			t.Errorf("%s: believed", name)
		}
		if c := t.c.Counters(); c.Mismatched+c.Unusable != 1 {
			t.Errorf("%s: not counted: %+v", name, c)
		}
		t.reply(r, nil)
		t.wantEvent(name+": a good one later", EventSynced, nil)
		t.reply(r, nil)
		t.wantNoEvent("NTP-9 N-09 second answer")
	}
}

func TestN01_N09_WrongPlaces(t0 *testing.T) {
	t := newClientTest(t0, nil)
	r := t.start()
	p := answerTo(r, truth)
	b := p.Append(nil)
	for n := range 48 {
		t.c.Input(t.now, r.to, r.port, b[:n])
	}
	t.c.Input(t.now, server2, r.port, b)
	t.c.Input(t.now, r.to, r.port+1, b)
	t.wantNoEvent("short, or from elsewhere")
	if c := t.c.Counters(); c.Malformed != 48 || c.Unexpected != 2 {
		t.Errorf("%+v", c)
	}
	t.c.Input(t.now, r.to, r.port, append(b, make([]byte, 65507-48)...))
	t.wantEvent("extensions are ignored", EventSynced, nil)
}

// N-10: an answer after the time to wait is nobody's.
func TestN10_LateAnswer(t0 *testing.T) {
	t := newClientTest(t0, nil)
	r := t.start()
	t.now = t.now.Add(10 * time.Second)
	t.reply(r, nil)
	t.wantNoEvent("10 s late")
	t.c.Advance(t.now)
	t.wantEvent("given up", EventFailed, ErrNoAnswer)
	t.reply(r, nil)
	t.wantNoEvent("later still")
}

// NTP-4, N-05: kiss-o'-death.
func TestNTP4_N05_KissOfDeath(t0 *testing.T) {
	kiss := func(code string) func(*wire.NTP) {
		return func(p *wire.NTP) { p.Stratum, p.RefID, p.Leap = 0, [4]byte([]byte(code)), 3 }
	}
	for _, code := range []string{"DENY", "RSTR"} {
		t := newClientTest(t0, nil)
		t.reply(t.start(), kiss(code))
		t.wantEvent(code, EventFailed, ErrKissOfDeath)
		for range 6 {
			for {
				t.step(time.Hour)
				if r, ok := t.output(); ok {
					if r.to == server1 {
						t.Fatalf("%s: asked again", code)
					}
					break
				}
				for _, ok := t.c.NextEvent(); ok; _, ok = t.c.NextEvent() {
				}
			}
		}
	}
	for _, code := range []string{"INIT", "\x00\x00\x00\x00"} {
		t := newClientTest(t0, nil)
		t.reply(t.start(), kiss(code))
		t.wantEvent(code, EventFailed, ErrKissOfDeath)
		t.step(time.Minute)
		t.want(code+": the next server", server2)
	}
	t := newClientTest(t0, func(c *ClientConfig) { c.Servers = []string{"192.0.2.123"} })
	r := t.start()
	var last time.Duration
	for range 4 {
		t.reply(r, kiss("RATE"))
		t.wantEvent("RATE", EventFailed, ErrKissOfDeath)
		before := t.now
		t.step(time.Hour)
		d := t.now.Sub(before)
		if d <= last || d < 2*minPoll {
			t.Errorf("RATE: the next request after %v, before that %v", d, last)
		}
		last = d
		r = t.want("RATE: the same again, later", server1)
	}
}

// NTP-5, N-12: no server for a day: ever more rarely, and never two requests within 15 s.
func TestNTP5_N12_NTP10_Backoff(t0 *testing.T) {
	t := newClientTest(t0, nil)
	t.c.Start(t.now)
	var sent []time.Time
	var to []netip.AddrPort
	for end := t.now.Add(24 * time.Hour); t.now.Before(end); {
		t.step(time.Hour)
		if r, ok := t.output(); ok {
			sent, to = append(sent, t.now), append(to, r.to)
		}
		for _, ok := t.c.NextEvent(); ok; _, ok = t.c.NextEvent() {
		}
	}
	for i := 1; i < len(sent); i++ {
		if d := sent[i].Sub(sent[i-1]); d < minPoll || i == 1 && d > 20*time.Second {
			t.Errorf("request %d comes %v after the one before", i, d)
		}
		if to[i] == to[i-1] {
			t.Errorf("request %d goes to the same server", i)
		}
	}
	if len(sent) < 50 || len(sent) > 120 {
		t.Errorf("%d requests in a day", len(sent))
	}
	// Whoever asks for the time at once has to wait as well.
	last := sent[len(sent)-1]
	t.c.Sync(t.now)
	t.step(minPoll)
	if t.now.Sub(last) < minPoll {
		t.Errorf("a request %v after the last one", t.now.Sub(last))
	}
	t.reply(first(t.output()), nil)
	t.wantEvent("a server at last", EventSynced, nil)
}

func first(r request, _ bool) request { return r }

// driver-api.md, 2.9: the next server soon, and after a full round a minute, doubling to an hour.
func TestNTP5_Rounds(t0 *testing.T) {
	t := newClientTest(t0, nil)
	t.start()
	begin, want := t.now, time.Duration(0)
	for round := range 9 {
		if round > 0 {
			want += patience + min(time.Minute<<(round-1), time.Hour)
			t.step(2 * time.Hour)
			t.want("the first server of a round", server1)
		}
		if d := t.now.Sub(begin); d != want {
			t.Fatalf("round %d begins after %v, want %v", round, d, want)
		}
		t.step(patience)
		t.wantEvent("no answer", EventFailed, ErrNoAnswer)
		t.step(minPoll)
		t.want("the second server of a round", server2)
		if d := t.now.Sub(begin); d != want+minPoll {
			t.Fatalf("round %d: the second server is asked %v after the first", round, d-want)
		}
		want += minPoll
		t.step(patience)
		t.wantEvent("no answer", EventFailed, ErrNoAnswer)
	}
}

func TestSameServersChangeNothing(t0 *testing.T) {
	t := newClientTest(t0, nil)
	t.reply(t.start(), nil)
	t.wantEvent("answered", EventSynced, nil)
	before := t.c.Deadline()
	if err := t.c.SetServers(t.now, []string{"192.0.2.123", "192.0.2.124"}); err != nil {
		t.Fatal(err)
	}
	if d := t.c.Deadline(); !d.Equal(before) {
		t.Errorf("the next request at %v, was to be at %v", d, before)
	}
}

// NTP-5: the first request comes at a random time.
func TestNTP5_StartDelay(t0 *testing.T) {
	seen := map[time.Duration]bool{}
	src := rand.NewPCG(3, 3)
	for range 50 {
		c, err := NewClient(ClientConfig{Rand: src, Servers: []string{"192.0.2.123"}})
		if err != nil {
			t0.Fatal(err)
		}
		now := truth
		c.Start(now)
		d := c.Deadline().Sub(now)
		if d < time.Second/8 || d >= time.Second {
			t0.Fatalf("delay %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 40 {
		t0.Errorf("%d delays in 50 starts", len(seen))
	}
}

// NTP-07 of driver-api.md: a star becomes 0 to 3; NTP-10: a name is looked up anew each time.
func TestNTP07_PoolNames(t0 *testing.T) {
	t := newClientTest(t0, func(c *ClientConfig) { c.Servers = []string{"*.pool.example", "time.example"} })
	t.c.Start(t.now)
	for _, name := range []string{"0.pool.example", "1.pool.example", "2.pool.example", "3.pool.example", "time.example", "0.pool.example"} {
		t.step(2 * time.Hour)
		if e := t.wantEvent(name, EventLookup, nil); e.Name != name {
			t.Fatalf("looks up %s, want %s", e.Name, name)
		}
		t.c.Resolved(t.now, "other.example", []netip.Addr{server2.Addr()})
		t.wantIdle("another name")
		t.c.Resolved(t.now, name, []netip.Addr{server1.Addr()})
		t.want(name, server1)
		t.c.Resolved(t.now, name, []netip.Addr{server2.Addr()})
		t.wantIdle("once")
		t.step(time.Minute)
		t.wantEvent("no answer", EventFailed, ErrNoAnswer)
	}
}

// N-11: addresses that cannot be a server.
func TestN11_BadAddresses(t0 *testing.T) {
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "224.0.1.1", "::1"} {
		t := newClientTest(t0, func(c *ClientConfig) { c.Servers = []string{"time.example"} })
		t.c.Start(t.now)
		t.step(0)
		t.wantEvent("start", EventLookup, nil)
		t.c.Resolved(t.now, "time.example", []netip.Addr{netip.MustParseAddr(a)})
		t.wantEvent(a, EventFailed, ErrNoAddress)
		t.wantIdle(a)
		t = newClientTest(t0, func(c *ClientConfig) { c.Servers = []string{a} })
		t.c.Start(t.now)
		t.step(0)
		t.wantEvent(a, EventFailed, ErrNoAddress)
		t.wantIdle(a)
	}
	t := newClientTest(t0, func(c *ClientConfig) { c.Servers = []string{"time.example"} })
	t.c.Start(t.now)
	t.step(0)
	t.wantEvent("start", EventLookup, nil)
	t.step(time.Minute)
	t.wantEvent("the owner forgot", EventFailed, ErrNoAddress)
}

// NTP-11, N-07: times that cannot be are told, not taken.
func TestNTP11_N07_ImplausibleTimes(t0 *testing.T) {
	for name, tt := range map[string]struct {
		at time.Time
		ok bool
	}{
		"1970":        {time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), false},
		"2019":        {time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC), false},
		"2036 before": {time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), true},
		"2036 after":  {time.Date(2036, 2, 7, 6, 28, 17, 0, time.UTC), true},
		"2099":        {time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), true},
		"2103":        {time.Date(2103, 1, 1, 0, 0, 0, 0, time.UTC), false},
	} {
		t := newClientTest(t0, nil)
		r := t.start()
		p := answerTo(r, tt.at)
		t.c.Input(t.now, r.to, r.port, p.Append(nil))
		if !tt.ok {
			t.wantEvent(name, EventFailed, ErrImplausible)
			if _, known := t.c.Time(t.now); known {
				t.Errorf("%s: taken", name)
			}
			continue
		}
		t.wantEvent(name, EventSynced, nil)
		if got, _ := t.c.Time(t.now); got.Sub(tt.at).Abs() > time.Nanosecond {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSetServersStopAndSet(t0 *testing.T) {
	t := newClientTest(t0, nil)
	if err := t.c.SetServers(t.now, []string{"192.0.2.124"}); err != nil {
		t.Fatal(err)
	}
	if !t.c.Deadline().IsZero() {
		t.Error("not started, but a deadline")
	}
	t.c.Start(t.now)
	t.c.Start(t.now)
	t.step(0)
	t.want("the new one", server2)
	if err := t.c.SetServers(t.now, []string{"192.0.2.123"}); err != nil {
		t.Fatal(err)
	}
	t.step(time.Minute)
	if d := t.now.Sub(t0date); d != minPoll {
		t.Errorf("after %v", d)
	}
	t.want("changed while it runs", server1)
	if err := t.c.SetServers(t.now, nil); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	t.c.Stop(t.now)
	if !t.c.Deadline().IsZero() {
		t.Error("stopped, but a deadline")
	}
	t.c.Set(t.now, truth)
	if got, known := t.c.Time(t.now.Add(time.Hour)); !known || !got.Equal(truth.Add(time.Hour)) {
		t.Errorf("set by hand: %v, %v", got, known)
	}
}

var t0date = t0

func TestConfigIsChecked(t *testing.T) {
	r := rand.NewPCG(1, 1)
	for name, c := range map[string]ClientConfig{
		"S-10 no source":   {Servers: []string{"a"}},
		"no servers":       {Rand: r},
		"an empty name":    {Rand: r, Servers: []string{""}},
		"a star alone":     {Rand: r, Servers: []string{"*"}},
		"too many servers": {Rand: r, Servers: make([]string, 33)},
		"too many stars":   {Rand: r, Servers: []string{"*a", "*a", "*a", "*a", "*a", "*a", "*a", "*a", "*a"}},
	} {
		if _, err := NewClient(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for got, want := range map[string]string{EventLookup.String(): "lookup", EventSynced.String(): "synced", EventFailed.String(): "failed", EventKind(9).String(): "event(9)"} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestPortFree(t0 *testing.T) {
	t := newClientTest(t0, func(c *ClientConfig) { c.PortFree = func(p uint16) bool { return p%2 == 0 } })
	for range 20 {
		t.c.Sync(t.now)
		t.step(time.Minute)
		if r := first(t.output()); r.port%2 != 0 {
			t.Errorf("port %d is taken", r.port)
		}
	}
}

func TestServer(t *testing.T) {
	s := &Server{}
	q := wire.NTP{Version: 3, Mode: wire.NTPClient, Poll: 6, Transmit: 12345}
	b, ok := s.Reply(truth, []byte("pre"), q.Append(nil))
	if !ok || string(b[:3]) != "pre" {
		t.Fatal(ok)
	}
	got, err := wire.ParseNTP(b[3:])
	ts := wire.NTPTimeOf(truth)
	want := wire.NTP{Version: 3, Mode: wire.NTPServer, Stratum: 1, Poll: 6, Precision: -20, RefID: [4]byte{'L', 'O', 'C', 'L'},
		Reference: ts, Originate: 12345, Receive: ts, Transmit: ts}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for name, q := range map[string][]byte{
		"short":     q.Append(nil)[:47],
		"an answer": got.Append(nil),
		"version 0": wire.NTP{Mode: wire.NTPClient}.Append(nil),
		"version 5": wire.NTP{Mode: wire.NTPClient, Version: 5}.Append(nil),
	} {
		if _, ok := s.Reply(truth, nil, q); ok {
			t.Errorf("%s is answered", name)
		}
	}
}

func FuzzClient(f *testing.F) {
	p := answerTo(request{}, truth)
	f.Add(p.Append(nil))
	p.Stratum = 0
	f.Add(p.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := NewClient(ClientConfig{Rand: rand.NewPCG(1, 2), Servers: []string{"192.0.2.123"}})
		if err != nil {
			t.Fatal(err)
		}
		now := t0
		c.Start(now)
		for range 20 {
			d := c.Deadline()
			if d.IsZero() || !d.After(now) && now != t0 {
				t.Fatalf("deadline %v at %v", d, now)
			}
			now = d
			c.Advance(now)
			if m, port, to, ok := c.Output(now, nil); ok {
				in := append([]byte(nil), b...)
				if len(in) >= 32 {
					copy(in[24:32], m[40:48]) // the right nonce, or nothing gets in
				}
				c.Input(now, to, port, in)
			}
			for _, ok := c.NextEvent(); ok; _, ok = c.NextEvent() {
			}
			if got, known := c.Time(now); known && (got.Year() < 2019 || got.Year() > 2100) {
				t.Fatalf("believes that it is %v", got)
			}
		}
	})
}

package stack

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/wire"
)

// ahead is by how much the clocks of servers are ahead of the stacks' time.
const ahead = 1000 * time.Hour

func fast(now time.Time) time.Time { return now.Add(ahead) }

// timePair is a pair whose a wants to know the time, and keeps what a sends to servers.
type timePair struct {
	*pair
	asked []netip.AddrPort // to whom requests went
	at    []time.Time      // and when
}

func newTimePair(t *testing.T) *timePair {
	p := &timePair{pair: newPair(t)}
	p.log = func(from int, frame []byte) {
		if from != 0 {
			return
		}
		h, b, err := wire.ParseEthernet(frame)
		if err != nil || h.Type != wire.EtherTypeIPv4 {
			return
		}
		ip, b, err := wire.ParseIPv4(b)
		if err != nil || ip.Proto != wire.ProtoUDP {
			return
		}
		u, b, err := wire.ParseUDP(b, ip.Src, ip.Dst)
		if err != nil || u.DstPort != sntp.Port {
			return
		}
		if m, err := wire.ParseNTP(b); err != nil || m.Mode != wire.NTPClient {
			t.Errorf("sent to port 123: %x", b)
		}
		p.asked, p.at = append(p.asked, netip.AddrPortFrom(ip.Dst, u.DstPort)), append(p.at, p.now)
	}
	return p
}

// fetch returns a's events with these flags since the last fetch.
func (p *timePair) fetch(f Flags) (l []Event) {
	for _, e := range p.events(p.a) {
		if e.Flags.Has(f) {
			l = append(l, e)
		}
	}
	return l
}

func (p *timePair) wantAsked(why string, n int) {
	p.t.Helper()
	if len(p.asked) != n {
		p.t.Fatalf("%s: %d requests (%v), want %d", why, len(p.asked), p.asked, n)
	}
}

// wantTime wants a to have the servers' time, to a millisecond.
func (p *timePair) wantTime(why string) {
	p.t.Helper()
	if got, known := p.a.Time(p.now); !known || got.Sub(fast(p.now)).Abs() > time.Millisecond || got.Location() != time.UTC {
		p.t.Errorf("%s: the time is %v, %v, want %v", why, got, known, fast(p.now))
	}
}

func TestSyncWithAnAddress(t *testing.T) {
	p := newTimePair(t)
	p.b.ServeNTP(&sntp.Server{}, fast)
	if _, known := p.a.Time(p.now); known {
		t.Error("the time is known before Sync")
	}
	tag := new(int)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{addrB.String()}, Tag: tag}); err != nil {
		t.Fatal(err)
	}
	p.pass(2 * time.Second)
	l := p.fetch(Synced | SyncFailed)
	if len(l) != 1 || l[0].Flags != Synced || l[0].Tag != any(tag) || l[0].Time == nil ||
		(l[0].Time.Offset-ahead).Abs() > time.Millisecond || l[0].Time.Server != netip.AddrPortFrom(addrB, 123) {
		t.Fatalf("events %+v", l)
	}
	p.wantTime("synced")
	p.wantAsked("within two seconds", 1)
	p.pass(24 * time.Hour)
	p.wantAsked("a day later", 2)
	if c := p.a.SyncCounters(); c.Sent != 2 || c.Synced != 2 {
		t.Errorf("%+v", c)
	}
	p.a.StopSync(p.now)
	p.pass(72 * time.Hour)
	p.wantAsked("after StopSync", 2)
	p.wantTime("after StopSync")
}

func TestSyncLooksNamesUp(t *testing.T) {
	p := newTimePair(t)
	p.b.ServeNTP(&sntp.Server{}, fast)
	names := new(dns.Server)
	if err := names.Set("1.pool.example", 0, addrB); err != nil {
		t.Fatal(err)
	}
	p.b.ServeDNS(names)
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{}, addrB)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{"*.pool.example"}}); err != nil {
		t.Fatal(err)
	}
	p.pass(time.Minute)
	l := p.fetch(Synced | SyncFailed | Resolved)
	if len(l) != 2 || l[0].Flags != SyncFailed || !errors.Is(l[0].Err, sntp.ErrNoAddress) || l[0].Time.Name != "0.pool.example" ||
		l[1].Flags != Synced || l[1].Time.Name != "1.pool.example" {
		t.Fatalf("events %+v", l)
	}
	p.wantTime("synced")
}

// Without servers for names each look-up fails at once, and the rest waits.
func TestSyncWithoutResolver(t *testing.T) {
	p := newTimePair(t)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{"one.example", "two.example"}}); err != nil {
		t.Fatal(err)
	}
	p.pass(24 * time.Hour)
	p.wantAsked("no address of a server is known", 0)
	if l := p.fetch(SyncFailed); len(l) < 24 || len(l) > 100 {
		t.Errorf("%d attempts in a day", len(l))
	}
}

func TestSyncWaitsForAnAddress(t *testing.T) {
	p := newTimePair(t)
	p.b.ServeNTP(&sntp.Server{}, fast)
	p.a.ClearAddr(p.now)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{addrB.String()}}); err != nil {
		t.Fatal(err)
	}
	p.pass(48 * time.Hour)
	p.wantAsked("without an address", 0)
	up := p.now
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{})
	p.pass(2 * time.Second)
	p.wantAsked("with an address", 1)
	if d := p.at[0].Sub(up); d > time.Second {
		t.Errorf("asked %v after the address came", d)
	}
	p.wantTime("synced")
	p.a.ClearAddr(p.now)
	p.pass(48 * time.Hour)
	p.wantAsked("while the address is gone", 1)
	p.wantTime("while the address is gone")
	p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{})
	p.pass(2 * time.Second)
	p.wantAsked("when it is back", 2)
}

// NTP-5, N-12: an address that comes and goes does not make requests come faster than one in 15 s.
func TestSyncOnAFlappingLink(t *testing.T) {
	p := newTimePair(t)
	p.b.ServeNTP(&sntp.Server{}, fast)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{addrB.String()}}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		p.pass(1500 * time.Millisecond)
		p.a.ClearAddr(p.now)
		p.a.SetAddr(p.now, netip.PrefixFrom(addrA, 24), netip.Addr{})
	}
	for i := 1; i < len(p.at); i++ {
		if d := p.at[i].Sub(p.at[i-1]); d < 15*time.Second {
			t.Errorf("request %d comes %v after the one before", i, d)
		}
	}
	if len(p.at) == 0 {
		t.Error("no request at all")
	}
}

func TestSyncAsksTheServersOfTheLease(t *testing.T) {
	other := netip.MustParseAddr("10.0.0.9") // nobody
	for _, allowed := range []bool{true, false} {
		p := newTimePair(t)
		p.b.ServeNTP(&sntp.Server{}, fast)
		serve := func(ntp ...netip.Addr) {
			if _, err := p.b.ServeDHCP(p.now, dhcp.ServerConfig{LeaseTime: 100 * time.Second, NTP: ntp}, nil); err != nil {
				t.Fatal(err)
			}
		}
		serve(addrB)
		if err := p.a.UseDHCP(p.now, DHCPConfig{}); err != nil {
			t.Fatal(err)
		}
		if err := p.a.Sync(p.now, SyncConfig{Servers: []string{other.String()}, DHCP: allowed}); err != nil {
			t.Fatal(err)
		}
		p.pass(20 * time.Second)
		if _, known := p.a.Time(p.now); known != allowed {
			t.Errorf("option 42 allowed %v: time known %v", allowed, known)
		}
		if allowed {
			p.pass(1000 * time.Second)
			p.wantAsked("renewals of the same lease", 1)
			// A renewal that says something else counts at once.
			serve()
			p.fetch(SyncFailed)
			p.pass(120 * time.Second)
			if l := p.fetch(SyncFailed); len(l) == 0 || l[0].Time.Name != other.String() {
				t.Errorf("the lease names no server any more: %+v", l)
			}
		}
	}
}

func TestSyncIsReconfigured(t *testing.T) {
	p := newTimePair(t)
	p.b.ServeNTP(&sntp.Server{}, fast)
	if err := p.a.Sync(p.now, SyncConfig{}); !errors.Is(err, sntp.ErrInvalid) {
		t.Errorf("no servers: %v", err)
	}
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{"10.0.0.9"}}); err != nil {
		t.Fatal(err)
	}
	p.pass(20 * time.Second)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{""}}); !errors.Is(err, sntp.ErrInvalid) {
		t.Errorf("an empty name: %v", err)
	}
	changed := p.now
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{addrB.String()}}); err != nil {
		t.Fatal(err)
	}
	p.pass(time.Second)
	p.wantTime("another server")
	if n := len(p.at); n == 0 || p.at[n-1].Sub(changed) > time.Second {
		t.Errorf("requests at %v, changed at %v", p.at, changed)
	}
	p.a.StopSync(p.now)
	p.pass(time.Hour)
	if err := p.a.Sync(p.now, SyncConfig{Servers: []string{addrB.String()}}); err != nil {
		t.Fatal(err)
	}
	n := len(p.asked)
	p.pass(2 * time.Second)
	p.wantAsked("started again", n+1)
}

func TestServeNTP(t *testing.T) {
	p := newPair(t)
	ask := func(to netip.Addr) bool {
		t.Helper()
		u, err := p.a.ListenUDP(p.now, netip.AddrPort{}, UDPConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close(p.now)
		q := wire.NTP{Version: 4, Mode: wire.NTPClient, Transmit: 77}
		if _, err := u.WriteTo(p.now, q.Append(nil), netip.AddrPortFrom(to, sntp.Port)); err != nil {
			t.Fatal(err)
		}
		p.pass(time.Second)
		var buf [100]byte
		n, from, err := u.ReadFrom(p.now, buf[:])
		if err != nil {
			return false
		}
		m, err := wire.ParseNTP(buf[:n])
		if err != nil || n != wire.NTPLen || m.Originate != 77 || from != netip.AddrPortFrom(addrB, sntp.Port) {
			t.Errorf("from %v: %+v, %v", from, m, err)
		}
		return true
	}
	if ask(addrB) {
		t.Error("answered without a server")
	}
	p.b.ServeNTP(new(sntp.Server), nil)
	if !ask(addrB) {
		t.Error("no answer")
	}
	if ask(netip.MustParseAddr("10.0.0.255")) {
		t.Error("answered a broadcast")
	}
	p.b.ServeNTP(nil, nil)
	if ask(addrB) {
		t.Error("answered after its end")
	}
}

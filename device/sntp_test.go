package device

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/sntp"
)

// timeBench is a bench whose first peer serves names and another clock's time, and writes down for which names it is asked.
type timeBench struct {
	*bench
	p     *peer
	names *dns.Server
	asked []string
}

// ahead is by how much the time server's clock differs from the bench's.
const ahead = 12345 * time.Hour

func newTimeBench(t *testing.T) *timeBench {
	b := &timeBench{bench: newBench(t).withAP(""), names: new(dns.Server)}
	b.p = b.withPeer(peerIP)
	for _, name := range []string{"time.nist.gov", "pool.ntp.org", "2.pool.example", "time.example"} {
		if err := b.names.Set(name, 0, peerIP); err != nil {
			t.Fatal(err)
		}
	}
	b.p.s.ServeDNS(b.names)
	b.p.s.ServeNTP(new(sntp.Server), func(now time.Time) time.Time { return now.Add(ahead) })
	b.p.s.HandleUDP(func(_ time.Time, _, dst netip.AddrPort, payload []byte) bool {
		if dst.Port() == dns.Port {
			b.asked = append(b.asked, question(payload))
		}
		return false
	})
	return b
}

// question is the name in a DNS query.
func question(b []byte) string {
	var labels []string
	for b = b[12:]; b[0] != 0; b = b[1+b[0]:] {
		labels = append(labels, string(b[1:1+b[0]]))
	}
	return strings.ToLower(strings.Join(labels, "."))
}

// join boots a host of the version and joins, with a static address.
func (b *timeBench) join(version uint32) {
	b.t.Helper()
	b.h.version = version
	b.h.boot()
	b.h.static()
	b.connect()
}

func (b *timeBench) connect() {
	b.t.Helper()
	send(b.h, hif.OpConnectOld, oldConnect(ssid, ""))
	if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
		b.t.Fatalf("join: %v %v", m.State, m.Error)
	}
}

// ask is GET_SYS_TIME.
func (b *timeBench) ask() time.Time {
	b.t.Helper()
	b.h.pump()
	b.h.inbox = slices.DeleteFunc(b.h.inbox, func(m message) bool { return m.op == hif.OpSysTime })
	send(b.h, hif.OpGetSysTime, hif.None{})
	return await(b.h, 0, hif.OpSysTime, hif.ParseSysTime).Time()
}

func (b *timeBench) wantTime(why string) {
	b.t.Helper()
	if got := b.ask(); got.Sub(b.now.Add(ahead)).Abs() > time.Second {
		b.t.Errorf("%s: the time is %v, want %v", why, got, b.now.Add(ahead))
	}
}

// wantAsked checks the names that were looked up since the last call.
func (b *timeBench) wantAsked(why string, names ...string) {
	b.t.Helper()
	if !slices.Equal(b.asked, names) {
		b.t.Errorf("%s: looked up %q, want %q", why, b.asked, names)
	}
	b.asked = nil
}

// Hosts up to 19.5.2 would write a time that they did not ask for to a stray address (hif-messages 7.6).
func TestTimeIsToldUnaskedToNewHostsOnly(t *testing.T) {
	for version, told := range map[uint32]bool{0: false, 0x13301330: false, 0x13521352: false, 0x13301354: true, 0x13301377: true} {
		b := newTimeBench(t)
		b.join(version)
		if told {
			m := await(b.h, 2*time.Second, hif.OpSysTime, hif.ParseSysTime)
			if m.Time().Sub(b.now.Add(ahead)).Abs() > time.Second {
				t.Errorf("%#x: told %v", version, m.Time())
			}
		}
		b.h.quiet(time.Hour, hif.OpSysTime)
		b.wantTime("asked")
		if s := b.dev.Snapshot(); s.TimeBy != "time.nist.gov" {
			t.Errorf("the time is from %q", s.TimeBy)
		}
	}
}

func TestTimeIsAnsweredBeforeItIsKnown(t *testing.T) {
	b := newTimeBench(t)
	b.p.s.ServeNTP(nil, nil)
	b.join(0x13301377)
	b.run(time.Minute)
	if got := b.ask(); !got.IsZero() {
		t.Errorf("the time is %v", got)
	}
	b.wantAsked("built in, in order", "time.nist.gov", "pool.ntp.org")
}

func TestSNTPSwitchedOffAndOn(t *testing.T) {
	b := newTimeBench(t)
	b.h.boot()
	send(b.h, hif.OpDisableSNTP, hif.None{})
	b.h.static()
	b.connect()
	b.run(time.Hour)
	b.wantAsked("off")
	at := time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC)
	send(b.h, hif.OpSetSysTime, hif.SetSysTime{Seconds: uint32(at.Unix() + 2208988800)})
	b.run(time.Hour)
	if got := b.ask(); !got.Equal(at.Add(time.Hour)) || b.dev.Snapshot().TimeBy != "host" {
		t.Errorf("set by hand: %v", got)
	}
	send(b.h, hif.OpEnableSNTP, hif.None{})
	b.run(2 * time.Second)
	b.wantAsked("on", "time.nist.gov")
	b.wantTime("on")
	send(b.h, hif.OpEnableSNTP, hif.None{})
	b.run(time.Minute)
	b.wantAsked("on already")
	send(b.h, hif.OpDisableSNTP, hif.None{})
	b.run(25 * time.Hour)
	b.wantAsked("off again")
	b.wantTime("off again, the time goes on")
}

func TestSNTPConfigured(t *testing.T) {
	for _, wide := range []bool{false, true} {
		b := newTimeBench(t)
		b.h.boot()
		send(b.h, hif.OpEnableSNTP, hif.None{})
		send(b.h, hif.OpConfigSNTP, hif.SNTPConfig{Server: "*.pool.example", Wide: wide})
		b.h.static()
		b.connect()
		b.run(time.Minute)
		b.wantAsked("a pool", "0.pool.example", "1.pool.example", "2.pool.example")
		b.wantTime("a pool")

		for _, bad := range []string{"*", ""} { // nothing, and nothing new
			send(b.h, hif.OpConfigSNTP, hif.SNTPConfig{Server: bad, Wide: wide})
		}
		b.h.deliver(hif.OpConfigSNTP, false, make([]byte, 35))
		b.run(time.Minute)
		b.wantAsked("no other server")
		if n := b.dev.Counters().Malformed; n != 2 {
			t.Errorf("%d malformed requests, want 2", n)
		}

		send(b.h, hif.OpConfigSNTP, hif.SNTPConfig{Server: "time.example", Wide: wide})
		b.run(time.Second)
		b.wantAsked("a change while connected", "time.example")
		send(b.h, hif.OpDisconnect, hif.None{})
		await(b.h, time.Second, hif.OpStateChanged, hif.ParseStateChanged)
		b.connect()
		b.run(time.Minute)
		b.wantAsked("kept over a reconnect; names are cached")
		if b.dev.Snapshot().TimeBy != "time.example" {
			t.Errorf("the time is from %q", b.dev.Snapshot().TimeBy)
		}
	}
}

// A host that is connected, switches SNTP on and names a server a moment later causes no query to the built-in one.
func TestSNTPSwitchedOnAndConfigured(t *testing.T) {
	for seed := range 20 {
		b := newTimeBench(t)
		b.run(time.Duration(seed) * time.Millisecond)
		b.h.boot()
		send(b.h, hif.OpDisableSNTP, hif.None{})
		b.h.static()
		b.connect()
		b.run(time.Second)
		send(b.h, hif.OpEnableSNTP, hif.None{})
		b.run(50 * time.Millisecond)
		send(b.h, hif.OpConfigSNTP, hif.SNTPConfig{Server: "time.example"})
		b.run(5 * time.Second)
		b.wantAsked("on, and configured", "time.example")
	}
}

// The clock runs on while there is no link, over a new MAC address, but not over a reset.
func TestTimeOutlivesTheLink(t *testing.T) {
	b := newTimeBench(t)
	b.join(0x13301377)
	b.run(5 * time.Second)
	b.wantTime("joined")
	b.ap.Vanish()
	await(b.h, time.Minute, hif.OpStateChanged, hif.ParseStateChanged)
	b.asked = nil
	b.run(72 * time.Hour)
	b.wantAsked("without a link")
	b.wantTime("without a link")
	b.ap.Start(b.now)
	b.connect()
	b.run(5 * time.Second)
	b.wantAsked("joined again", "time.nist.gov")
	b.wantTime("joined again")
	send(b.h, hif.OpSetMAC, hif.SetMAC{MAC: [6]byte{2, 9, 9, 9, 9, 9}})
	await(b.h, time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	b.wantTime("another MAC address")
	b.asked = nil
	b.connect()
	b.run(5 * time.Second)
	b.wantAsked("another MAC address", "time.nist.gov")
	b.dev.Reset(b.now, true)
	b.dev.Reset(b.now, false)
	b.h.boot()
	if got := b.ask(); !got.IsZero() {
		t.Errorf("after a reset it is %v", got)
	}
}

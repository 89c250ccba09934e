package understudytest_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// Section 5.15: the time.

// truth is what time servers say at the start of a test: not the time of the
// bench, so that nobody can know it by himself.
var truth = time.Date(2031, 5, 6, 7, 8, 9, 500e6, time.UTC)

// withTime runs body on a bench that was booted and is idle, in a network whose
// time server has the time truth, and whose lease names the servers offered.
func withTime(t *testing.T, body func(r *rig), offered ...netip.Addr) {
	t.Helper()
	behaveWith(t, understudytest.Config{NTP: offered, LeaseTime: 100 * time.Hour}, func(r *rig) {
		r.SetTime(truth)
		body(r)
	})
}

// truthNow is what a clock shows that is right.
func (r *rig) truthNow() time.Time { return truth.Add(r.Now().Sub(r.start)) }

// parseNTP returns the request for the time that p carries.
func parseNTP(p *packet) (wire.NTP, bool) {
	if !p.up || p.kind != kindUDP || p.udp.DstPort != sntp.Port {
		return wire.NTP{}, false
	}
	m, err := wire.ParseNTP(p.body)
	return m, err == nil
}

func isNTP(p *packet) bool { _, ok := parseNTP(p); return ok }

// timeServer plugs in a host, known by these names, that answers requests for
// the time. edit may change an answer before it is sent; false drops it.
func (r *rig) timeServer(edit func(request wire.NTP, reply *wire.NTP) bool, names ...string) *understudytest.Host {
	r.t.Helper()
	h := r.AddHost(names[0])
	r.locked(func(time.Time) {
		for _, name := range names {
			r.ok("name", r.Names.Set(name, 0, h.Addr))
		}
	})
	r.ok("time server", h.HandleUDP(sntp.Port, func(_ net.Addr, p []byte) []byte {
		request, err := wire.ParseNTP(p)
		answer, ok := new(sntp.Server).Reply(r.truthNow(), nil, p)
		if err != nil || !ok {
			return nil
		}
		reply, err := wire.ParseNTP(answer)
		if err != nil || !edit(request, &reply) {
			return nil
		}
		return reply.Append(nil)
	}))
	return h
}

func right(wire.NTP, *wire.NTP) bool  { return true }
func silent(wire.NTP, *wire.NTP) bool { return false }

// wantAsked wants the next n requests for the time to go to these hosts.
func (r *rig) wantAsked(bound time.Duration, since int, hosts ...*understudytest.Host) []*packet {
	r.t.Helper()
	found := r.wantPackets(bound, "NTP request", len(hosts), since, isNTP)
	for i, h := range hosts {
		if found[i].ip.Dst != h.Addr {
			r.fatalf("request %d for the time went to %v, want %v (%s)", i, found[i].ip.Dst, h.Addr, h.Name)
		}
	}
	return found
}

// wantTime wants the device to have the time at, to a second.
func (r *rig) wantTime(why string, at func() time.Time) {
	r.t.Helper()
	r.ok("Time", r.Client.Time(hear[time.Time](r)))
	got := want[time.Time](r, none)
	if d := got.Sub(at()); d < -time.Second || d > time.Second || got.Location() != time.UTC {
		r.fatalf("%s: the time is %v, want %v", why, got, at())
	}
	r.ok("Time", r.Client.Time(nil)) // silences what the device tells by itself
}

// noTime wants the device not to know the time.
func (r *rig) noTime(why string) {
	r.t.Helper()
	r.ok("Time", r.Client.Time(hear[time.Time](r)))
	r.quiet(time.Second, why)
	_, err := r.Net.Time(context.Background())
	r.refused(why, err, hostnet.ErrTimeUnknown)
	r.nothingMore(why)
}

func TestNTP01_AskedForWithoutACall(t *testing.T) {
	withTime(t, func(r *rig) {
		r.online()
		since := r.mark()
		p := r.wantAsked(patience, 0, r.Router)[0]
		m, _ := parseNTP(p)
		if m.Mode != wire.NTPClient || m.Version != 4 || m.Transmit == 0 || p.n < since {
			r.fatalf("%v: %+v", p, m)
		}
		r.wantPacket("look-up before it", 0, queryFor("time.nist.gov"))
	})
}

func TestNTP02_TimeIsTheServers(t *testing.T) {
	withTime(t, func(r *rig) {
		r.online()
		r.Sleep(patience)
		r.wantTime("after the server's answer", r.truthNow)
		got, err := r.Net.Time(context.Background())
		if d := got.Sub(r.truthNow()); err != nil || d < -time.Second || d > time.Second || got.Location() != time.UTC {
			r.fatalf("Net.Time: %v, %v, want %v", got, err, r.truthNow())
		}
	})
}

func TestNTP03_UnknownTime(t *testing.T) {
	withTime(t, func(r *rig) {
		r.noTime("right after start-up")
		r.deaf(r.Router, sntp.Port)
		r.online()
		r.Sleep(10 * time.Second)
		r.noTime("nobody answers")
		// The callback stays, and hears of the time when the device does.
		r.locked(func(time.Time) { r.Router.Stack.HandleUDP(nil) })
		if got, _ := wantWithin[time.Time](r, none, 2*time.Minute); got.Sub(r.truthNow()).Abs() > time.Second {
			r.fatalf("told %v, want %v", got, r.truthNow())
		}
	})
}

func TestNTP04_Disabled(t *testing.T) {
	withTime(t, func(r *rig) {
		r.ok("DisableSNTP", r.Client.DisableSNTP())
		r.online()
		at := time.Date(2027, 8, 9, 10, 11, 12, 0, time.UTC)
		r.ok("SetTime", r.Client.SetTime(at))
		set := r.Now()
		byHand := func() time.Time { return at.Add(r.Now().Sub(set)) }
		r.wantTime("set by hand", byHand)
		r.Sleep(3 * time.Hour) // the longest wait between attempts is one
		r.wantTime("hours later", byHand)
		r.noPacket("SNTP is off", 0, isNTP)
		r.noPacket("SNTP is off", 0, queryFor("time.nist.gov"))
	})
}

func TestNTP05_ConfiguredServerInsteadOfTheOfferedOne(t *testing.T) {
	withTime(t, func(r *rig) {
		offered := r.timeServer(right, "offered.test")
		chosen := r.timeServer(right, "chosen.test")
		r.ok("EnableSNTP", r.Client.EnableSNTP("chosen.test", false))
		r.online()
		r.wantAsked(patience, 0, chosen)
		r.Sleep(time.Hour)
		r.wantTime("from the chosen server", r.truthNow)
		r.noPacket("the offered server", 0, isNTP, to(offered.Addr))
		r.noPacket("the built-in server", 0, queryFor("time.nist.gov"))
	}, understudytest.FirstHost)
}

func TestNTP06_OfferedServerFirst(t *testing.T) {
	withTime(t, func(r *rig) {
		offered := r.timeServer(silent, "offered.test")
		chosen := r.timeServer(right, "chosen.test")
		r.ok("EnableSNTP", r.Client.EnableSNTP("chosen.test", true))
		r.online()
		r.wantAsked(time.Minute, 0, offered, chosen)
		r.Sleep(time.Second)
		r.wantTime("from the second server", r.truthNow)
	}, understudytest.FirstHost)
}

func TestNTP07_Pool(t *testing.T) {
	withTime(t, func(r *rig) {
		var pool []*understudytest.Host
		for _, name := range []string{"0.pool.example", "1.pool.example", "2.pool.example", "3.pool.example"} {
			pool = append(pool, r.timeServer(silent, name))
		}
		r.ok("EnableSNTP", r.Client.EnableSNTP("*.pool.example", false))
		r.online()
		r.wantAsked(2*time.Minute, 0, append(pool, r.Router)...) // the last one is pool.ntp.org
		r.Sleep(time.Second)
		r.wantTime("from the last resort", r.truthNow)
	})
}

func TestNTP08_NameTooLong(t *testing.T) {
	long := strings.Repeat("n", 33)
	withTime(t, func(r *rig) {
		r.ok("DisableSNTP", r.Client.DisableSNTP())
		r.refused("EnableSNTP", r.Client.EnableSNTP(long, true), driver.ErrRequest)
		r.online()
		r.Sleep(time.Minute)
		r.noPacket("SNTP is off still", 0, isNTP)
	})
	withTime(t, func(r *rig) {
		chosen := r.timeServer(right, "chosen.test")
		r.ok("EnableSNTP", r.Client.EnableSNTP("chosen.test", false))
		r.refused("EnableSNTP", r.Client.EnableSNTP(long, true), driver.ErrRequest)
		r.online()
		r.wantAsked(patience, 0, chosen)
	})
	withTime(t, func(r *rig) { // the longest one that there is
		name := strings.Repeat("n", 27) + ".test"
		chosen := r.timeServer(right, name)
		r.ok("EnableSNTP", r.Client.EnableSNTP(name, false))
		r.online()
		r.wantAsked(patience, 0, chosen)
	})
}

func TestNTP09_NextServer(t *testing.T) {
	withTime(t, func(r *rig) {
		first := r.timeServer(silent, "nist.test", "time.nist.gov")
		r.online()
		p := r.wantAsked(time.Minute, 0, first, r.Router)
		if d := p[1].at.Sub(p[0].at); d < 15*time.Second || d > 20*time.Second {
			r.fatalf("the second server is asked %v after the first", d)
		}
		r.Sleep(time.Second)
		r.wantTime("from the second server", r.truthNow)
	})
}

func TestNTP10_OnceADay(t *testing.T) {
	withTime(t, func(r *rig) {
		r.ok("Time", r.Client.Time(hear[time.Time](r)))
		r.online()
		p := r.wantAsked(26*time.Hour, 0, r.Router, r.Router)
		if d := p[1].at.Sub(p[0].at); d < 23*time.Hour || d > 24*time.Hour+30*time.Minute {
			r.fatalf("asked again after %v", d)
		}
		for range 2 { // and the host is told each time
			got, e := wantWithin[time.Time](r, none, patience)
			if at := truth.Add(e.at.Sub(r.start)); got.Sub(at).Abs() > time.Second {
				r.fatalf("told %v, want %v", got, at)
			}
		}
	})
}

func TestNTP11_SetTime(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(2027, 8, 9, 10, 11, 12, 0, time.UTC),
		time.Date(2024, 2, 29, 23, 59, 59, 0, time.FixedZone("", -7200)),
		time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), // the last second of the era
		time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),   // and after it
	} {
		withTime(t, func(r *rig) {
			r.ok("SetTime", r.Client.SetTime(at))
			r.ok("Time", r.Client.Time(hear[time.Time](r)))
			if d := want[time.Time](r, none).Sub(at); d < 0 || d > 2*time.Second {
				r.fatalf("set %v, %v later it is that", at, d)
			}
		})
	}
}

// untrusted wants an answer changed by edit not to be used, and the right one of
// another server to be used after it.
func untrusted(t *testing.T, name string, edit func(request wire.NTP, reply *wire.NTP) bool) {
	t.Helper()
	withTime(t, func(r *rig) {
		first := r.timeServer(edit, "nist.test", "time.nist.gov")
		r.online()
		p := r.wantAsked(patience, 0, first)[0]
		r.wantPacket("the answer", p.n, down, port(sntp.Port))
		r.noTime(name)
		r.ok("Time", r.Client.Time(nil))
		r.wantAsked(2*time.Minute, 0, first, r.Router)
		r.Sleep(time.Second)
		r.wantTime("from the second server", r.truthNow)
	})
}

func TestNTP12_KissOfDeathAndUnsynchronized(t *testing.T) {
	for _, code := range []string{"DENY", "RSTR", "RATE", "INIT", "\x00\x00\x00\x00"} {
		untrusted(t, code, func(_ wire.NTP, reply *wire.NTP) bool {
			reply.Stratum, reply.RefID = 0, [4]byte([]byte(code))
			return true
		})
	}
	untrusted(t, "leap 3", func(_ wire.NTP, reply *wire.NTP) bool { reply.Leap = wire.NTPUnsynchronized; return true })
	untrusted(t, "stratum 0, leap 3", func(_ wire.NTP, reply *wire.NTP) bool {
		reply.Stratum, reply.Leap = 0, wire.NTPUnsynchronized
		return true
	})
	untrusted(t, "stratum 16", func(_ wire.NTP, reply *wire.NTP) bool { reply.Stratum = 16; return true })
}

func TestNTP13_AnswerToAnotherRequest(t *testing.T) {
	untrusted(t, "one bit off", func(_ wire.NTP, reply *wire.NTP) bool { reply.Originate ^= 1; return true })
	untrusted(t, "zero", func(_ wire.NTP, reply *wire.NTP) bool { reply.Originate = 0; return true })
}

// A change while connected counts at once; what the document leaves open we
// decided so (section 6, question 12).
func TestNTP05_ChangeWhileConnected(t *testing.T) {
	withTime(t, func(r *rig) {
		chosen := r.timeServer(right, "chosen.test")
		r.online()
		r.Sleep(time.Minute)
		since := r.mark()
		r.ok("EnableSNTP", r.Client.EnableSNTP("chosen.test", false))
		r.wantAsked(time.Second, since, chosen)
	})
}

// The time goes on without a link, and is asked for again with the next one.
func TestNTP01_AfterALossOfTheLink(t *testing.T) {
	withTime(t, func(r *rig) {
		r.online()
		r.wantAsked(patience, 0, r.Router)
		r.Sleep(time.Minute)
		r.vanish()
		wantWithin[connHeard](r, none, time.Minute)
		since := r.mark()
		r.Sleep(time.Hour)
		r.noPacket("without a link", since, up)
		r.wantTime("without a link", r.truthNow)
		r.RestoreWiFi()
		r.online()
		r.wantAsked(patience, since, r.Router)
		r.wantTime("with a link again", r.truthNow)
	})
}

func TestCBK11_OwnLookUpsAreNotTold(t *testing.T) {
	withTime(t, func(r *rig) {
		since := r.mark()
		r.online()
		r.wantPacket("look-up", since, queryFor("time.nist.gov"))
		r.quiet(time.Minute, "the look-up of the time server")
	})
}

package understudytest_test

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// Section 5.8: ICMP echo.

// The device gives an echo request up after 4 s (2.6).
const (
	echoTimeout = 4 * time.Second
	echoMargin  = 200 * time.Millisecond
)

// wantVerdict wants the verdict of an echo request; what comes beside it fails
// the test at its end.
func (r *rig) wantVerdict(is error) driver.EchoReply {
	r.t.Helper()
	e := want[driver.EchoReply](r, none)
	if e.Err != is {
		r.fatalf("echo: got %v, want %v", e.Err, is)
	}
	return e
}

func TestICM01_EchoOfALiveHost(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		r.reaches(h.Addr) // ARP is not what is measured
		const delay = 50 * time.Millisecond
		r.SetLink(air.Link{Delay: delay})
		since := r.mark()
		r.ok("Echo", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		e := r.wantVerdict(nil)
		if e.Addr != h.Addr {
			r.fatalf("answer of %v, want %v", e.Addr, h.Addr)
		}
		if e.RTT < 2*delay*8/10 || e.RTT > 2*delay*12/10 {
			r.fatalf("round trip of %v over a link of %v each way", e.RTT, delay)
		}
		r.quiet(time.Minute, "one callback")
		if n := len(r.packets(since, up, isEcho, to(h.Addr))); n != 1 {
			r.fatalf("%d echo requests", n)
		}
	})
}

func TestICM02_EchoTimesOut(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		r.takeEchoes(h, func(time.Time, echoRequest) {})
		start := r.Now()
		r.ok("Echo", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.wantVerdict(driver.ErrEchoTimeout)
		if d := r.Now().Sub(start); d < echoTimeout-echoMargin || d > echoTimeout+echoMargin {
			r.fatalf("timed out after %v, want about %v", d, echoTimeout)
		}
		r.quiet(time.Minute, "exactly one callback")
	})
}

func TestICM03_HostUnreachable(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		r.takeEchoes(h, func(now time.Time, q echoRequest) {
			icmp := wire.ICMP{Type: wire.ICMPEcho, ID: q.id, Seq: q.seq}.Append(nil, q.payload)
			ip := wire.IPv4{TTL: 64, Proto: wire.ProtoICMP, Src: q.from, Dst: q.to}.Append(nil, len(icmp))
			if err := h.Stack.SendUnreachable(now, wire.ICMPHostUnreachable, append(ip, icmp...)); err != nil {
				t.Error(err)
			}
		})
		start := r.Now()
		r.ok("Echo", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.wantVerdict(driver.ErrUnreachable)
		if d := r.Now().Sub(start); d > time.Second {
			r.fatalf("told after %v", d)
		}
	})
}

func TestICM04_NoDestination(t *testing.T) {
	behave(t, func(r *rig) {
		since := r.mark()
		for _, a := range []netip.Addr{netip.IPv4Unspecified(), {}} {
			r.refused("Echo", r.Client.Echo(a, 0, hear[driver.EchoReply](r)), driver.ErrInvalid)
		}
		r.quiet(time.Minute, "refused")
		r.noPacket("refused", since, up)
	})
}

func TestICM05_TimeToLive(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		for _, ttl := range []uint8{3, 0} {
			since := r.mark()
			r.ok("Echo", r.Client.Echo(h.Addr, ttl, hear[driver.EchoReply](r)))
			r.wantVerdict(nil)
			got := r.wantPacket("echo request", since, up, isEcho).ip.TTL
			if ttl == 3 && got != 3 || ttl == 0 && got != 64 {
				r.fatalf("TTL %d appears as %d", ttl, got)
			}
		}
	})
}

func TestICM06_NilCallback(t *testing.T) {
	behave(t, func(r *rig) {
		h, since := r.AddHost("peer.test"), r.mark()
		r.ok("Echo", r.Client.Echo(h.Addr, 0, nil))
		r.wantPacket("echo request", since, up, isEcho, to(h.Addr))
		r.wantPacket("echo reply", since, down, isEchoReply)
	})
}

func TestICM07_SecondRequestReplacesTheFirst(t *testing.T) {
	behave(t, func(r *rig) {
		h, since := r.AddHost("peer.test"), r.mark()
		var held []echoRequest
		r.takeEchoes(h, func(_ time.Time, q echoRequest) { held = append(held, q) })
		type second driver.EchoReply
		r.ok("first Echo", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.Sleep(time.Second)
		r.ok("second Echo", r.Client.Echo(h.Addr, 0, func(e driver.EchoReply) { r.tell(none, second(e)) }))
		r.wantPackets(patience, "echo requests", 2, since, up, isEcho, to(h.Addr))
		r.Sleep(100 * time.Millisecond) // to the peer
		r.answerEcho(h, held[0])
		r.wantPacket("first echo reply", since, down, isEchoReply)
		r.quiet(time.Second, "the first has no callback")
		r.answerEcho(h, held[1])
		if e := want[second](r, none); e.Err != nil || e.RTT < time.Second {
			r.fatalf("second: %v after %v", e.Err, e.RTT)
		}
		r.quiet(time.Minute, "only the second has a callback")
	})
}

func TestICM08_WrongEchoRepliesAreIgnored(t *testing.T) {
	behave(t, func(r *rig) {
		h, since := r.AddHost("peer.test"), r.mark()
		r.takeEchoes(h, func(now time.Time, q echoRequest) {
			h.Stack.SendEchoReply(now, q.to, q.from, q.id+1, q.seq, q.payload)
			h.Stack.SendEchoReply(now, q.to, q.from, q.id, q.seq+1, q.payload)
			if q.id == q.seq { // once in 65536
				q.id++
			}
			h.Stack.SendEchoReply(now, q.to, q.from, q.seq, q.id, q.payload)
		})
		r.ok("Echo", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.wantPackets(patience, "echo replies", 3, since, down, isEchoReply)
		r.quiet(echoTimeout-time.Second, "wrong replies")
		r.wantVerdict(driver.ErrEchoTimeout)
	})
}

func TestICM09_LateReplyIsIgnored(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("peer.test")
		var held []echoRequest
		r.takeEchoes(h, func(_ time.Time, q echoRequest) { held = append(held, q) })
		r.ok("Echo", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.wantVerdict(driver.ErrEchoTimeout)
		since := r.mark()
		r.answerEcho(h, held[0])
		r.wantPacket("late reply", since, down, isEchoReply)
		r.quiet(time.Minute, "a late reply")
	})
}

func TestICM10_EchoWithoutAnAddress(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		h := r.AddHost("peer.test")
		r.ok("Echo in the idle state", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.wantVerdict(driver.ErrUnreachable)
		r.noDHCP()
		r.associate()
		r.ok("Echo without a lease", r.Client.Echo(h.Addr, 0, hear[driver.EchoReply](r)))
		r.wantVerdict(driver.ErrUnreachable)
		r.noPacket("no address", 0, isEcho)
	})
}

func TestICM11_StationAnswersPings(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		h := r.AddHost("peer.test")
		r.noDHCP()
		r.associate()
		since := r.mark()
		if _, err := h.Ping(context.Background(), understudytest.FirstLease, stack.PingConfig{}); err == nil {
			r.fatalf("answers before it has an address")
		}
		r.noPacket("before it has an address", since, up, isEchoReply)
		r.serveDHCP(dhcp.ServerConfig{}, nil)
		r.Sleep(patience)

		puppet := r.puppet()
		for _, n := range []int{0, 1, 56, 1472} {
			since, data := r.mark(), pattern(n)
			ask := wire.ICMP{Type: wire.ICMPEcho, ID: 7, Seq: uint16(n)}
			puppet.sendIP(wire.ProtoICMP, ask.Append(nil, data))
			p := r.wantPacket("echo reply", since, up, isEchoReply, to(puppet.addr))
			if p.icmp.ID != ask.ID || p.icmp.Seq != ask.Seq || !bytes.Equal(p.body, data) {
				r.fatalf("echo of %d bytes: %v", n, p)
			}
		}
		if _, err := h.Ping(context.Background(), r.Client.Addr(), stack.PingConfig{}); err != nil {
			r.fatalf("ping of a real host: %v", err)
		}
	})
}

func TestICM12_EchoNeedsNoSocket(t *testing.T) {
	behave(t, func(r *rig) {
		for range driver.MaxTCPSockets {
			r.stream()
		}
		for range driver.MaxUDPSockets {
			r.datagram()
		}
		r.reaches(r.AddHost("peer.test").Addr)
	})
}

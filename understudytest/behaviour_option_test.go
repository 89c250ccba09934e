package understudytest_test

// OPT: options of sockets (spec/driver-api.md 5.6, without TLS).

import (
	"math"
	"net/netip"
	"testing"

	"github.com/understudy-net/understudy/driver"
)

// refusesOption wants SetOpt to refuse, and to tell the device nothing.
func (r *rig) refusesOption(s driver.Socket, o driver.Opt, value int) {
	r.t.Helper()
	before := r.Driver.Stats().Sent
	r.refused("SetOpt of "+o.String(), s.SetOpt(o, value), driver.ErrSockArg)
	if _, err := s.Opt(o); err == nil {
		r.fatalf("%v was refused, and is set", o)
	}
	if sent := r.Driver.Stats().Sent - before; sent != 0 {
		r.fatalf("%v was refused, and %d messages were sent", o, sent)
	}
}

// In Go values have no length: one that does not fit into the four bytes of the
// message is refused. Where an int has four bytes there is none.
func TestOPT01_ValueOfFourBytes(t *testing.T) {
	onBench(t, func(r *rig) {
		for _, s := range []driver.Socket{r.stream(), r.datagram()} {
			for _, o := range []driver.Opt{driver.OptUDPSendEvents, driver.OptKeepAlive, driver.OptKeepIdle, driver.OptKeepInterval, driver.OptKeepCount} {
				for _, v := range []int64{math.MaxUint32 + 1, math.MinInt32 - 1, math.MaxInt64} {
					if int64(int(v)) == v {
						r.refusesOption(s, o, int(v))
					}
				}
				r.ok("SetOpt", s.SetOpt(o, 1))
			}
		}
		r.quiet(patience, "setsockopt has no event")
	})
}

// In Go options have no levels: what is not in the list of options is refused.
func TestOPT03_UnknownOption(t *testing.T) {
	onBench(t, func(r *rig) {
		for _, s := range []driver.Socket{r.stream(), r.datagram()} {
			for o := range 256 {
				if o == 3 || o > int(driver.OptKeepCount) {
					r.refusesOption(s, driver.Opt(o), 1)
				}
			}
		}
		r.quiet(patience, "setsockopt has no event")
	})
}

// A BIND that is refused leaves the options as they are, on both sides: here, that
// sends have no event.
func TestRefusedBindKeepsOptions(t *testing.T) {
	behave(t, func(r *rig) {
		peer := r.AddHost("peer.test")
		heard := r.peerSocket(peer, 99)
		s := r.bound(driver.Datagram, 9)
		r.ok("SetOpt", s.SetOpt(driver.OptUDPSendEvents, 0))
		r.bind(s, 10, driver.ErrSockInvalid)
		r.ok("SendTo", s.SendTo([]byte("x"), netip.AddrPortFrom(peer.Addr, 99)))
		b := make([]byte, 9)
		n, from, err := heard.ReadFrom(b)
		if r.ok("ReadFrom", err); n != 1 || from.String() != r.at(9).String() {
			r.fatalf("%d bytes from %v", n, from)
		}
		if v, err := s.Opt(driver.OptUDPSendEvents); v != 0 || err != nil {
			r.fatalf("the option is %d, %v", v, err)
		}
		r.quiet(patience, "sends have no event")
		r.ok("Disconnect", r.Client.Disconnect())
		r.quiet(patience, "none waits for its end")
	})
}

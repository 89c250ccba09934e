package device

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// echo is a PING that runs. Spec hif-messages 3.10.
type echo struct {
	m      hif.Ping
	left   int // requests still to send after the one that is out
	answer hif.PingReply
}

// maxEchoes is the most requests that one PING may ask for; hosts ask for 1.
const maxEchoes = 16

// ping is PING: one answer, which carries the address and the private word of the request bit for bit, because some
// hosts keep a pointer in it.
func (f *firmware) ping(now time.Time, m hif.Ping) {
	e := &echo{m: m, left: min(max(int(m.Count), 1), maxEchoes) - 1}
	e.answer = hif.PingReply{IP: m.IP, Private: m.Private}
	if len(f.pings) >= maxPending || !f.sendEcho(now, e) {
		e.answer.Error, e.answer.Failures = hif.PingUnreachable, uint16(e.left+1)
		reply(f.d, hif.OpPing, e.answer)
		return
	}
	f.pings = append(f.pings, e)
}

// sendEcho sends one request. It fails when there is no way to the destination: no address, no route.
func (f *firmware) sendEcho(now time.Time, e *echo) bool {
	if !f.stack.Addr().IsValid() {
		return false
	}
	_, err := f.stack.Ping(now, netip.AddrFrom4(e.m.IP), stack.PingConfig{
		TTL: e.m.TTL, Timeout: f.d.profile.PingTimeout, Tag: e,
	})
	return err == nil
}

// ponged is the end of one request. The error of the answer is that of the last one; the time is the last that
// succeeded.
func (f *firmware) ponged(now time.Time, e *echo, ev stack.Event) {
	i := slices.Index(f.pings, e)
	if i < 0 {
		return
	}
	switch err := ev.Ping.Err; {
	case err == nil:
		e.answer.Success++
		e.answer.Error = hif.PingOK
		e.answer.RTT = uint32(ev.Ping.RTT.Round(time.Millisecond) / time.Millisecond)
	case errors.Is(err, stack.ErrTimeout):
		e.answer.Failures++
		e.answer.Error = hif.PingTimeout
	default:
		e.answer.Failures++
		e.answer.Error = hif.PingUnreachable
	}
	if e.left > 0 {
		e.left--
		if f.sendEcho(now, e) {
			return
		}
		e.answer.Failures += uint16(e.left + 1)
		e.answer.Error = hif.PingUnreachable
	}
	f.pings = slices.Delete(f.pings, i, i+1)
	reply(f.d, hif.OpPing, e.answer)
}

// failEchoes ends all, because the link or the address is gone.
func (f *firmware) failEchoes() {
	for _, e := range f.pings {
		e.answer.Failures += uint16(e.left + 1)
		e.answer.Error = hif.PingUnreachable
		reply(f.d, hif.OpPing, e.answer)
	}
	f.pings = nil
}

package dhcp

import (
	"testing"
	"time"
)

// wantRebind is a REQUEST of Rebind: to everybody, ciaddr alone (RFC 2131, table 5).
func (t *clientTest) wantRebind(why string) *sent {
	t.Helper()
	m := t.want(why, Request)
	if m.ClientIP != leased || m.RequestedIP.IsValid() || m.ServerID.IsValid() || m.dst.String() != "255.255.255.255:67" {
		t.Errorf("%s: %v to %v", why, m.String(), m.dst)
	}
	return m
}

func TestRebindKeepsTheAddressThatIsAcknowledged(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	if t.c.Rebind(t.now) {
		t.Error("without a lease")
	}
	l := t.bind(nil).Lease
	t.now = t.now.Add(time.Minute)
	if !t.c.Rebind(t.now) {
		t.Fatal("with a lease")
	}
	m := t.wantRebind("moved")
	if _, ok := t.c.Lease(); !ok {
		t.Error("the lease is not in use meanwhile")
	}
	t.reply(m, Ack, nil)
	if e := t.wantEvent("acknowledged", EventRenewed, nil); e.Lease.Addr != l.Addr || !e.Lease.Expiry.After(l.Expiry) {
		t.Errorf("lease %+v", e.Lease)
	}
	t.wantState("acknowledged", StateBound)
}

func TestRebindThatIsRefusedStartsAgain(t0 *testing.T) {
	t := newClientTest(t0, ClientConfig{})
	t.bind(nil)
	t.c.Rebind(t.now)
	t.reply(t.wantRebind("moved"), Nak, nil)
	t.wantEvent("refused", EventLost, ErrRefused)
	t.want("starts again", Discover)
}

// Nobody answers: after four quick requests it is an ordinary REBINDING, with its pace and its end; a lease for ever stays.
func TestRebindThatNobodyAnswers(t0 *testing.T) {
	for _, lease := range []uint32{3600, Infinite} {
		t := newClientTest(t0, ClientConfig{})
		l := t.bind(func(m *Message) { m.LeaseTime = lease }).Lease
		start := t.now
		t.c.Rebind(t.now)
		for range requests {
			t.wantRebind("at first")
			t.step(time.Hour)
		}
		if d := t.now.Sub(start); d > 2*time.Minute || d < 10*time.Second {
			t.Errorf("%d requests within %v", requests, d)
		}
		if lease == Infinite {
			t.wantState("for ever", StateBound)
			if !t.c.Deadline().IsZero() {
				t.Error("it goes on asking")
			}
			continue
		}
		t.wantRebind("the fifth")
		before := t.now
		t.step(time.Hour)
		if d := t.now.Sub(before); d < 10*time.Minute {
			t.Errorf("the next after %v", d)
		}
		for t.now.Before(l.Expiry) {
			t.wantRebind("later")
			t.step(time.Hour)
		}
		t.wantEvent("expired", EventLost, ErrExpired)
	}
}

package driver_test

import (
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

func TestSetRoaming(t *testing.T) {
	b := newBench(t)
	for _, r := range []struct {
		set  driver.Roaming
		sent hif.Roaming
	}{
		{driver.RoamOn, hif.Roaming{Enable: true}}, {driver.RoamRenew, hif.Roaming{Enable: true, DHCP: true}},
		{driver.RoamOff, hif.Roaming{}}, {7, hif.Roaming{}}, {driver.RoamOn, hif.Roaming{Enable: true}},
	} {
		check(t, b.c.SetRoaming(r.set))
		if m := want(b.chip, hif.OpRoaming, hif.ParseRoaming); m != r.sent {
			t.Errorf("%d: sent %+v, want %+v", r.set, m, r.sent)
		}
	}
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "SetRoaming", b.c.SetRoaming(driver.RoamOff), driver.ErrConnect)
	b.refuse = nil
	check(t, b.c.Close())
	if m := want(b.chip, hif.OpRoaming, hif.ParseRoaming); m.Enable {
		t.Errorf("Close leaves %+v", m)
	}
}

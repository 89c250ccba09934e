package wifi

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// FuzzMachines lets anybody on the air say anything to a station that joins and to its access point, with a good
// check sequence or without, under every address. Neither may fall over, stop, or grow; once the noise is over, a
// station must be able to join.
func FuzzMachines(f *testing.F) {
	f.Add([]byte{0, 1, 0x80, 20, 1, 2, 3, 4})
	f.Add([]byte("\x01\x00\xc0\x00\x03\x00\x05\x02\xb0\x00\x00\x00\x02\x00\x11\x00"))
	f.Add([]byte{0x12, 8, 0xb0, 0, 0, 0, 1, 0, 0, 0, 0x12, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		a := air.New(air.Config{})
		var pmks PMKCache
		ap, err := NewAccessPoint(APConfig{Air: a, MAC: apMAC, Rand: rand.NewPCG(1, 1), SSID: ssid, Channel: 6,
			Passphrase: passphrase, PMKs: &pmks, MaxStations: 4})
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewStation(StationConfig{Air: a, MAC: staMAC, Rand: rand.NewPCG(1, 2), PMKs: &pmks})
		if err != nil {
			t.Fatal(err)
		}
		now := epoch
		ap.Start(now)
		machines := []machine{a, ap, s}
		settle := func(d time.Duration) {
			for end := now.Add(d); now.Before(end); now = now.Add(time.Millisecond) {
				for range 4 {
					for _, m := range machines {
						if due(m.Deadline(), now) {
							m.Advance(now)
						}
					}
				}
			}
		}
		join := JoinParams{SSID: ssid, Passphrase: passphrase, BSSID: apMAC, Channel: 6}
		if err := s.Join(now, join); err != nil {
			t.Fatal(err)
		}
		noise := a.NewPort(wire.MAC{2, 6, 6, 6, 6, 6}, nil)
		noise.SetChannel(6)
		macs := []wire.MAC{apMAC, staMAC, sta2, wire.Broadcast, probeGroup, {}}
		for len(script) >= 2 {
			how, n := int(script[0]), min(int(script[1]), len(script)-2)
			body := script[2 : 2+n]
			script = script[2+n:]
			f := air.Frame{From: macs[how%3], To: macs[how/4%len(macs)], Data: body}
			switch {
			case how&0x80 != 0:
				h := wire.Ethernet{Dst: f.To, Src: f.From, Type: wire.EtherTypeEAPOL}
				f.Data = append(h.Append(nil), body...)
			case how&0x40 != 0:
				f.Kind = air.KindManagement
				f.Data = sealed(body)
			}
			noise.Send(now, f)
			settle(time.Millisecond)
		}
		if len(ap.peers) > 4+minWaiting || len(ap.timers) != len(ap.peers) || ap.aids.inUse > 4 {
			t.Fatalf("%d peers, %d timers, %d AIDs", len(ap.peers), len(ap.timers), ap.aids.inUse)
		}
		settle(15 * time.Second)
		s.Leave(now)
		settle(time.Second)
		for _, ok := s.NextEvent(); ok; _, ok = s.NextEvent() {
		}
		if err := s.Join(now, join); err != nil {
			t.Fatal(err)
		}
		settle(3 * time.Second)
		if e, _ := s.NextEvent(); e.Kind != EventJoined {
			t.Fatalf("after the noise: %v", e)
		}
	})
}

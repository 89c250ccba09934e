package wifi_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/wire"
)

// A station scans, joins a WPA2 network and sends a frame; time is ours.
func Example() {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	a := air.New(air.Config{Delay: air.TypicalDelay})
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: a, MAC: wire.MAC{2, 0, 0, 0, 0, 1}, Rand: rand.NewPCG(1, 1),
		SSID: "stage", Channel: 6, Passphrase: "correct horse",
		Output: func(now time.Time, eth []byte) { fmt.Printf("the world hears %q\n", eth[wire.EthernetLen:]) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	sta, err := wifi.NewStation(wifi.StationConfig{Air: a, MAC: wire.MAC{2, 0, 0, 0, 0, 2}, Rand: rand.NewPCG(1, 2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	// step goes to the next deadline of the three, as a world would.
	step := func() {
		var next interface{ Advance(time.Time) }
		var at time.Time
		for _, m := range []interface {
			Advance(time.Time)
			Deadline() time.Time
		}{a, ap, sta} {
			if d := m.Deadline(); !d.IsZero() && (next == nil || d.Before(at)) {
				next, at = m, d
			}
		}
		if at.After(now) {
			now = at
		}
		next.Advance(now)
	}
	event := func() wifi.Event {
		for {
			if e, ok := sta.NextEvent(); ok {
				return e
			}
			step()
		}
	}

	ap.Start(now)
	if err := sta.Scan(now, wifi.ScanParams{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event())
	for _, n := range sta.Results() {
		fmt.Println(" ", n)
	}
	if err := sta.Join(now, wifi.JoinParams{SSID: "stage", Passphrase: "correct horse"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event())

	frame := wire.Ethernet{Dst: wire.Broadcast, Src: sta.MAC(), Type: wire.EtherTypeIPv4}.Append(nil)
	sta.Send(now, append(frame, "hello"...))
	for range 6 {
		step()
	}
	// Output:
	// scan done
	//   "stage" 02:00:00:00:00:01 ch 6 -40 dBm WPA2-PSK
	// joined "stage" 02:00:00:00:00:01 ch 6 -40 dBm WPA2-PSK
	// the world hears "hello"
}

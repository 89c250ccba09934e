package air_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// Two radios on one channel; the second is slow to hear.
func Example() {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	start := now
	a := air.New(air.Config{Rand: rand.NewPCG(1, 2), Delay: air.TypicalDelay})
	one, two := wire.MAC{2, 0, 0, 0, 0, 1}, wire.MAC{2, 0, 0, 0, 0, 2}

	p := a.NewPort(one, nil)
	a.NewPort(two, func(now time.Time, f air.Frame) {
		fmt.Printf("%v: %v at %d dBm: %s\n", now.Sub(start), f, f.RSSI, f.Data)
	})
	if err := a.SetLink(one, two, air.Link{Delay: 20 * time.Millisecond, RSSI: -71}); err != nil {
		fmt.Println(err)
		return
	}
	p.Send(now, air.Frame{Kind: air.KindData, To: two, Data: []byte("an Ethernet frame")})
	for at := a.Deadline(); !at.IsZero(); at = a.Deadline() {
		now = at
		a.Advance(now)
	}
	// Output:
	// 20.3ms: 02:00:00:00:00:01 > 02:00:00:00:00:02 ch 1 data 17 at -71 dBm: an Ethernet frame
}

package stack_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/wire"
)

// A host whose clock has stood still since 2020 asks another one for the time.
func ExampleStack_Sync() {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	truth := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC).Sub(now) // ahead of our clock

	var hosts [2]*stack.Stack
	var frames [2][][]byte // on their way to each
	for i := range hosts {
		s, err := stack.New(stack.Config{
			MAC:    wire.MAC{0x02, 0, 0, 0, 0, byte(i)},
			Rand:   random(),
			Output: func(_ time.Time, f []byte) { frames[1-i] = append(frames[1-i], append([]byte(nil), f...)) },
			ACD:    stack.ACD{Off: true}, // nobody else is on this link
		})
		if err != nil {
			panic(err)
		}
		s.SetAddr(now, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24), netip.Addr{})
		hosts[i] = s
	}
	hosts[1].ServeNTP(new(sntp.Server), func(now time.Time) time.Time { return now.Add(truth) })

	if err := hosts[0].Sync(now, stack.SyncConfig{Servers: []string{"10.0.0.2"}}); err != nil {
		fmt.Println(err)
		return
	}
	for range 40 { // two seconds: the first request waits a little
		now = now.Add(50 * time.Millisecond)
		for i, s := range hosts {
			for _, f := range frames[i] {
				s.Input(now, f)
			}
			frames[i] = nil
			s.Advance(now)
		}
	}
	t, known := hosts[0].Time(now)
	fmt.Println(known, t.Round(time.Second))
	// Output: true 2031-05-06 07:08:11 +0000 UTC
}

package tap_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// A stack on a TAP device, which serves a page to this machine: while it runs, open
// http://10.99.0.2/. It needs root, so it is compiled and not run here.
func Example_stack() {
	w := world.New()
	go w.Run(context.Background())

	var up *tap.Uplink
	w.Lock()
	var slot *world.Slot
	s, err := stack.New(stack.Config{
		MAC: wire.MAC{2, 0, 0, 0, 0, 2}, Rand: rand.NewPCG(rand.Uint64(), rand.Uint64()),
		Output: func(now time.Time, frame []byte) { up.Input(now, frame) },
		Touch:  func() { slot.Touch() },
	})
	if err != nil {
		log.Fatal(err)
	}
	slot = w.Add(&stack.Host{Stack: s})
	w.Unlock()

	up, err = tap.New(tap.Config{
		World: w, Name: "tap9", Addrs: []netip.Prefix{netip.MustParsePrefix("10.99.0.1/24")},
		Output: func(now time.Time, eth []byte) { s.Input(now, eth) },
	})
	if err != nil {
		log.Fatal(err) // says what to do without root
	}
	defer up.Close()

	n := stack.Net{Owner: w, Stack: s}
	if err := n.SetAddr(context.Background(), netip.MustParsePrefix("10.99.0.2/24"), netip.Addr{}); err != nil {
		log.Fatal(err)
	}
	l, err := n.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		io.WriteString(rw, "hello from another stack\n")
	})))
}

// The kernel as a station of a virtual network: any program of this machine can then use
// the interface vwlan0. It needs root, so it is compiled and not run here.
func ExampleNewStation() {
	w := world.New()
	go w.Run(context.Background())
	w.Lock()
	medium := air.New(air.Config{})
	medium.OnSend = w.Add(medium).Touch
	w.Unlock()
	// ... an access point "bench" on the medium, with a stack or an uplink behind it

	s, err := tap.NewStation(tap.StationConfig{
		World: w, Air: medium, Rand: rand.NewPCG(rand.Uint64(), rand.Uint64()),
		MAC: wire.MAC{2, 0, 0, 0, 0, 3}, Name: "vwlan0",
		Join:   wifi.JoinParams{SSID: "bench", Passphrase: "correct horse"},
		Handle: func(_ time.Time, e wifi.Event) { fmt.Println(e) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	select {}
}

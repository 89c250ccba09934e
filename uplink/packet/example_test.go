package packet_test

import (
	"context"
	"log"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/uplink/packet"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// An access point on the virtual air whose far side is the Ethernet at eth0. It needs root, so it is
// compiled and not run here.
func Example() {
	w := world.New()
	go w.Run(context.Background())

	var up *packet.Uplink
	var slot *world.Slot
	now := w.Lock()
	medium := air.New(air.Config{})
	medium.OnSend = w.Add(medium).Touch
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: medium, MAC: wire.MAC{2, 0, 0, 0, 0, 1}, SSID: "lab", Passphrase: "correct horse",
		Rand:   rand.NewPCG(rand.Uint64(), rand.Uint64()),
		Output: func(now time.Time, eth []byte) { up.Input(now, eth) },
		Touch:  func() { slot.Touch() },
	})
	if err != nil {
		log.Fatal(err)
	}
	slot = w.Add(ap)
	w.Unlock()

	up, err = packet.New(packet.Config{
		World: w, Interface: "eth0",
		Output: func(now time.Time, eth []byte) {
			ap.Send(now, eth)
			slot.Touch()
		},
	})
	if err != nil {
		log.Fatal(err) // says what to do without root
	}
	defer up.Close()

	w.Lock()
	ap.Start(now)
	w.Unlock()
	select {}
}

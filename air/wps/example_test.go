package wps_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

// Both ends of an exchange by push button, without anything in between.
func Example() {
	lamp, ap := wire.MAC{2, 0, 0, 0, 0, 1}, wire.MAC{2, 0, 0, 0, 0, 2}
	e := wps.NewEnrollee(wps.Device{MAC: lamp, UUID: wps.UUID(lamp), Name: "lamp"}, "", rand.NewPCG(1, 2))
	r := wps.NewRegistrar(wps.RegistrarConfig{
		Me: wps.Device{MAC: ap, UUID: wps.UUID(ap), Name: "access point"}, Enrollee: lamp,
		Network: wps.Credential{SSID: "home", Key: "correct horse"}, Rand: rand.NewPCG(3, 4),
	})
	for !r.Over() {
		r.Receive(e.Receive(r.Last()))
	}
	e.Receive(r.Last()) // EAP-Failure: nobody has joined yet
	c, ok := e.Credential()
	fmt.Println(c.SSID, c.Key, ok, r.Done())
	// Output: home correct horse true true
}

package understudytest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// A firmware update: the device downloads it from a server on its network, the host switches, and after a reset the new
// version runs.
func Example_update() {
	b, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	v, _ := image.ParseVersion("19.8.1")
	file, err := image.Build(image.Spec{Version: v, Size: 100_000})
	if err != nil {
		log.Fatal(err)
	}
	b.AddHost("updates.test").HandleHTTP(80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(file) }))

	err = b.Run(func() {
		ctx := context.Background()
		from := url.URL{Scheme: "http", Host: "updates.test", Path: "/new.img"}
		for _, step := range []func() error{
			b.Join,
			func() error { return b.Net.Update(ctx, from.String(), nil) },
			func() error { return b.Net.SwitchImage(ctx) },
			b.Driver.Restart,
		} {
			if err := step(); err != nil {
				log.Fatal(err)
			}
		}
		c, err := b.Net.Client()
		if err != nil {
			log.Fatal(err)
		}
		running, _ := c.Firmware()
		standby, _ := c.StandbyFirmware()
		fmt.Printf("%v runs, %v stands by\n", running, standby)
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 19.8.1 runs, 19.7.7 stands by
}

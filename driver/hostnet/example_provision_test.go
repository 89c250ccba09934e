package hostnet_test

import (
	"context"
	"fmt"

	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// Somebody pushes the button of the access point, and the controller joins without anybody typing a passphrase.
func ExampleNet_WPS() {
	b, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	b.Run(func() {
		now := b.World.Lock()
		err := b.AP.PushButton(now)
		b.World.Unlock()
		if err != nil {
			fmt.Println(err)
			return
		}
		ctx := context.Background()
		bss, auth, err := b.Net.WPS(ctx, "")
		if err == nil {
			err = b.Net.Join(ctx, bss, auth)
		}
		fmt.Println(bss.SSID, auth.Type, err)
	})
	// Output: understudy WPA-PSK <nil>
}

package hostnet_test

import (
	"io"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/understudytest"
)

func TestFiftyConnsOnAnUnlimitedDevice(t *testing.T) {
	b := understudytest.VirtualConfig(t, understudytest.Config{Device: device.Config{Profile: device.Unlimited()}})
	check(t, b.Run(func() {
		check(t, b.Join())
		h := b.AddHost("peer.test")
		h.HandleTCP(7, echo)
		want := noise(10_000)
		done := 0
		for range 50 {
			b.Go(func() {
				c, err := b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
				if err != nil {
					t.Error(err)
					return
				}
				c.Write(want)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != string(want) {
					t.Error(err)
				}
				b.Sleep(time.Second)
				c.Close()
				done++
			})
		}
		b.Sleep(time.Minute)
		if done != 50 {
			t.Errorf("%d of 50 conns ended well", done)
		}
	}))
}

func BenchmarkWriteUnlimited(b *testing.B) {
	bench := understudytest.NewConfig(b, understudytest.Config{Delay: 1, Device: device.Config{Profile: device.Unlimited()}})
	if err := bench.Join(); err != nil {
		b.Fatal(err)
	}
	near, far := pipe(b, bench)
	go io.Copy(io.Discard, far)
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := near.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

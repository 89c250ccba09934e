//go:build linux

package tap_test

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/wire"
)

func TestKernelTCP(t *testing.T) {
	b := newWire(t)
	b.SetAddr(t)
	peers.CheckTCP(t, b.Bench)
}

// TestKernelTCPThroughImpairedAir sends 8 MiB each way between the kernel behind an access point and a stack behind a
// station, with a bad link between the two.
func TestKernelTCPThroughImpairedAir(t *testing.T) {
	for _, c := range []struct {
		name string
		link air.Link
	}{
		{"clean", air.Link{}},
		{"loss of 1 %", air.Link{Loss: 0.01}},
		{"delay of 5 ms with jitter", air.Link{Delay: 5 * time.Millisecond, Jitter: 2 * time.Millisecond}},
		{"reordering", air.Link{Reorder: 0.05}},
		{"duplication", air.Link{Duplicate: 0.05}},
		{"corruption", air.Link{Corrupt: 0.01}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newAir(t)
			b.SetAddr(t)
			b.World.Lock()
			err := b.air.SetLink(wire.MAC{}, wire.MAC{}, c.link)
			b.World.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := b.Dialed(t)
			peers.CheckExchange(t, ours, theirs, 8<<20, false)
		})
	}
}

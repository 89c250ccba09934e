//go:build linux

package tap_test

import (
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/internal/peers"
	"github.com/understudy-net/understudy/wire"
)

// bulk is how many MiB go each way on a clean link: UNDERSTUDY_BULK_MIB in the
// environment, or 64.
func bulk(t *testing.T) int64 {
	s := os.Getenv("UNDERSTUDY_BULK_MIB")
	if s == "" {
		return 64 << 20
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		t.Fatalf("UNDERSTUDY_BULK_MIB: %v", err)
	}
	return n << 20
}

// exchange sends n bytes each way and tells how fast they went.
func exchange(t *testing.T, ours, theirs net.Conn, n int64, atOnce bool) {
	t.Helper()
	there, back, err := peers.Exchange(ours, theirs, n, atOnce, 30*time.Second+time.Duration(n>>22)*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	rate := func(d time.Duration) float64 { return float64(n) * 8 / d.Seconds() / 1e6 }
	t.Logf("%d MiB to the kernel at %.0f Mbit/s, back at %.0f Mbit/s", n>>20, rate(there), rate(back))
}

func TestKernelTCPBothWays(t *testing.T) {
	b := newWire(t)
	b.setAddr(t)
	n := bulk(t)
	t.Run("we dial", func(t *testing.T) {
		ours, theirs := b.dialed(t)
		exchange(t, ours, theirs, n, false)
	})
	t.Run("the kernel dials, both ways at once", func(t *testing.T) {
		ours, theirs := b.accepted(t)
		exchange(t, ours, theirs, min(n, 16<<20), true)
	})
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
		{"all of it", air.Link{Loss: 0.005, Delay: time.Millisecond, Jitter: time.Millisecond, Reorder: 0.01, Duplicate: 0.01, Corrupt: 0.005}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newAir(t)
			b.setAddr(t)
			b.w.Lock()
			err := b.air.SetLink(wire.MAC{}, wire.MAC{}, c.link)
			b.w.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := b.dialed(t)
			exchange(t, ours, theirs, 8<<20, false)
		})
	}
}

func TestPingKernel(t *testing.T) {
	b := newWire(t)
	b.setAddr(t)
	for _, size := range []int{1, 32, 1472, 1473, 8000} {
		r, err := b.net.Ping(t.Context(), kernelAddr.Addr(), stack.PingConfig{Size: size})
		if err != nil || r.Size != size {
			t.Errorf("ping with %d bytes: %d came back, %v", size, r.Size, err)
		}
	}
}

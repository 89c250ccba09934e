package hostnet_test

import (
	"io"
	"net"
	"testing"

	"github.com/understudy-net/understudy/understudytest"
)

// udpPeer is what the peer of the test allocates for a datagram: addresses of
// package net.
const udpPeer = 2

// A piece of 1400 bytes there and back costs no allocation, in any part of the
// machine: driver, bus, device, stack, air.
func TestNoAllocationPerWriteAndRead(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, echo)
		h.HandleUDP(7, func(_ net.Addr, p []byte) []byte { return p })
		for _, network := range []string{"tcp", "udp"} {
			c, err := b.Net.DialContext(bg, network, h.Addr.String()+":7")
			if err != nil {
				t.Error(err)
				return
			}
			p := make([]byte, 1400)
			round := func() {
				if _, err := c.Write(p); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(c, p); err != nil {
					t.Error(err)
				}
			}
			for range 100 {
				round()
			}
			n := testing.AllocsPerRun(200, round)
			if network == "udp" {
				n -= udpPeer
			}
			if n > 0 {
				t.Errorf("%s: %v allocations a round trip", network, n)
			}
			c.Close()
		}
	})
}

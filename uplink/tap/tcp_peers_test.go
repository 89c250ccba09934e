//go:build linux

package tap_test

import (
	"net"
	"testing"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/internal/peers"
)

func TestPing(t *testing.T) {
	b := newWire(t)
	b.setAddr(t)
	r, err := b.net.Ping(t.Context(), kernelAddr.Addr(), stack.PingConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	_ = net.IPv4len
	_ = peers.Need
}

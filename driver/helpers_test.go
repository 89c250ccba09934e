package driver_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/understudytest"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix     { return netip.MustParsePrefix(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func addrPortZero() (a netip.AddrPort) { return a }

func upper(_ net.Addr, p []byte) []byte { return bytes.ToUpper(p) }

func at(h *understudytest.Host, port int) netip.AddrPort {
	return netip.AddrPortFrom(h.Addr, uint16(port))
}

func pingConfig() stack.PingConfig { return stack.PingConfig{} }

// abort resets a connection of a peer. The world's lock is held.
func abort(t *testing.T, c net.Conn, now time.Time) {
	s, ok := c.(*sock.Conn).Stream().(interface{ Abort(now time.Time) error })
	if !ok {
		t.Error("a peer's conn cannot be aborted")
		return
	}
	s.Abort(now)
}

package driver_test

import (
	"bytes"
	"net"
	"net/netip"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix     { return netip.MustParsePrefix(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func addrPortZero() (a netip.AddrPort) { return a }

func upper(_ net.Addr, p []byte) []byte { return bytes.ToUpper(p) }

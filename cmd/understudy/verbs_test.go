package main

import (
	"net/netip"
	"testing"
)

// A DHCP server need not name a router or a DNS server: then "ip" says none, and
// not "invalid IP".
func TestAddressesThatANetworkNeedNotHave(t *testing.T) {
	if s := known(netip.Addr{}, "none"); s != "none" {
		t.Error(s)
	}
	if s := known(netip.MustParseAddr("10.0.0.1"), "none"); s != "10.0.0.1" {
		t.Error(s)
	}
}

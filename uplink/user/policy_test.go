package user

import (
	"net/netip"
	"testing"
)

func testPolicy(allowHost bool) policy {
	return policy{prefix: DefaultPrefix, gateway: offset(DefaultPrefix, 1), host: offset(DefaultPrefix, 2), broadcast: offset(DefaultPrefix, 255), allowHost: allowHost}
}

func TestPolicyOfAddresses(t *testing.T) {
	p := testPolicy(false)
	p.deny = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("169.254.7.7/32")}
	p.allow = []netip.Prefix{netip.MustParsePrefix("169.254.7.0/24"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.77.0.0/24")}
	for _, c := range []struct {
		dst  string
		want string
	}{
		{"10.77.0.2", ReasonHost.String()},
		{"127.0.0.1", ReasonLoopback.String()}, // even though allowed: only host.internal leads there
		{"127.255.255.254", ReasonLoopback.String()},
		{"0.0.0.0", ReasonThisNetwork.String()},
		{"0.1.2.3", ReasonThisNetwork.String()},
		{"::ffff:127.0.0.1", ReasonThisNetwork.String()},
		{"::1", ReasonThisNetwork.String()},
		{"169.254.169.254", ReasonMetadata.String()},
		{"169.254.170.2", ReasonMetadata.String()},
		{"100.100.100.200", ReasonMetadata.String()},
		{"168.63.129.16", ReasonMetadata.String()},
		{"192.0.0.192", ReasonMetadata.String()},
		{"169.254.1.1", ReasonLinkLocal.String()},
		{"169.254.255.254", ReasonLinkLocal.String()},
		{"169.254.7.8", "open"},
		{"169.254.7.7", ReasonDenied.String()}, // Deny comes before Allow
		{"224.0.0.1", ReasonMulticast.String()},
		{"239.255.255.250", ReasonMulticast.String()},
		{"240.0.0.1", ReasonBroadcast.String()},
		{"255.255.255.255", ReasonBroadcast.String()},
		{"10.77.0.0", ReasonOwnNetwork.String()},
		{"10.77.0.77", ReasonOwnNetwork.String()},
		{"10.77.0.255", ReasonBroadcast.String()},
		{"192.0.2.1", ReasonDenied.String()},
		{"10.77.1.1", "open"},
		{"192.168.1.1", "open"},
		{"8.8.8.8", "open"},
	} {
		got := "open"
		if _, why, ok := p.check(netip.MustParseAddr(c.dst)); !ok {
			got = why.String()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.dst, got, c.want)
		}
	}
}

func TestPolicyHostIsLoopbackWhenAllowed(t *testing.T) {
	p := testPolicy(true)
	if a, _, ok := p.check(p.host); !ok || a != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("host.internal: dial %v, open %v", a, ok)
	}
	if _, why, ok := p.check(netip.MustParseAddr("127.0.0.1")); ok || why != ReasonLoopback {
		t.Errorf("127.0.0.1 itself: %v, open %v", why, ok)
	}
	if a, _, ok := p.check(netip.MustParseAddr("1.1.1.1")); !ok || a != netip.MustParseAddr("1.1.1.1") {
		t.Errorf("1.1.1.1: dial %v, open %v", a, ok)
	}
}

func TestReasonsPrint(t *testing.T) {
	seen := map[string]bool{}
	for r := Reason(0); r < reasons; r++ {
		if s := r.String(); s == "" || seen[s] {
			t.Errorf("reason %d prints %q", uint8(r), s)
		} else {
			seen[s] = true
		}
	}
	if s := Reason(200).String(); s != "reason(200)" {
		t.Errorf("an unknown reason prints %q", s)
	}
	var c Refusals
	c[ReasonHost], c[ReasonTimeout] = 2, 1
	if got, want := c.String(), "the host's loopback is closed (open it with AllowHost): 2, no answer in time: 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if c.Total() != 3 || c.Of(ReasonHost) != 2 || c.Of(200) != 0 {
		t.Errorf("Total %d, Of %d %d", c.Total(), c.Of(ReasonHost), c.Of(200))
	}
}

func TestPoolOfPrefixes(t *testing.T) {
	for _, c := range []struct{ prefix, first, last string }{
		{"10.77.0.0/24", "10.77.0.10", "10.77.0.250"},
		{"172.16.0.0/12", "172.16.0.10", "172.16.0.250"},
		{"192.168.5.128/25", "192.168.5.131", "192.168.5.254"},
		{"192.168.5.16/28", "192.168.5.19", "192.168.5.30"},
	} {
		first, last := pool(netip.MustParsePrefix(c.prefix))
		if first.String() != c.first || last.String() != c.last {
			t.Errorf("%s: %v to %v, want %s to %s", c.prefix, first, last, c.first, c.last)
		}
	}
}

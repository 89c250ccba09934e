package wire

import (
	"net/netip"
	"testing"
)

func TestMACText(t *testing.T) {
	for _, s := range []string{"02:00:5e:00:53:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "0a:1b:2c:3d:4e:5f"} {
		m, err := ParseMAC(s)
		if err != nil || m.String() != s {
			t.Errorf("%s came back as %v, %v", s, m, err)
		}
	}
	if m, err := ParseMAC("02-00-5E-00-53-AB"); err != nil || m != (MAC{2, 0, 0x5e, 0, 0x53, 0xab}) {
		t.Errorf("hyphens and capitals: %v, %v", m, err)
	}
	for _, s := range []string{"", "02:00:5e:00:53", "02:00:5e:00:53:0g", "02:00:5e:00:53:011", "02:00-5e:00:53:01", "02.00.5e.00.53.01", "0200:5e:00:53:01:"} {
		if m, err := ParseMAC(s); err == nil {
			t.Errorf("%q was taken as %v", s, m)
		} else {
			wantErr(t, s, err, ErrInvalid)
		}
	}
}

func TestMACKinds(t *testing.T) {
	for _, tt := range []struct {
		m                          MAC
		zero, broadcast, multicast bool
	}{
		{MAC{}, true, false, false},
		{Broadcast, false, true, true},
		{MAC{0x01, 0, 0x5e}, false, false, true},
		{macA, false, false, false},
	} {
		if tt.m.IsZero() != tt.zero || tt.m.IsBroadcast() != tt.broadcast || tt.m.IsMulticast() != tt.multicast {
			t.Errorf("%v: zero %v broadcast %v multicast %v", tt.m, tt.m.IsZero(), tt.m.IsBroadcast(), tt.m.IsMulticast())
		}
	}
}

// RFC 1112, 6.4: only 23 bits of the group go into the address.
func TestMulticastMAC(t *testing.T) {
	for group, want := range map[string]string{
		"224.0.0.1":       "01:00:5e:00:00:01",
		"239.255.255.250": "01:00:5e:7f:ff:fa",
		"224.128.1.2":     "01:00:5e:00:01:02",
	} {
		if got := MulticastMAC(netip.MustParseAddr(group)); got.String() != want {
			t.Errorf("%s: %v, want %s", group, got, want)
		}
	}
}

func FuzzMAC(f *testing.F) {
	f.Add("02:00:5e:00:53:01")
	f.Add("02-00-5E-00-53-01")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMAC(s)
		if err != nil {
			return
		}
		if again, err := ParseMAC(m.String()); err != nil || again != m {
			t.Errorf("%q: %v, then %v, %v", s, m, again, err)
		}
	})
}

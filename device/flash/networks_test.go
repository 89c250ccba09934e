package flash

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func networks(n int) (list []Network) {
	for i := range n {
		list = append(list, Network{
			SSID: fmt.Sprintf("network %d", i), BSSID: [6]byte{5: byte(i)}, Channel: byte(i), Security: 2,
			Passphrase: strings.Repeat("x", 8+i),
		})
	}
	return list
}

func TestNetworksAreKept(t *testing.T) {
	f := chip(t, fresh)
	if l, err := f.Networks(); err != nil || len(l) != 0 {
		t.Errorf("fresh: %v, %v", l, err)
	}
	for i := range 40 { // more than a sector holds
		want := networks(i % 6)
		if err := f.SetNetworks(want); err != nil {
			t.Fatal(err)
		}
		got, err := f.Networks()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d: got %v, %v", i, got, err)
		}
	}
	if err := f.SetNetworks(networks(MaxNetworks)); err != nil {
		t.Error(err)
	}
	if err := f.SetNetworks(networks(MaxNetworks + 1)); !errors.Is(err, ErrFull) {
		t.Errorf("too many: %v", err)
	}
	longest := Network{SSID: strings.Repeat("s", 32), Passphrase: strings.Repeat("p", 64)}
	var all []Network
	for range MaxNetworks {
		all = append(all, longest)
	}
	if err := f.SetNetworks(all); err != nil {
		t.Errorf("the longest list: %v", err)
	}
	if got, _ := f.Networks(); !reflect.DeepEqual(got, all) {
		t.Error("the longest list came back differently")
	}
	small, _ := New(Size2M)
	if _, err := small.Networks(); !errors.Is(err, ErrNoRegion) {
		t.Errorf("2 Mbit: %v", err)
	}
	if err := small.SetNetworks(nil); !errors.Is(err, ErrNoRegion) {
		t.Errorf("2 Mbit: %v", err)
	}
}

// Golden bytes of the format.
func TestNetworkBytes(t *testing.T) {
	b := AppendNetworks(nil, []Network{{SSID: "ab", BSSID: [6]byte{1, 2, 3, 4, 5, 6}, Channel: 11, Security: 2, Passphrase: "secret"}})
	want := "\x01\x02ab\x01\x02\x03\x04\x05\x06\x0b\x02\x06secret"
	if string(b) != want {
		t.Errorf("% x", b)
	}
	for _, bad := range []string{"", "\x21", "\x01", "\x01\x02a", "\x00x", want[:len(want)-1], want + "x", "\x01\x21" + strings.Repeat("s", 60)} {
		if _, err := ParseNetworks([]byte(bad)); !errors.Is(err, ErrList) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNetworksAmongGarbage(t *testing.T) {
	f := chip(t, fresh)
	p, _ := f.Region(Connections)
	p.WriteAt([]byte("something that another firmware has left"), 0)
	if l, err := f.Networks(); err != nil || len(l) != 0 {
		t.Errorf("%v, %v", l, err)
	}
	if err := f.SetNetworks(networks(2)); err != nil {
		t.Fatal(err)
	}
	if l, err := f.Networks(); err != nil || len(l) != 2 {
		t.Errorf("after a list was stored: %v, %v", l, err)
	}
}

// A change that is cut off leaves the old list or the new one; only while the full sector is erased it may leave none.
func TestPowerCutsOfNetworks(t *testing.T) {
	mem := Memory(readAll(t, chip(t, fresh), 0, Size4M))
	f, _ := Open(mem, Size4M)
	last := networks(0)
	for i := range 60 {
		next := networks(i%5 + 1)
		_, _, free, _ := f.lists()
		for _, torn := range []int{0, 1, 7, 8, 20, 100} {
			for writes := range 3 {
				copied := Memory(bytes.Clone(mem))
				c, _ := Open(&PowerCut{Storage: copied, Writes: writes, Torn: torn}, Size4M)
				if c.SetNetworks(next) == nil {
					break
				}
				after, err := Open(copied, Size4M)
				if err != nil {
					t.Fatal(err)
				}
				got, err := after.Networks()
				same := func(l []Network) bool { return len(got) == len(l) && (len(l) == 0 || reflect.DeepEqual(got, l)) }
				full := free+listHead+len(AppendNetworks(nil, next)) > SectorSize
				if err != nil || !same(last) && !same(next) && !(full && len(got) == 0) {
					t.Fatalf("list %d, cut after %d writes and %d bytes: %v, %v", i, writes, torn, got, err)
				}
				if err := after.SetNetworks(next); err != nil {
					t.Fatal(err)
				}
				if got, _ := after.Networks(); !reflect.DeepEqual(got, next) {
					t.Fatalf("list %d, cut after %d writes and %d bytes: not stored by the next try", i, writes, torn)
				}
			}
		}
		if err := f.SetNetworks(next); err != nil {
			t.Fatal(err)
		}
		last = next
	}
}

func FuzzNetworks(f *testing.F) {
	f.Add(AppendNetworks(nil, networks(3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseNetworks(b); err == nil && !bytes.Equal(AppendNetworks(nil, l), b) {
			t.Errorf("% x comes back differently", b)
		}
		c := chip(t, fresh)
		p, _ := c.Region(Connections)
		p.WriteAt(b[:min(len(b), p.Size())], 0)
		if _, err := c.Networks(); err != nil {
			t.Error(err)
		}
		if err := c.SetNetworks(networks(1)); err != nil {
			t.Error(err)
		}
		if l, err := c.Networks(); err != nil || len(l) != 1 {
			t.Errorf("%v, %v", l, err)
		}
	})
}

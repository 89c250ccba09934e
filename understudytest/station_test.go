package understudytest_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// A controller as an access point, and a phone that joins it.
func ExampleBench_AddStation() {
	b, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	b.Run(func() {
		b.Client.ConfigDHCPServer(netip.MustParsePrefix("192.168.5.1/24"), nil)
		b.Client.StartAP(driver.BSS{SSID: "controller", Channel: 6}, driver.WPA("open sesame"), nil)
		phone := b.AddStation("phone")
		if err := phone.Join("controller", "open sesame"); err != nil {
			fmt.Println(err)
			return
		}
		_, err := b.Net.Ping(context.Background(), phone.Addr)
		fmt.Println(phone.Addr, "answers a ping:", err == nil)
	})
	// Output: 192.168.5.100 answers a ping: true
}

// A station is a host of the bench's own network as well.
func TestStationJoinsTheBenchsNetwork(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		s := b.AddStation("laptop")
		var failed *understudytest.JoinError
		if err := s.Join("nowhere", ""); !errors.As(err, &failed) || failed.Event.Reason != wifi.ReasonNoAP {
			t.Errorf("a network that is not there: %v", err)
		}
		if err := s.Join(understudytest.SSID, "short"); err == nil {
			t.Error("joined with a passphrase that none can be")
		}
		if err := s.Join(understudytest.SSID, understudytest.Passphrase); err != nil {
			t.Error(err)
			return
		}
		if a, err := s.LookupNetIP(context.Background(), b.Router.Name); err != nil || a[0] != b.Router.Addr || !s.Joined() {
			t.Error(a, err)
		}
		b.StopWiFi()
		b.Sleep(1e9)
		if s.Joined() || s.Addr.IsValid() {
			t.Error("still there after the access point sent it away")
		}
	}); err != nil {
		t.Error(err)
	}
}

// The end of a bench ends what a station waits for, on the wall clock too.
func TestStationOfAClosedBench(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := understudytest.New(t)
		s := b.AddStation("laptop")
		if found, err := s.Scan(); err != nil || len(found) != 1 {
			t.Error(found, err)
		}
		b.Close()
		if err := s.Associate(understudytest.SSID, understudytest.Passphrase); err == nil {
			t.Error("joined in a closed bench")
		}
	})
}

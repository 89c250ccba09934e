package understudytest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// Station is another computer with Wi-Fi: a station on the air of the bench, with
// a stack behind it. It is made for a controller in Soft-AP mode, but joins the
// bench's access point as well. What a Host can do it can do too, once it has an
// address. In a virtual world only actors may call what waits.
type Station struct {
	*Host // Addr is what Lease got

	// Radio may be used between Lock and Unlock of the bench's World, by calls that
	// do not change it.
	Radio *wifi.Station

	q    sock.Waiters
	done wifi.Event // of what was asked for last
	slot *world.Slot
}

// JoinError says why a station did not join a network.
type JoinError struct{ Event wifi.Event }

func (e *JoinError) Error() string { return "understudytest: " + e.Event.String() }

// AddStation makes a station that has joined nothing. The name is what it tells
// DHCP servers. It panics when there are 250 already, which is a mistake of the
// test.
func (b *Bench) AddStation(name string) *Station {
	b.World.Lock()
	defer b.World.Unlock()
	b.stations++
	if b.stations > 250 {
		panic("understudytest: too many stations")
	}
	s := &Station{Host: &Host{Name: name, MAC: wire.MAC{2, 0x73, 0x74, 0x61, 0, byte(b.stations)}, b: b}}
	if err := s.build(); err != nil {
		panic(fmt.Sprintf("understudytest: AddStation(%q): %v", name, err))
	}
	return s
}

// build makes its machines. Lock held.
func (s *Station) build() error {
	b := s.b
	var slot *world.Slot
	ip, err := stack.New(stack.Config{
		MAC: s.MAC, Rand: b.rand(), Hostname: s.Name, ACD: stack.ACD{Off: true},
		Output: func(now time.Time, eth []byte) {
			s.Radio.Send(now, eth)
			s.slot.Touch()
		},
		Touch: func() { slot.Touch() },
	})
	if err != nil {
		return err
	}
	s.Radio, err = wifi.NewStation(wifi.StationConfig{
		Air: b.Air, MAC: s.MAC, Rand: b.rand(), Output: ip.Input, Handle: s.event,
		Touch: func() { s.slot.Touch() },
	})
	if err != nil {
		return err
	}
	slot = b.World.Add(&stack.Host{Stack: ip})
	s.slot = b.World.Add(s.Radio)
	s.Host.Net = stack.Net{Owner: b.World, Stack: ip}
	return nil
}

// event hears what the radio has to say. Who has left forgets its address, as a
// computer does when the cable is pulled.
func (s *Station) event(now time.Time, e wifi.Event) {
	if e.Kind == wifi.EventLeft {
		s.Stack.ClearAddr(now)
		s.Addr = netip.Addr{}
	}
	s.done = e
	s.b.World.Wake(&s.q)
}

// wait starts something and waits for one of its ends. Lock held.
func (s *Station) wait(ends ...wifi.EventKind) (wifi.Event, error) {
	s.done = wifi.Event{}
	s.slot.Touch()
	for {
		for _, k := range ends {
			if s.done.Kind == k {
				return s.done, nil
			}
		}
		if s.b.World.Closed() {
			return wifi.Event{}, net.ErrClosed
		}
		s.b.World.Wait(&s.q, time.Time{})
	}
}

// Associate joins a network, "" being the passphrase of an open one, without
// asking for an address. The error is a *[JoinError] when it did not work.
func (s *Station) Associate(ssid, passphrase string) error {
	p := wifi.JoinParams{SSID: ssid}
	if passphrase != "" {
		pmksLock.Lock()
		key, err := pmks.Get(ssid, passphrase)
		pmksLock.Unlock()
		if err != nil {
			return err
		}
		p.PMK = key
	}
	now := s.b.World.Lock()
	defer s.b.World.Unlock()
	if err := s.Radio.Join(now, p); err != nil {
		return err
	}
	e, err := s.wait(wifi.EventJoined, wifi.EventJoinFailed)
	if err == nil && e.Kind == wifi.EventJoinFailed {
		err = &JoinError{e}
	}
	return err
}

// Lease gets an address by DHCP.
func (s *Station) Lease() (dhcp.Lease, error) {
	p, err := s.UseDHCP(context.Background(), stack.DHCPConfig{})
	if err != nil {
		return dhcp.Lease{}, err
	}
	s.b.World.Lock()
	defer s.b.World.Unlock()
	s.Addr = p.Addr()
	l, _ := s.Stack.Lease()
	return l, nil
}

// Join is Associate and Lease.
func (s *Station) Join(ssid, passphrase string) error {
	err := s.Associate(ssid, passphrase)
	if err == nil {
		_, err = s.Lease()
	}
	return err
}

// Leave leaves the network; the access point is told. It does not wait.
func (s *Station) Leave() {
	now := s.b.World.Lock()
	defer s.b.World.Unlock()
	s.Radio.Leave(now)
	s.Stack.ClearAddr(now)
	s.Addr = netip.Addr{}
	s.slot.Touch()
}

// Joined reports whether it is in a network.
func (s *Station) Joined() bool {
	s.b.World.Lock()
	defer s.b.World.Unlock()
	return s.Radio.Joined()
}

// Scan looks for networks on all channels; names are asked for, which finds
// hidden ones.
func (s *Station) Scan(names ...string) ([]wifi.Network, error) {
	now := s.b.World.Lock()
	defer s.b.World.Unlock()
	if err := s.Radio.Scan(now, wifi.ScanParams{SSIDs: names}); err != nil {
		return nil, err
	}
	_, err := s.wait(wifi.EventScanDone)
	return s.Radio.Results(), err
}

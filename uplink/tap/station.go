package tap

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// DefaultRejoin is how long a station waits before it tries to join again.
const DefaultRejoin = time.Second

// StationConfig says how a station is to be. World, Air, Rand, MAC and Join are
// required.
type StationConfig struct {
	World *world.World // owns the station; on the wall clock
	Air   *air.Air     // of the same world
	Rand  rand.Source
	MAC   wire.MAC        // of the station, and of the kernel's interface
	Join  wifi.JoinParams // the network

	// Rejoin is how long to wait after a join that failed, or a network that was
	// lost, before joining again. 0 means DefaultRejoin, below 0 never.
	Rejoin time.Duration
	// Handle, unless nil, is given each event of the station, with the world's
	// lock held.
	Handle func(now time.Time, e wifi.Event)

	// The device; see Config.
	Name      string
	Namespace string
	Addrs     []netip.Prefix
	MTU       int
	Queue     int
	Failed    func(err error)
}

// A Station is a host on the virtual air whose network stack, and all above it, is the kernel's.
// The kernel sees an interface with the station's MAC, whose cable is plugged in
// while the station is joined. Make one with [NewStation].
type Station struct {
	c       StationConfig
	up      *Uplink
	carrier chan bool     // capacity 1: the latest state that the kernel has not been told
	told    chan struct{} // closed when nobody tells any more

	// What follows belongs to the world's lock.
	sta      *wifi.Station
	slot     *world.Slot
	rejoinAt time.Time
	closed   bool
}

// NewStation makes a station, in c.World, which must not be locked, and begins
// to join. Errors of the device are *frames.Error, others those of package wifi.
func NewStation(c StationConfig) (*Station, error) {
	if c.World == nil || c.Air == nil || c.MAC.IsZero() {
		return nil, errors.New("uplink/tap: StationConfig needs World, Air and MAC")
	}
	if c.Rejoin == 0 {
		c.Rejoin = DefaultRejoin
	}
	s := &Station{c: c, carrier: make(chan bool, 1), told: make(chan struct{})}
	if err := s.openDevice(); err != nil {
		return nil, err
	}
	go s.tellCarrier()
	now := c.World.Lock()
	err := s.start(now)
	c.World.Unlock()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Station) openDevice() (err error) {
	c := s.c
	s.up, err = New(Config{
		World: c.World, Name: c.Name, Namespace: c.Namespace, MAC: c.MAC, Addrs: c.Addrs, MTU: c.MTU, Queue: c.Queue, Failed: c.Failed,
		Output: s.send,
	})
	if err != nil {
		return err
	}
	if err := s.up.SetCarrier(false); err != nil {
		return errors.Join(err, s.up.Close())
	}
	return nil
}

func (s *Station) start(now time.Time) error {
	sta, err := wifi.NewStation(wifi.StationConfig{
		Air: s.c.Air, MAC: s.c.MAC, Rand: s.c.Rand, Output: s.up.Input, Handle: s.event,
		Touch: func() {
			if s.slot != nil {
				s.slot.Touch()
			}
		},
	})
	if err != nil {
		return err
	}
	if err := sta.Join(now, s.c.Join); err != nil {
		return err
	}
	s.sta = sta
	s.slot = s.c.World.Add(stationMachine{s})
	return nil
}

// send takes what the kernel sends. Until the station has joined there is
// nobody to hear it; the station counts that.
func (s *Station) send(now time.Time, eth []byte) {
	if s.sta != nil {
		s.sta.Send(now, eth)
		s.slot.Touch()
	}
}

func (s *Station) event(now time.Time, e wifi.Event) {
	switch e.Kind {
	case wifi.EventJoined:
		s.setCarrier(true)
	case wifi.EventLeft, wifi.EventJoinFailed:
		s.setCarrier(false)
		if s.c.Rejoin > 0 && e.Reason != wifi.ReasonLocal {
			s.rejoinAt = now.Add(s.c.Rejoin)
		}
	}
	if s.c.Handle != nil {
		s.c.Handle(now, e)
	}
}

// setCarrier leaves word for tellCarrier: the call may wait for other work of the kernel, which the
// world must not.
func (s *Station) setCarrier(on bool) {
	select {
	case <-s.carrier: // was not told yet
	default:
	}
	s.carrier <- on
}

func (s *Station) tellCarrier() {
	defer close(s.told)
	for on := range s.carrier {
		s.up.SetCarrier(on) // fails when the device is gone, which Failed tells
	}
}

// Station returns the station, for calls with the world's lock held.
func (s *Station) Station() *wifi.Station { return s.sta }

// Name returns the name of the kernel's interface.
func (s *Station) Name() string { return s.up.Name() }

// Stats returns a copy of the counters of the device, with or without the
// world's lock.
func (s *Station) Stats() Stats { return s.up.Stats() }

// Close leaves the network, closes the device, and returns when no goroutine is
// left. The world must not be locked by the caller. A second Close does nothing.
func (s *Station) Close() error {
	now := s.c.World.Lock()
	if !s.closed {
		s.closed = true
		if s.sta != nil {
			s.sta.Close(now)
			s.slot.Remove()
		}
		close(s.carrier)
	}
	s.c.World.Unlock()
	<-s.told
	return s.up.Close()
}

// stationMachine is what the world sees of a Station.
type stationMachine struct{ s *Station }

// Advance does what is due.
func (m stationMachine) Advance(now time.Time) {
	s := m.s
	s.sta.Advance(now)
	if !s.closed && !s.rejoinAt.IsZero() && !now.Before(s.rejoinAt) {
		s.rejoinAt = time.Time{}
		s.sta.Join(now, s.c.Join) // was checked when it was first used
	}
}

// Deadline says when Advance is needed next.
func (m stationMachine) Deadline() time.Time {
	a, b := m.s.sta.Deadline(), m.s.rejoinAt
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

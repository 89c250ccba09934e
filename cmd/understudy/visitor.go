package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// visitor is a station on the air of a machine: a computer that joins the device
// when that is an access point.
type visitor struct {
	m   *machine
	mac wire.MAC
	out chan any      // pong, submission, or an error that ended it
	may chan struct{} // capacity 1: it may begin to ping

	radio  *wifi.Station
	slot   *world.Slot
	net    stack.Net
	joined chan wifi.Event

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// pong is the outcome of one ping.
type pong struct {
	from wire.MAC
	to   netip.Addr
	seq  int
	rtt  time.Duration
	err  error
}

var visitorMAC = wire.MAC{0x02, 0x73, 0x74, 0x61, 0x00, 0x01}

const (
	visitorPings    = 3
	visitorInterval = time.Second
)

// newVisitor makes one that joins the access point of o. Lock of the world not
// held.
func newVisitor(ctx context.Context, m *machine, o *apOptions) (*visitor, error) {
	v := &visitor{m: m, mac: visitorMAC, out: make(chan any, visitorPings+1), may: make(chan struct{}, 1), joined: make(chan wifi.Event, 1)}
	if err := v.build(m.seeds); err != nil {
		return nil, err
	}
	ctx, v.cancel = context.WithCancel(ctx)
	v.wg.Go(func() {
		page := ""
		if o.provision {
			page = o.page
		}
		if err := v.visit(ctx, wifi.JoinParams{SSID: o.ssid, Passphrase: o.passphrase}, page); err != nil && ctx.Err() == nil {
			v.out <- err
		}
	})
	return v, nil
}

// build makes its machines.
func (v *visitor) build(seeds func() rand.Source) error {
	w := v.m.w
	w.Lock()
	defer w.Unlock()
	var slot *world.Slot
	ip, err := stack.New(stack.Config{
		MAC: v.mac, Rand: seeds(), Hostname: "visitor", ACD: stack.ACD{Off: true},
		Output: func(now time.Time, eth []byte) {
			v.radio.Send(now, eth)
			v.slot.Touch()
		},
		Touch: func() { slot.Touch() },
	})
	if err != nil {
		return err
	}
	v.radio, err = wifi.NewStation(wifi.StationConfig{
		Air: v.m.air, MAC: v.mac, Rand: seeds(), Output: ip.Input, Touch: func() { v.slot.Touch() },
		Handle: func(_ time.Time, e wifi.Event) {
			select {
			case v.joined <- e:
			default: // of no interest any more
			}
		},
	})
	if err != nil {
		return err
	}
	slot = w.Add(&stack.Host{Stack: ip})
	v.slot = w.Add(v.radio)
	v.net = stack.Net{Owner: w, Stack: ip}
	return nil
}

// visit joins, gets an address and, once it may, pings the access point a few
// times, or fills its page in if it has one. It stays until Close.
func (v *visitor) visit(ctx context.Context, p wifi.JoinParams, page string) error {
	now := v.m.w.Lock()
	err := v.radio.Join(now, p)
	v.slot.Touch()
	v.m.w.Unlock()
	if err != nil {
		return err
	}
	select {
	case e := <-v.joined:
		if e.Kind != wifi.EventJoined {
			return fmt.Errorf("the station: %v", e)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := v.net.UseDHCP(ctx, stack.DHCPConfig{}); err != nil {
		return fmt.Errorf("the station got no address: %w", err)
	}
	v.m.w.Lock()
	l, ok := v.net.Stack.Lease()
	v.m.w.Unlock()
	if !ok {
		return errors.New("the station lost its address")
	}
	select {
	case <-v.may:
	case <-ctx.Done():
		return nil
	}
	if page != "" {
		return v.fillIn(ctx, page)
	}
	for seq := 1; seq <= visitorPings; seq++ {
		r, err := v.net.Ping(ctx, l.Server, stack.PingConfig{})
		if ctx.Err() != nil {
			return nil
		}
		v.out <- pong{v.mac, l.Server, seq, r.RTT, err}
		select {
		case <-time.After(visitorInterval):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// ping lets it begin; a nil visitor does nothing.
func (v *visitor) ping() {
	if v == nil {
		return
	}
	select {
	case v.may <- struct{}{}:
	default: // it was told before
	}
}

// news is what it has to tell; a nil visitor has nothing.
func (v *visitor) news() <-chan any {
	if v == nil {
		return nil
	}
	return v.out
}

// Close has it leave. A nil visitor is closed.
func (v *visitor) Close() {
	if v == nil {
		return
	}
	v.cancel()
	v.wg.Wait()
	now := v.m.w.Lock()
	v.radio.Close(now)
	v.slot.Touch()
	v.m.w.Unlock()
}

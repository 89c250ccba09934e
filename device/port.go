package device

import (
	"time"

	"github.com/understudy-net/understudy/bus"
)

// Owner is who owns the device: a world, or anything else that can be locked and knows the time.
type Owner interface {
	Lock() time.Time
	Unlock()
}

// Port returns the bus of a device that o owns, for calls from outside: each takes o's lock and reads its clock once.
// touch is the Touch of the device's slot; nil if the owner looks at the device after every call anyway. A later Port
// takes over OnIRQ.
func (d *Device) Port(o Owner, touch func()) bus.Port {
	if touch == nil {
		touch = func() {}
	}
	return &port{o, d, touch}
}

type port struct {
	o     Owner
	d     *Device
	touch func()
}

func (p *port) Tx(w, r []byte) error {
	now := p.o.Lock()
	p.d.Tx(now, w, r)
	p.touch()
	p.o.Unlock()
	return nil
}

func (p *port) SetReset(low bool) error {
	now := p.o.Lock()
	p.d.Reset(now, low)
	p.touch()
	p.o.Unlock()
	return nil
}

func (p *port) SetEnable(high bool) error {
	now := p.o.Lock()
	p.d.Enable(now, high)
	p.touch()
	p.o.Unlock()
	return nil
}

func (p *port) IRQ() (bool, error) {
	p.o.Lock()
	defer p.o.Unlock()
	return p.d.IRQ(), nil
}

func (p *port) OnIRQ(fn func()) {
	p.o.Lock()
	p.d.onIRQ = fn
	p.o.Unlock()
}

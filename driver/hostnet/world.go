package hostnet

import (
	"sync"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// World is a virtual world, such as a *world.World.
type World interface {
	sock.Owner
	Now() time.Time
	Sleep(time.Duration)
	Locker() sync.Locker
}

// InWorld is the configuration of a driver whose device lives in the virtual
// world w and whose callers are w's actors: its time and locks are the world's,
// and blocked calls pump. Fields may be added before driver.New, Trace for one.
func InWorld(w World) driver.Config {
	i := &idler{w: w}
	return driver.Config{
		Now: w.Now, Sleep: w.Sleep, Lock: w.Locker(),
		Idle: i.idle, Wake: i.wake, OnIRQ: i.signal,
	}
}

// idler is where blocked calls wait for the interrupt line.
type idler struct {
	w       World
	q       sock.Waiters
	pending bool // something came since the last idle returned
}

// signal is told of edges by the device, which the world owns: its lock is held.
func (i *idler) signal() {
	i.pending = true
	i.w.Wake(&i.q)
}

func (i *idler) wake() {
	i.w.Lock()
	i.signal()
	i.w.Unlock()
}

func (i *idler) idle(until time.Time) {
	i.w.Lock()
	if !i.pending {
		i.w.Wait(&i.q, until)
	}
	i.pending = false
	i.w.Unlock()
}

package world

import (
	"context"
	"time"
)

// Run fires what is due on the wall clock until ctx ends or the world is
// closed, and returns ctx.Err() or nil. One goroutine is enough; a second one
// only wakes up in vain. In a virtual world it fires nothing: it just waits for
// the end.
func (w *World) Run(ctx context.Context) error {
	const long = time.Hour
	timer := time.NewTimer(long)
	defer timer.Stop()
	defer w.disarm()
	for {
		at, closed := w.arm(long)
		if closed {
			return nil
		}
		timer.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.poke:
		case <-timer.C:
		}
	}
}

// arm fires what is due and returns when Run has to look again, at the latest
// after long.
func (w *World) arm(long time.Duration) (at time.Time, closed bool) {
	w.Lock() // settles, and so does Unlock: but that would poke Run itself
	defer w.mu.Unlock()
	w.base = time.Now()
	at = w.base.Add(long)
	if e := w.due.first(); e != nil && !w.virtual && e.at.Before(at) {
		at = e.at
	}
	w.armed = at
	return at, w.closed
}

func (w *World) disarm() {
	w.mu.Lock()
	w.armed = time.Time{}
	w.mu.Unlock()
}

// runsLate says whether Run sleeps beyond the next deadline.
func (w *World) runsLate() bool {
	e := w.due.first()
	return e != nil && !w.armed.IsZero() && e.at.Before(w.armed)
}

// rouse makes Run look again.
func (w *World) rouse() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// Step moves the clock of a virtual world to the next deadline, fires what is
// due then, lets actors that were woken run until they wait again, and says
// true; false when nothing is left that is due. It is for code without actors,
// which do not need it. In a wall world it does nothing and says false.
func (w *World) Step() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.virtual {
		return false
	}
	w.settle()
	moved := w.step()
	w.letOthersRun()
	return moved
}

func (w *World) step() bool {
	e := w.due.first()
	if e == nil {
		return false
	}
	if e.at.After(w.now) {
		w.now = e.at
	}
	w.settle()
	return true
}

// Package world owns machines: it has the one lock under which they are
// called, reads the clock once per call, and fires what is due in order of
// (time, sequence).
//
// A machine is a value that is told the time and says when it next wants to be
// called ([Machine]). It starts no goroutine and holds no lock; its world does
// both for it:
//
//	w := world.New()            // or NewVirtual
//	now := w.Lock()
//	slot := w.Add(machine)
//	machine.Input(now, …)       // a call from outside …
//	slot.Touch()                // … may have moved its deadline
//	w.Unlock()                  // fires what is due
//
// # Wall worlds
//
// A world made by [New] runs on the wall clock (in a testing/synctest bubble:
// on the bubble's). [World.Run] fires timers, the deadlines of waiting calls
// included; keep it running while the world is in use. Calls from outside run
// on the caller's goroutine.
//
// # Virtual worlds
//
// In a world made by [NewVirtual] blocking code runs as actors ([World.Go],
// [World.Do], [World.Spawn]): one at a time. Who waits hands on to the next
// woken actor, in order of waking; when all wait, time jumps to the next
// deadline. So blocking code is deterministic too, and an hour costs nothing.
// Time moves only while a Do is under way, and stands still after it.
// An actor blocks in the world only, never on a channel or mutex of its own,
// and only actors wait. Without actors, [World.Step] moves time.
//
// When every actor waits and nothing is left that could wake one, the world
// has stalled: [World.Do] returns [ErrStalled] instead of hanging.
package world

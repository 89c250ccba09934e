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
// Whoever calls a machine touches its slot. Calls from outside run on the
// caller's goroutine, under the lock; nothing is handed to another goroutine.
//
// # Wall worlds
//
// A world made by [New] runs on the wall clock (in a testing/synctest bubble:
// on the bubble's). [World.Run] fires timers, the time limits of waiting calls
// included: one goroutine should be in it while the world is in use. Without
// it machines are fired only when somebody takes the lock.
//
// # Virtual worlds
//
// In a world made by [NewVirtual] blocking code runs as actors ([World.Do],
// [World.Go], [World.Spawn]), one at a time. Who waits hands on to the next
// woken actor, in order of waking. When all wait, time jumps to the next
// deadline, but only while a call of Do is under way: between two of them the
// clock stands still. So blocking code is deterministic too, and an hour costs
// nothing:
//
//	w := world.NewVirtual(world.Epoch)
//	w.Go(serve)              // returns when the server waits
//	err := w.Do(func() { … }) // a client; may sleep, read, write
//
// The rules of actors: an actor blocks in the world only ([World.Wait],
// [World.Sleep], [World.Locker] and what is built on them, such as conns of
// package sock), never on a channel, a sync.Mutex or the network of the host;
// and nobody but actors waits in a virtual world. The goroutine that made the
// world (a test, say) is no actor: it calls Do, Go and Step, and may take the
// lock. When it gives the lock back or starts an actor while none runs, the
// call returns only after the actors that it set going wait again: so the two
// never run at once, and one such goroutine keeps the order of all fixed. Code
// that starts goroutines of its own (http.Transport, http.Server) belongs into
// a wall world, in tests inside a synctest bubble.
//
// When every actor waits and nothing is left that could wake one, the world
// has stalled: Do returns a [*StallError], which tells who waits where, instead
// of hanging.
//
// Without actors, [World.Step] moves time from deadline to deadline.
package world

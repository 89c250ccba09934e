package world_test

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/world"
)

// clock is a machine that strikes every hour until it is stopped.
type clock struct {
	next time.Time
}

func (c *clock) Deadline() time.Time { return c.next }

func (c *clock) Advance(now time.Time) {
	fmt.Println("it is", now.Format(time.Kitchen))
	c.next = now.Add(time.Hour)
}

// Stop is a call from outside: who makes it touches the slot.
func (c *clock) Stop(now time.Time) { c.next = time.Time{} }

// A machine that ticks, and blocking code beside it, in virtual time.
func Example() {
	w := world.NewVirtual(world.Epoch)
	now := w.Lock()
	c := &clock{next: now.Add(time.Hour)}
	slot := w.Add(c)
	w.Unlock()

	err := w.Do(func() { // takes no time of ours
		w.Sleep(3*time.Hour + time.Minute)
		now := w.Lock()
		c.Stop(now)
		slot.Touch()
		w.Unlock()
		w.Sleep(24 * time.Hour)
	})
	fmt.Println("end at", w.Now().Format(time.Kitchen), err)
	// Output:
	// it is 1:00AM
	// it is 2:00AM
	// it is 3:00AM
	// end at 3:01AM <nil>
}

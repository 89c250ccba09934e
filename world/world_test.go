package world_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/world"
)

// ticker is a machine that ticks every so often.
type ticker struct {
	every time.Duration
	next  time.Time
	tick  func(now time.Time)
}

func (m *ticker) Deadline() time.Time { return m.next }
func (m *ticker) Advance(now time.Time) {
	m.next = now.Add(m.every)
	m.tick(now)
}

func TestStepGoesFromDeadlineToDeadline(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var got []string
	add := func(name string, every time.Duration) {
		w.Add(&ticker{every, world.Epoch.Add(every), func(now time.Time) {
			got = append(got, fmt.Sprint(name, now.Sub(world.Epoch)))
		}})
	}
	w.Lock()
	add("a", 2*time.Second)
	add("b", 3*time.Second)
	w.Unlock()
	for range 4 {
		w.Step()
	}
	// At 6 s both are due: the one that was set first comes first.
	if s := strings.Join(got, " "); s != "a2s b3s a4s b6s a6s" {
		t.Error(s)
	}
}

func TestRemovedMachineIsNotCalled(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	w.Lock()
	s := w.Add(&ticker{time.Second, world.Epoch.Add(time.Second), func(time.Time) { t.Error("called") }})
	s.Touch()
	s.Remove()
	s.Touch()
	w.Unlock()
	if w.Step() {
		t.Error("something was due")
	}
}

func TestOverdueMachinesTakeTurns(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	var got strings.Builder
	w.Lock()
	for _, name := range []string{"a", "b"} {
		n := 0
		m := &ticker{next: world.Epoch.Add(-time.Hour)}
		m.tick = func(time.Time) {
			got.WriteString(name)
			m.next = world.Epoch.Add(-time.Minute)
			if n++; n == 3 {
				m.next = time.Time{}
			}
		}
		w.Add(m)
	}
	w.Unlock()
	if got.String() != "ababab" {
		t.Error(got.String())
	}
}

func TestMachineDueForEverIsAMistake(t *testing.T) {
	w := world.NewVirtual(world.Epoch)
	w.Lock()
	w.Add(&ticker{0, world.Epoch, func(time.Time) {}})
	func() {
		defer func() {
			if s := fmt.Sprint(recover()); !strings.Contains(s, "*world_test.ticker") {
				t.Error("the panic does not name the machine:", s)
			}
		}()
		w.Unlock()
	}()
	locked := make(chan bool)
	go func() {
		defer func() { recover(); close(locked) }()
		w.Lock()
	}()
	<-locked // the lock was given back: cleaning up does not hang
}

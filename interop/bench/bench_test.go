package main

import (
	"testing"
	"time"
)

// Every entrant of every row does a little of its work, and checks what arrives.
func TestEveryEntrantDoesItsWork(t *testing.T) {
	for _, r := range rows() {
		for _, e := range r.entrants {
			t.Run(r.key+"/"+e.name, func(t *testing.T) {
				w, err := e.make()
				if err != nil {
					t.Fatal(err)
				}
				if w.close != nil {
					defer w.close()
				}
				for range 3 {
					if err := w.run(100); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// What does not depend on how busy the machine is holds in every run.
func TestTargetsThatAreCounts(t *testing.T) {
	for _, r := range rows() {
		switch r.key {
		case "bulk", "pingpong", "blocking", "udp64", "udp1400", "connect":
		default:
			continue
		}
		x := measure(r.entrants[:1], 1, 20*time.Millisecond, false)[0]
		if x.Failure != "" {
			t.Fatalf("%s: %s", r.key, x.Failure)
		}
		m := x.Median
		switch r.key {
		case "connect":
			if m.Allocs > 8 {
				t.Errorf("%.2f allocations for a connection, want at most 4 an end", m.Allocs)
			}
		case "pingpong", "blocking":
			if m.Packets < 1.99 || m.Packets > 2.01 {
				t.Errorf("%s: %.2f packets for a round trip, want 2", r.key, m.Packets)
			}
			fallthrough
		default:
			if m.Allocs > 0.05 {
				t.Errorf("%s: %.2f allocations for a unit, want none", r.key, m.Allocs)
			}
		}
	}
	if s := oursIdleConns(); s.Failure != "" || s.Bytes > 600 {
		t.Errorf("idle connection: %+v", s)
	}
	if s := oursStacks(); s.Failure != "" || s.Bytes > 2048 || s.Goroutines != 0 {
		t.Errorf("idle stack: %+v", s)
	}
}

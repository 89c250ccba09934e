package main

import (
	"testing"
	"time"
)

func TestQuietTellsOnceWhatDoesNotMove(t *testing.T) {
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := []string{"host: 6 bytes wait"}, []string{"host: 7 bytes wait"}
	var q quiet
	for _, step := range []struct {
		at    time.Duration
		lines []string
		want  bool
	}{
		{0, nil, false}, {3 * time.Second, nil, false}, // nothing is pending
		{4 * time.Second, a, false}, {5900 * time.Millisecond, a, false}, {6 * time.Second, a, true}, {9 * time.Second, a, false},
		{10 * time.Second, b, false}, {11 * time.Second, a, false}, {12 * time.Second, b, false}, {13 * time.Second, a, false}, // it moves
		{15 * time.Second, a, true}, {16 * time.Second, nil, false}, {17 * time.Second, a, false}, {19 * time.Second, a, true},
	} {
		if got := q.stuck(start.Add(step.at), step.lines); got != step.want {
			t.Errorf("after %v: %v, want %v", step.at, got, step.want)
		}
	}
}

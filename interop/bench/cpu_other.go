//go:build !unix

package main

import "time"

var began = time.Now()

// cpuTime is the time by the clock: run the benchmark on a quiet machine.
func cpuTime() time.Duration { return time.Since(began) }

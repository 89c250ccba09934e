//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is the time that this process has had on all cores. Others on the
// machine do not count, as they would by the clock.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

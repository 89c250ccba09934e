//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyStuck says when the user asks what the device waits for: kill -USR1.
func notifyStuck() (asked <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	return c, func() { signal.Stop(c) }
}

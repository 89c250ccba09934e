//go:build !unix

package main

import "os"

// notifyStuck: there is no signal for it here.
func notifyStuck() (asked <-chan os.Signal, stop func()) { return nil, func() {} }

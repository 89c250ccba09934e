// Command understudy runs a WINC-compatible Wi-Fi network controller in
// software and acts as a host on one: see the help of each verb.
//
//	understudy demo                  # a tour of the whole machine, in virtual time
//	understudy run --bus unix:PATH   # a controller for a host in another process
//	understudy get URL               # one act of a host through driver, bus, device and air
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

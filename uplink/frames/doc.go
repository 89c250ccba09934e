// Package frames joins a world to a device of the host that gives and takes
// whole Ethernet frames: the common part of uplink/tap and uplink/packet, and
// of any such device that you bring yourself ([Device]: four methods).
//
//	p, err := frames.Start(frames.Config{
//		World:  w,
//		Output: func(now time.Time, eth []byte) { ap.Send(now, eth); slot.Touch() },
//	}, device)
//	...
//	defer p.Close()
//
// and p.Input is what the access point's Output, or a stack's, calls.
//
// A [Pump] has two goroutines. The one that reads waits for the device outside of
// the world, takes all frames that are there, up to a bound, and hands them
// over under one lock of the world. The one that writes takes what Input
// queued. The queue is bounded: what finds no room is dropped and counted, as a
// radio does. Nothing in here makes the world wait for the host.
package frames

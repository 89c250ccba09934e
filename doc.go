// Package understudy is the map of the project; it holds no code of its own.
//
// Understudy stands in for a WINC network controller, the Wi-Fi module that
// gives a small microcontroller a TCP/IP stack: a device in software that
// unmodified host drivers can talk to, a driver for hosts written in Go, the
// IPv4 stack inside, and a virtual Wi-Fi around them.
//
//	app ── net.Conn ──▶ driver ══ bus ══▶ device ──▶ stack ──▶ air ──▶ uplink ──▶ the real network
//	                    sockets   SPI,HIF  registers  IPv4      Wi-Fi    user, tap, packet
//
// Where to start:
//
//   - to test code that uses a network, or firmware's view of one: package
//     understudytest gives a device, a driver, an access point and peers in
//     one call, in virtual time if you like;
//   - to use a controller from Go: package driver (callbacks, Berkeley
//     sockets) and package driver/hostnet (net.Conn and friends);
//   - to run a controller for firmware in another process: the command,
//     understudy run, and package bus/remote;
//   - to use the TCP/IP stack alone: package stack.
//
// Every part with a state is a machine: it is told what happened and what
// time it is, and starts no goroutine, reads no clock and holds no lock.
// Package world owns machines and gives them time, real or virtual.
// docs/architecture.md explains the house, docs/life-of-a-byte.md follows one
// byte from Write to the air and back.
package understudy

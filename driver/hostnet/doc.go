// Package hostnet is ordinary blocking Go on top of package driver: net.Conn,
// net.Listener, net.PacketConn and a resolver, with contexts and deadlines, and
// blocking forms of joining, scanning, ping, firmware updates and the file that
// the device keeps. net/http and crypto/tls run on it unchanged.
//
//	d := driver.New(port, driver.Config{})
//	go d.Run(ctx)
//	n := hostnet.New(d, hostnet.Config{})
//	err := n.Join(ctx, driver.BSS{SSID: "cafe"}, driver.WPA("secret passphrase"))
//	c, err := n.DialContext(ctx, "tcp", "example.com:80")
//
// For TLS there are two ways: tls.Client of crypto/tls over such a conn, on the
// host; and DialTLS and ListenTLS, on the device.
//
// After driver.Client.StartAP the controller is an access point: the same calls
// serve its stations and reach them, WaitLink returns at once, and StopAP ends
// connections and listeners.
//
// # Who pumps
//
// On the wall clock, and in a synctest bubble, Driver.Run is the pump. In a
// virtual world, and on a microcontroller, there is none: a call that waits
// pumps the driver itself (Tasks, then Config.Idle). InWorld makes the driver's
// configuration for a virtual world; give the same world to Config.World.
// Either way a Net starts no goroutine.
//
// # Limits
//
// Those of the driver (driver.Client.Limits): 7 TCP sockets, listeners and
// accepted connections among them, 4 UDP sockets, 1400 bytes a datagram sent.
// IPv4 only. There is no
// half-close: CloseWrite returns errors.ErrUnsupported. The device does not tell
// the local port of a dialled connection: it is 0 unless DialFrom chose it.
// Deadlines are instants on the driver's clock.
//
// # Errors
//
// They are *net.OpError around typed values of package driver, and match what
// the standard library's errors match: net.ErrClosed, os.ErrDeadlineExceeded,
// syscall.ECONNREFUSED, ECONNRESET, EADDRINUSE, EMFILE, ENETUNREACH, EMSGSIZE.
// A name that does not resolve is a *net.DNSError; the device does not say why.
package hostnet

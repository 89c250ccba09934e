// Package remote carries a bus over a socket, so that a host in another process, perhaps in another
// language, can use a device: [Serve] on the side of the device, [Dial] on that of the host.
//
//	l, err := net.Listen("unix", "/tmp/bus.sock")
//	err = remote.Serve(ctx, l, device.Port(...))
//
//	port, err := remote.Dial(ctx, "unix", "/tmp/bus.sock") // a bus.Port
//	defer port.Close()
//
// One host has the bus at a time; the next is told that it is busy. A window that reads costs one
// round trip, one that only writes none. A host that is slow, dead or talks nonsense loses its
// connection and does not harm the device; the lines stay as it left them, so a host begins with a
// hard reset.
//
// A device can be looked at without having its bus: [Server] has a function that describes it, and [Inspect]
// gets what that says.
//
// The protocol is docs/bus-socket.md, which is enough to write a client.
package remote

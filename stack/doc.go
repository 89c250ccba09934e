// Package stack is one IPv4 host as a library: ARP, routes, ICMP, UDP and TCP sockets, DHCP,
// DNS and SNTP. It is a machine: Ethernet frames go in by a call and come out through a hook, time is an
// argument, and nothing runs by itself. There is no goroutine, no lock and no clock in it, and from
// the same calls follows the same behaviour, so a test or a simulation repeats exactly.
//
//	s, err := stack.New(stack.Config{
//		MAC:    wire.MAC{0x02, 0, 0, 0, 0, 1},
//		Rand:   rand.NewChaCha8(seed), // from crypto/rand, unless in a test
//		Output: func(now time.Time, frame []byte) { link.Send(frame) },
//	})
//	s.UseDHCP(now, stack.DHCPConfig{})
//
// # Driving it
//
// One owner calls everything, from one goroutine or under one lock:
//
//   - Input with each frame that arrives;
//   - Advance when Deadline has come;
//   - NextEvent after either, until there are no more events.
//
// Deadline may move with any call. A [Host] is the stack as a machine of package world, which does
// all of that. Output is called from within Input, Advance and the calls of sockets; it must not
// call the stack.
//
// # Sockets
//
// [TCP], [UDP] and [Listener] are small handles that can be copied. Their calls take effect before
// they return, and never wait: what cannot be done now returns sock.ErrWouldBlock, and an [Event]
// tells when to try again. A socket has at most one event queued, to which news are added, and each
// carries the tag that its owner gave it:
//
//	c, err := s.Dial(now, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"))
//	c.SetTag(&session)
//	for e, ok := s.NextEvent(); ok; e, ok = s.NextEvent() {
//		switch t := e.Tag.(type) {
//		case *session:
//			// e.Flags: Connected (e.Err if it failed), Readable, Writable, Closed...
//		}
//	}
//
// When Readable comes, read until the call would block. A handle that was closed says ErrClosed.
//
// For code that blocks there are net.Conn, net.Listener and net.PacketConn: see [Net], [NewConn],
// [NewListener] and [NewPacketConn]. They work with net/http, crypto/tls and the rest.
//
// # Addresses
//
// SetAddr and UseDHCP get an address, which is probed on the link before it is used (RFC 5227). By
// the RFC that takes 4 to 9 seconds; Config.ACD shortens it. The events Configured, AddressLost and
// Conflict tell what became of it.
//
// # Time
//
// Sync asks servers for the time of day (SNTP), as soon as there is an address and once a day, and
// the event Synced tells by how much it differs from the owner's clock. The stack itself never goes
// by it. ServeNTP is the other side.
//
// # Gateways
//
// A promiscuous stack (Config.Promiscuous) takes packets for any destination, a listener with
// AnyPort connections to any address and port, each held until its owner decides (Hold); HandleUDP
// and HandleEcho see datagrams and pings with both addresses, and SendUDP and SendEchoReply answer
// from foreign ones. So a program can stand for the whole outside world.
//
// # Bad input
//
// What is malformed or does not belong is dropped and counted by reason: see [Stats]. All tables
// and queues have bounds, in Config. Source routes, redirects and source quench are ignored; ICMP
// errors must quote a packet in flight and never end an established connection (RFC 5927).
//
// # Limits
//
// One interface with one address. No IPv6, no loopback, no forwarding, no ECN. Urgent
// data are read in line (RFC 6093). IP options are skipped, and not sent but for IGMP.
package stack

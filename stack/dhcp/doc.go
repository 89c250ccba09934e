// Package dhcp gives hosts their IPv4 addresses: a client (RFC 2131), the small server of an access
// point, and the message format of both (RFC 2132, RFC 3396).
//
// [Client] and [Server] are machines. They are told what arrived and what time it is, and answer with UDP
// payloads to send; the owner, usually package stack, moves those between them and the wire:
//
//	c, err := dhcp.NewClient(dhcp.ClientConfig{MAC: mac, Rand: rnd})
//	c.Start(now)
//	// then, whenever a datagram for port 68 came in: c.Input(now, payload)
//	// whenever c.Deadline() has come:               c.Advance(now)
//	// and after each of these: send all that c.Output gives, handle all that c.NextEvent gives
//
// Before it has an address the owner must receive DHCP replies both broadcast and sent to the address that is just being offered.
// It checks a new address by ARP (RFC 5227) between [EventBound] and first use, and calls
// [Client.Declined] if someone else has it.
//
// # Limits
//
// Ethernet only. Messages above 1500 bytes are dropped, lists of addresses are cut at 8, names at
// 255 bytes. Of classless routes (option 121, RFC 3442) the default route alone is used: routes to parts of the
// Internet that a stranger on the link could announce to draw traffic to himself (CVE-2024-3661) have no effect.
// FORCERENEW, authentication and relay agent options are not supported. Leases of a server live
// in memory.
package dhcp

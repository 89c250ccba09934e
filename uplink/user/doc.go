// Package user is the default way out of a virtual Wi-Fi: it joins the devices behind an access point to the network of
// the host that we run on, without any privilege. To the devices it is a router with all the usual services; to the
// host it is a process that opens ordinary sockets.
//
//	up, err := user.New(user.Config{
//		World:  w,
//		Output: func(now time.Time, eth []byte) { ap.Send(now, eth); apSlot.Touch() },
//		Log:    func(e user.Event) { fmt.Fprintln(os.Stderr, e) },
//	})
//	...
//	defer up.Close()
//
// and up.Input is what the access point's Output calls, under the world's lock. New adds the uplink to the world.
//
// # What devices see
//
// A network 10.77.0.0/24 with its gateway at 10.77.0.1, which gives out addresses by DHCP, answers ping, and
// resolves names with the resolver of the host. Beyond it is all that the host can reach:
//
//   - TCP: the SYN of a device is held until the host has dialled the same address. If the far host refused, the device is
//     refused; if nobody answered, nobody answers the device. What is connected is copied both ways, half-closes, resets and
//     back pressure included.
//   - UDP: each pair of a device's port and a far port is a connected socket of the host, until it was silent for a minute (10 s to
//     port 53). ICMP port unreachable comes through.
//   - ping, by a ping socket of the host or else a raw one. Where the host allows neither, devices are told "destination
//     unreachable, administratively prohibited", and the refusal says [ReasonNoPing].
//   - host.internal (10.77.0.2) is the loopback of the host, if Config.AllowHost opens it. It and gateway.internal are names
//     that the gateway knows.
//
// # What is closed
//
// Loopback and link-local addresses, the metadata services of clouds, multicast, broadcast, and whatever else lies in the
// virtual network. Config.Deny closes more, Config.Allow opens link-local and metadata addresses. Addresses are judged when they are
// dialled: a name that resolves to a closed address opens nothing. Every refusal is counted by its [Reason] and told
// to Config.Log.
//
// The host's own addresses other than loopback are open, as they are to any neighbour of the host: a service
// that listens on all addresses can be reached there.
//
// # Limits
//
// All flows leave from one address of the host, so there are at most some 28,000 to 64,000 to one server and port at a time. Nothing
// comes in unasked: no port is published. No multicast, no IPv6. Options, DSCP and time to live of packets end at the
// gateway (ping keeps its time to live, less one). ICMP errors from routers
// beyond the host are not handed on to devices, so that traceroute sees the first and the last hop. Answers to DNS
// carry a time to live of 30 s, because the host's resolver does not tell the true one; nor does it tell a name without such
// a record from one that does not exist, so devices hear the latter (NXDOMAIN).
//
// # Goroutines
//
// An open TCP connection has two, an open UDP flow one; look-ups and the ping socket have their own. They work outside of the world
// and report through its lock; nothing in here makes the world wait. [Uplink.Close] ends them all.
package user

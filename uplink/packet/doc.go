// Package packet is the way out of a virtual Wi-Fi onto a real Ethernet: a packet
// socket (AF_PACKET) of Linux on one of its network interfaces, in promiscuous mode. Devices then are hosts
// of the same network as that interface, with MAC addresses and, from its DHCP server,
// IP addresses of their own.
//
//	up, err := packet.New(packet.Config{
//		World: w, Interface: "eth0",
//		Output: func(now time.Time, eth []byte) { ap.Send(now, eth); slot.Touch() },
//	})
//	...
//	// wifi.APConfig.Output, under the world's lock:  up.Input(now, eth)
//
// An [Uplink] can be the cable of one stack as well, without any Wi-Fi: see package tap,
// which has the same form.
//
// # What it needs
//
// Linux, root (or CAP_NET_RAW), and an interface that is up. Nothing of its settings is changed, but for promiscuous
// mode while the uplink is open. On other systems New fails with errors.ErrUnsupported.
//
// # What passes
//
// All that the interface receives, whomever it is for; what this machine itself sends through
// it is not seen. Where the kernel joined several TCP segments into one (GRO, TSO), they
// are cut again; where it left a checksum to the hardware, as between two ends of
// a veth pair, it is filled in. So nothing has to be switched off with ethtool.
//
// # Limits
//
// The interface's own host and the devices cannot talk to each other there: what a packet socket sends goes out
// by the wire, and the host does not hear it. Use uplink/tap, or a veth pair and
// a bridge, for that. Wireless interfaces and many virtual machines let no foreign MAC address pass: then nothing
// comes back. Of joined packets other than TCP over IPv4 and UDP over IPv4 none
// are cut: they are dropped and counted as unusable. VLAN tags that the kernel took off are lost.
package packet

// Package tap is the way out of a virtual Wi-Fi through a TAP device of Linux: a
// network interface of the kernel whose cable ends in this process. Each frame that
// the kernel sends there comes in, each frame that we give goes to the kernel, and
// with it to whatever the kernel joins it to: its own sockets, a bridge, a route,
// a namespace with other programs.
//
// An [Uplink] can be three things.
//
// The far side of an access point, as uplink/user is: all stations are on one
// Ethernet with the kernel.
//
//	up, err := tap.New(tap.Config{
//		World: w, Name: "tap0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24")},
//		Output: func(now time.Time, eth []byte) { ap.Send(now, eth); slot.Touch() },
//	})
//	...
//	// wifi.APConfig.Output, under the world's lock:  up.Input(now, eth)
//
// The cable of one [stack.Stack], without any Wi-Fi: its Config.Output is
// up.Input, and Config.Output here is the stack's Input and the Touch of its slot.
//
// A station of its own: [NewStation] joins a network of the virtual air with the
// kernel behind it, so that a program of this machine (a DHCP client, a browser)
// is a host on that network.
//
// # What it needs
//
// Linux, and root (or CAP_NET_ADMIN), or a device that root has made for you and
// set up:
//
//	ip tuntap add dev tap0 mode tap user $USER
//	ip addr add 10.77.0.1/24 dev tap0
//	ip link set tap0 up
//
// New sets up only what Config asks for, so such a device can be used without any
// privilege. A device that New makes goes away with it. On other systems New fails with
// errors.ErrUnsupported.
//
// # Limits
//
// The kernel has one end of the cable and does as it does on any interface: it
// answers ARP and ping for its own addresses, and speaks IPv6 unasked. There is
// no DHCP server in here. No offloads: frames are at most as long as the MTU, and carry
// their checksums.
package tap

// Package driver is the host's side of a WINC1500-family network controller:
// it brings the chip up over a bus, joins networks, configures the address,
// sends echo requests, resolves names and offers the Berkeley-like sockets of
// the documented driver. It speaks to the device in software of this project
// and to a real module alike, because it sees nothing but a bus.Port.
//
// # Use
//
//	d := driver.New(port, driver.Config{})
//	go d.Run(ctx)                   // or call d.Tasks() in a loop
//	c, err := d.Open()              // ErrNotReady until start-up is finished
//	c.OnSocket(func(s driver.Socket, m driver.Msg) { … })
//	c.Connect(driver.BSS{SSID: "cafe"}, driver.WPA("secret passphrase"), func(e driver.ConnEvent) { … })
//
// Every call is non-blocking in the sense of the document: it waits for the
// bus, never for the network. What it returns says whether the device took the
// request; the outcome arrives later at a callback. For ordinary blocking Go
// (net.Conn, net.Listener, contexts) see package driver/hostnet.
//
// # Who pumps
//
// Messages of the device are read by Tasks, which the program calls whenever
// the interrupt line fell, or all the time; or by Run, which is that loop with
// a goroutine of its own for the callbacks. Callbacks run one at a time, in the
// order in which the device sent the messages, without any lock of the driver
// held and never inside the call that caused them. Tasks called inside a
// callback takes messages but dispatches nothing.
//
// All methods are safe for concurrent use. The one lock is held while the bus
// is awaited (microseconds; at worst the half second in which a device may
// refuse a message), so it can be given in the configuration.
//
// # Limits
//
// 7 TCP and 4 UDP sockets, 1400 bytes a send, unless a device of ours whose
// profile has more says so (Client.Limits); one receive request outstanding a
// socket, names of at most 63 characters, 4 resolver requests at a time. IPv4
// only. The enterprise modes are not part of this version: their functions are
// absent.
//
// TLS sockets are secured by the device: its versions, its cipher suites
// (SetCiphers), the root certificates in its flash. 4 of the TCP sockets can be
// one, and the device shakes hands with one peer at a time. The host may also do
// TLS itself, over a plain socket, with crypto/tls on hostnet's conns.
//
// With Config.Bypass the device is a network card instead: SendFrame and OnFrame
// exchange Ethernet frames, and IP is the host's, for instance package stack.
//
// The behaviour is that of the driver document with its "ours" variants, see
// spec/driver-api.md; numbers such as SOC-10 in comments and tests are of its
// section 5, numbers such as BH-05 of spec/host-bus.md section 9.
package driver

// Package tinygo lets a microcontroller that runs TinyGo use a module through package net: [Device] has the methods of
// netdev.Netdever and netlink.Netlinker (tinygo.org/x/drivers) on top of package driver, and [Port] is the bus over SPI
// and pins of package machine.
//
//	machine.SPI0.Configure(machine.SPIConfig{Frequency: 12e6})
//	cs, reset, en, irq := machine.D10, machine.D5, machine.D6, machine.D7
//	for _, p := range []machine.Pin{cs, reset, en} {
//		p.Configure(machine.PinConfig{Mode: machine.PinOutput})
//	}
//	irq.Configure(machine.PinConfig{Mode: machine.PinInputPullup})
//
//	dev := tinygo.New(tinygo.NewPort(tinygo.Wiring{SPI: machine.SPI0, CS: cs, Reset: reset, Enable: en, IRQ: irq}), tinygo.Config{})
//	netdev.UseNetdev(dev)
//	err := dev.NetConnect(&netlink.ConnectParams{Ssid: "cafe", Passphrase: "secret passphrase"})
//	resp, err := http.Get("http://example.com/")
//
// # How it works
//
// Calls block, as package net wants it: whoever waits pumps the driver and sleeps a millisecond between looks at the
// interrupt line, so other goroutines run. Nothing runs in an interrupt. With ConnectParams.WatchdogTimeout a goroutine
// pumps while nobody waits, tells NetNotify of a lost network and joins it again.
//
// # Limits
//
// Those of the module: 7 TCP and 4 UDP sockets, IPv4, 1400 bytes a datagram sent. No TLS sockets (ErrProtocolNotSupported), no
// access point (ErrConnectModeNoGood), of the socket options keep-alive only. Send returns when the module has taken the
// bytes; that they did not arrive is the error of a later call. One goroutine at a time may bind, listen, connect or send
// on a socket, and one may receive.
//
// The module and its tests build with standard Go; it is a module of its own so that nobody else needs tinygo.org/x/drivers.
package tinygo

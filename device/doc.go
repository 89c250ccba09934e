// Package device is the network controller in software: a chip of the WINC1500 class as its host sees it over SPI.
//
// Behind the bus stand a register file with the boot handshake, the mailbox of the host interface (HIF), a Wi-Fi station
// and an IPv4 host with TCP and UDP sockets. An unmodified host driver boots it, joins a network on the virtual air and
// talks to whoever is there.
//
//	medium := air.New(air.Config{})
//	d, err := device.New(device.Config{MAC: mac, Rand: source, Air: medium})
//	slot := w.Add(d)                      // w is a world.World, which also owns medium and the access points
//	port := d.Port(w, slot.Touch)         // a bus.Port: give it to a driver, to bus/remote, to a recorder
//
// A [Device] is a machine: it starts no goroutine, takes no lock, reads no clock and draws randomness only from
// Config.Rand. Its owner calls Tx, Reset, Enable and Advance with the time, and calls Advance again when Deadline has
// come. Same calls, same results.
//
// # What it promises
//
// Everything that a host can do on the bus is answered, counted or ignored within bounded memory; nothing panics. The
// numbered rules of the host bus (BD-…) and of the messages (HM-…) hold; tests carry their numbers. A message costs no
// allocation on the way of data (SEND, RECV).
//
// A [Profile] says which chip answers: ids, versions and limits. [WINC1500] is the real part with firmware 19.7.7;
// [Unlimited] is the same chip with the limits lifted that the protocol allows to lift, for hosts that know the
// extension USTD. Layouts and some manners depend on the release of the host driver, which it says at boot
// (HostVersion); where they do, the code says so.
//
// # Flash
//
// Config.Flash is the serial flash behind the chip (package flash): which of its two firmware images runs decides what
// the version blocks say, and credentials for a default connect are kept there. Give it the image of
// [flash.OpenFile] to keep both across runs; without one a device starts with a fresh flash in memory, which costs nothing
// until something is written. A flash without a good image is a dead chip: the host's wait for the firmware runs out, and
// Snapshot says why.
//
// # Station or access point
//
// A device is a station until a host says ENABLE_AP. Then it is an access point with the same address, open or WPA2, and a
// DHCP server, until DISABLE_AP; the sockets are the same. One excludes the other: requests of the other mode have no
// effect, are counted in Counters.WrongMode, and answered where a host waits. Profile.SoftAP has the limits.
//
// With START_PROVISION_MODE the access point has a web page besides, on which a user chooses the network that the controller
// shall join: see package device/provision. The host is told, and joins.
//
// # TLS
//
// TLS sockets are crypto/tls's, within what the profile says: winc1500-19.7.7 has TLS 1.0 to 1.2, RSA keys up to 2048 bits, 4
// TLS sockets and one handshake at a time; unlimited has TLS 1.3 besides, and no such limits. Root certificates, and the key
// of a server, lie in the flash: tls.SetRoots and tls.SetIdentity of package device/tls put them there. Why a handshake
// failed is in Snapshot and an event of the trace, in words.
//
// # Updates
//
// The updater (package device/ota) downloads a firmware image into the slot that does not run, by http or https, and a host
// file. Its connections are the device's own and take no socket of the host. Every request of a host has one end, whatever the
// server and the network do; Snapshot.Update says what goes on, and why the latest download failed. Profile.Update has the
// policies, and the quirk of the real part, which takes error pages for firmware; they are off. With TrialStarts, which Unlimited has,
// new firmware that no host gets on with gives way to the one before it (docs/updates.md).
//
// # Ethernet mode
//
// A host that starts the firmware with bit 7 of GP register 1 has a network card: it exchanges Ethernet frames with the network
// that was joined, or with the stations of a Soft-AP, and brings its own IP. What is for the device itself, for all, and for up to
// eight groups of the host's choice goes to the host, 32 frames at most at a time; sockets have no network then.
//
// # What it does not have yet
//
// P2P and monitor mode.
// Requests for them are counted in Counters.Unsupported; where a host waits for an answer it gets the one that says no.
// Radio tuning and power-save settings are accepted and have no effect.
package device

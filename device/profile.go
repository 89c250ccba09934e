package device

import (
	stdtls "crypto/tls"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/tls"
)

// Profile says which chip a device is: what it calls itself and where its limits are. Get one from [WINC1500] or
// [Unlimited] and change what you need. The zero value stands for WINC1500.
type Profile struct {
	Name     string
	ChipID   uint32      // register 0x1000
	RFRevID  uint32      // register 0x13F4
	Firmware hif.Version // what a fresh flash holds; what runs is what the flash says
	MinHost  hif.Version // oldest host driver that it says it works with
	NoOTP    bool        // no MAC address is burnt in; the working address is Config.MAC all the same

	// TCPSockets and UDPSockets are the numbers of sockets: ids 0 to TCPSockets-1, then those of UDP. At most 126
	// together. Numbers other than 7 and 4, and SendBytes other than 1400, hold after the host has asked for them
	// (extension USTD, doors: group OTA, opcode 126) and while no socket is open; before that the device has the
	// numbers of the real part.
	TCPSockets, UDPSockets int
	SendBytes              int // most bytes of data in one SEND and in one RECV reply, at most 4000
	Listeners              int // most listening sockets; 0: as many as there are TCP sockets

	// TLS sockets. How many of the TCP sockets can be one, listeners and accepted connections included (0 means 4), and
	// how many can shake hands at a time (0 means 1). Versions in the numbers of crypto/tls, 0 means TLS 1.0 and TLS 1.2;
	// the cipher suites until a host chooses, 0 means tls.DefaultSuites; the most bits of an RSA key, 0 means 2048.
	TLSSockets, TLSHandshakes int
	MinTLS, MaxTLS            uint16
	TLSSuites                 tls.Suites
	MaxRSA                    int

	// SendBuffers is the number of SEND messages that may wait in the chip's memory for room in a socket. When all are
	// taken, requests for data messages get address 0, "no buffer". 0 means 8.
	SendBuffers int

	// DatagramBytes bounds the datagrams that wait in a UDP socket for a RECVFROM, each with 14 bytes of overhead; what
	// finds no room is dropped. 0 means 6000, four large ones.
	DatagramBytes int

	ConnectTimeout time.Duration // a SYN without an answer; 0 means 30 s
	DNSTimeout     time.Duration // a look-up; 0 means 30 s, and 18 s towards hosts that stop waiting after 20 s
	PingTimeout    time.Duration // an echo request; 0 means 4 s
	DHCPTimeout    time.Duration // no lease: tell hosts before 19.6.1 that the join failed; 0 means 30 s

	// ACDProbes and ACDWait are the check of an address before its first use: number of ARP probes and the time from
	// the last one to the use. 0 means 1 probe and 200 ms, as quick as the real part.
	ACDProbes int
	ACDWait   time.Duration

	SoftAP SoftAPProfile // stations and leases in Soft-AP mode
	Update UpdateProfile // downloads of firmware

	Networks   int // networks that a scan can report; 0 means 32
	StoredNets int // networks that a default connect remembers, at most flash.MaxNetworks; 0 means 4

	// FlashSize is the size of the flash that a device makes for itself; 0 means flash.Size8M. With a flash of 2 Mbit, which
	// is too small for the map, the firmware is what the profile says, and there are no updates.
	FlashSize int
}

// WINC1500 returns the profile "winc1500-19.7.7": revision 3A0 with firmware 19.7.7, which every driver from 19.3.0 on
// accepts. 7 TCP and 4 UDP sockets, 1400 bytes a send.
func WINC1500() Profile {
	return Profile{
		Name:       "winc1500-19.7.7",
		ChipID:     0x001003A0,
		RFRevID:    1,
		Firmware:   hif.V19_7_7,
		MinHost:    hif.V19_3_0,
		TCPSockets: realTCPSockets,
		UDPSockets: realUDPSockets,
		SendBytes:  realSendBytes,
	}.withDefaults()
}

// Unlimited returns the profile "unlimited": the same chip with 96 TCP and 30 UDP sockets and 4000 bytes a send for
// hosts that ask for them, more memory for sends that wait, and new firmware on trial.
func Unlimited() Profile {
	p := WINC1500()
	p.Name = "unlimited"
	p.TCPSockets, p.UDPSockets = 96, 30
	p.SendBytes = maxSendBytes
	p.SendBuffers = 32
	p.DatagramBytes = 64 << 10
	p.SoftAP = SoftAPProfile{Stations: 64, Pool: 100}
	p.TLSSockets, p.TLSHandshakes = p.TCPSockets, p.TCPSockets
	p.MaxTLS, p.TLSSuites, p.MaxRSA = stdtls.VersionTLS13, tls.AllSuites, 8192
	p.Networks = 255
	p.Update.TrialStarts = 3
	return p
}

// Limits of the real part and of what the wire can say.
const (
	realTCPSockets = 7
	realUDPSockets = 4
	realSendBytes  = 1400
	maxSendBytes   = 4000 // the size field of a notice holds 4095
	maxSockets     = 126  // an id is a signed byte
	maxSendBuffers = 63   // of the memory below the buffers of messages
)

// withDefaults fills in what is zero.
func (p Profile) withDefaults() Profile {
	if p.Name == "" && p.ChipID == 0 && p.Firmware == 0 {
		return WINC1500()
	}
	setDefault(&p.TCPSockets, realTCPSockets)
	setDefault(&p.UDPSockets, realUDPSockets)
	setDefault(&p.SendBytes, realSendBytes)
	setDefault(&p.SendBuffers, 8)
	setDefault(&p.Listeners, p.TCPSockets)
	setDefault(&p.DatagramBytes, 6000)
	setDefault(&p.ConnectTimeout, 30*time.Second)
	setDefault(&p.PingTimeout, 4*time.Second)
	setDefault(&p.DHCPTimeout, 30*time.Second)
	setDefault(&p.ACDProbes, 1)
	setDefault(&p.ACDWait, 200*time.Millisecond)
	p.SoftAP = p.SoftAP.withDefaults()
	setDefault(&p.TLSSockets, 4)
	setDefault(&p.TLSHandshakes, 1)
	setDefault(&p.MinTLS, stdtls.VersionTLS10)
	setDefault(&p.MaxTLS, stdtls.VersionTLS12)
	setDefault(&p.TLSSuites, tls.DefaultSuites)
	setDefault(&p.MaxRSA, 2048)
	setDefault(&p.Networks, 32)
	setDefault(&p.StoredNets, 4)
	setDefault(&p.FlashSize, flash.Size8M)
	return p
}

// check reports what no device can be.
func (p *Profile) check() error {
	switch {
	case p.TCPSockets < 1 || p.UDPSockets < 0 || p.TCPSockets+p.UDPSockets > maxSockets:
		return fmt.Errorf("device: profile %q: %d TCP and %d UDP sockets; want at least 1 of TCP and at most %d together",
			p.Name, p.TCPSockets, p.UDPSockets, maxSockets)
	case p.SendBytes < 1 || p.SendBytes > maxSendBytes:
		return fmt.Errorf("device: profile %q: %d bytes a send; want 1 to %d", p.Name, p.SendBytes, maxSendBytes)
	case p.SendBuffers < 1 || p.SendBuffers > maxSendBuffers:
		return fmt.Errorf("device: profile %q: %d send buffers; want 1 to %d", p.Name, p.SendBuffers, maxSendBuffers)
	case p.TLSSockets < 1 || p.TLSHandshakes < 1:
		return fmt.Errorf("device: profile %q: %d TLS sockets, %d handshakes; want at least 1 each", p.Name, p.TLSSockets, p.TLSHandshakes)
	case p.MinTLS < stdtls.VersionTLS10 || p.MaxTLS > stdtls.VersionTLS13 || p.MinTLS > p.MaxTLS:
		return fmt.Errorf("device: profile %q: %s to %s; want versions from TLS 1.0 to TLS 1.3", p.Name,
			stdtls.VersionName(p.MinTLS), stdtls.VersionName(p.MaxTLS))
	case p.TLSSuites.Available() == 0:
		return fmt.Errorf("device: profile %q: no cipher suites that there are: %v", p.Name, p.TLSSuites)
	case p.Update.TrialStarts < 0 || p.Update.TrialStarts > 255:
		return fmt.Errorf("device: profile %q: %d starts for new firmware; want 0 to 255", p.Name, p.Update.TrialStarts)
	case p.Networks < 1 || p.Networks > 255:
		return fmt.Errorf("device: profile %q: %d networks; want 1 to 255", p.Name, p.Networks)
	case p.StoredNets < 1 || p.StoredNets > flash.MaxNetworks:
		return fmt.Errorf("device: profile %q: %d stored networks; want 1 to %d", p.Name, p.StoredNets, flash.MaxNetworks)
	}
	if err := p.SoftAP.check(); err != nil {
		return fmt.Errorf("device: profile %q: %w", p.Name, err)
	}
	return nil
}

func setDefault[T int | uint16 | tls.Suites | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// versionWord is the content of register 0x207AC: what runs, and the oldest driver for it. Spec host-bus 4.5.
func (p *Profile) versionWord() hif.VersionWord { return hif.MakeVersionWord(p.Firmware, p.MinHost) }

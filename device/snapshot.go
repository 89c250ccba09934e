package device

import (
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// Snapshot is a look at a device: a copy, which may be kept and printed. Without firmware all from Update on is zero.
type Snapshot struct {
	Profile  string
	Power    string // "off", "in reset", "boot ROM", "firmware" or "stopped"
	IRQ      bool   // the line is asserted
	Mailbox  Mailbox
	Counters Counters
	SPI      spi.SlaveStats
	Stored   []string // SSIDs of stored credentials, the newest first
	Flash    FlashState
	GPIO     GPIO

	Update  UpdateState // what the updater does, and what it did last
	Host    hif.Version // release of the host's driver
	MAC     wire.MAC
	Name    string       // in DHCP
	Link    string       // "idle", "joining" or "joined", of the station; "access point"
	Network wifi.Network // that is being used
	SoftAP  *SoftAP      // nil unless the device is one
	DHCP    bool
	Addr    netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	Time    time.Time // of day; zero: not known
	TimeBy  string    // who said what time it is: the name of a server, or "host"
	Sockets []Socket  // those that are not free, in order of ids
	Lookups int       // DNS_RESOLVE under way
	Pings   int
	Station wifi.StationCounters
	IP      stack.Stats

	// Stuck has a line for each thing that waits for somebody, and says for whom: "host", "network" or "device". Something
	// is wrong only when a line stays as it is.
	Stuck []string
}

// Mailbox is a look at the way of messages.
type Mailbox struct {
	Granted bool   // the host is building a request
	Held    int    // buffers with data that wait for a socket
	Buffers int    // that there are for data
	Open    bool   // a message is before the host, RX done has not come
	Taken   bool   // the host has fetched its notice
	Op      hif.Op // of that message
	Queued  int    // messages behind it
}

// FlashState is a look at the flash.
type FlashState struct {
	Size    int // bytes
	Stats   flash.Stats
	Chip    flash.ChipStats
	Running hif.Version // what the firmware was started as; 0: none runs
	Standby hif.Version // what can be switched to; 0: nothing
	Trial   bool        // Running is new, and no host has talked to it yet, see UpdateProfile.TrialStarts
	Backup  error       // why not the image runs that the control section names; nil: it does
	Err     error       // why no firmware starts, or what the storage said first; nil: all is well
}

// Socket is a look at one socket.
type Socket struct {
	ID       int8
	Kind     string // "TCP" or "UDP"
	State    string
	Local    netip.AddrPort // as bound; of a connection its own end
	Remote   netip.AddrPort // peer; of UDP where the last SENDTO went
	Session  uint16
	Accepted bool      // the device chose the id
	Recv     bool      // a RECV waits for data
	Sends    int       // SENDs without an answer
	Held     int       // of which wait in HIF buffers for room
	Unread   bool      // of UDP: datagrams have come since the last one was read
	In, Out  int       // bytes that wait for a RECV, and for an acknowledgement
	Conn     *tcp.Info // of a connection: how TCP sees it; nil if there is none
	TLS      string    // of TLS sockets: version and cipher suite, "in clear", "waits for its turn", "handshake", or why it failed
}

// Snapshot looks at the device.
func (d *Device) Snapshot() Snapshot {
	s := Snapshot{
		Profile: d.profile.Name, Power: d.power(), IRQ: d.irq, Counters: d.counters, SPI: d.slave.Stats(),
		Mailbox: Mailbox{
			Granted: d.in.granted >= 0, Held: d.in.held, Buffers: d.profile.SendBuffers,
			Open: d.out.open, Queued: d.out.n,
		},
	}
	if d.out.open {
		s.Mailbox.Op = d.out.op
		s.Mailbox.Taken = !hif.ParseNotice(d.regs.receive).Pending
	}
	s.Flash = d.flashState()
	s.GPIO = GPIO{Direction: d.regs.stored[reg.GPIODirection], Output: d.regs.stored[reg.GPIOOutput], Input: d.gpioInput()}
	for _, n := range d.stored {
		s.Stored = append(s.Stored, n.params.SSID)
	}
	if f := d.fw; f != nil {
		f.snapshot(d.seen, &s)
	}
	s.Stuck = d.stuck(&s)
	return s
}

func (d *Device) flashState() FlashState {
	s := FlashState{Size: d.flash.F.Size(), Stats: d.flash.F.Stats(), Chip: d.flash.Stats(), Err: d.bootErr}
	if d.fw != nil {
		s.Running, s.Trial, s.Backup = d.revision(d.boot.Running).Firmware, d.boot.Trial, d.boot.Backup
		if d.standby() {
			s.Standby = d.revision(d.boot.Other).Firmware
		}
	}
	if s.Err == nil {
		s.Err = d.flash.F.Err()
	}
	return s
}

func (d *Device) power() string {
	switch {
	case !d.enabled:
		return "off"
	case d.inReset:
		return "in reset"
	}
	return d.cpu.String()
}

func (f *firmware) snapshot(now time.Time, s *Snapshot) {
	s.Host, s.MAC, s.Name, s.Link = f.host, f.mac, f.name, f.link.state.String()
	s.Network = f.link.network
	if f.ap != nil {
		s.Link, s.SoftAP = "access point", f.ap.snapshot()
		s.Network = s.SoftAP.Network
	}
	s.DHCP, s.Addr, s.Gateway = f.ip.dhcp, f.stack.Addr(), f.stack.Gateway()
	s.DNS = append(s.DNS, f.stack.DNS()...)
	s.Time, s.TimeBy = f.clock.now(now), f.clock.source
	s.Update = f.ota.snapshot()
	s.Lookups, s.Pings = len(f.dns), len(f.pings)
	s.Station, s.IP = f.sta.Counters(), *f.stack.Stats()
	for i := range f.sockets {
		if k := &f.sockets[i]; k.state != sockFree {
			s.Sockets = append(s.Sockets, k.snapshot())
		}
	}
}

func (s *socket) snapshot() Socket {
	k := Socket{
		ID: s.id, Kind: "UDP", State: s.state.String(), Local: s.local, Remote: s.remote, Session: s.session, Accepted: s.accepted,
		Recv: s.rx.pending, Sends: s.tx.n - s.tx.done, Held: len(s.tx.held), Unread: s.unread,
	}
	if s.isTCP() {
		k.Kind = "TCP"
	}
	if s.tcp.Valid() {
		info := s.tcp.Info()
		k.Conn = &info
		k.Local = s.tcp.LocalAddr()
		k.In, k.Out = s.tcp.Buffered()
	}
	if s.sec != nil {
		k.TLS = s.sec.String()
	}
	return k
}

package wifi

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

// Defaults and limits of a scan (spec/hif-messages.md, 2.8; spec/driver-api.md, 2.5).
const (
	DefaultSlots       = 2
	DefaultSlotTime    = 30 * time.Millisecond
	DefaultPassiveTime = 300 * time.Millisecond
	DefaultProbes      = 2

	// MaxScanSSIDs is the most networks that one scan asks for by name.
	MaxScanSSIDs = 4
	// MaxResults is the most networks that a scan keeps; then a stronger one replaces the weakest.
	MaxResults = 64

	maxSlots    = 255
	maxProbes   = 8
	maxSlotTime = 2 * time.Second
)

// probeGroup is the group address of probe requests: access points listen to it, stations do not. On the real air a probe
// request is a broadcast, which ten thousand stations would have to hear from each other.
var probeGroup = wire.MAC{0x03, 'p', 'r', 'o', 'b', 'e'}

// ScanParams says how to scan. The zero value is an active scan of channels 1 to 14.
type ScanParams struct {
	Channel  uint8  // 1 to 14; 0 or 255: all that Channels allows
	Channels uint16 // bit n-1 allows channel n; 0 allows all

	// Passive listens for beacons only. An active scan sends probe requests and listens to beacons as well.
	Passive bool

	Slots    int           // listening periods on each channel of an active scan; 0 means 2, at most 255
	SlotTime time.Duration // length of one, or of the stay on a channel when passive; 0 means 30 ms and 300 ms, at most 2 s
	Probes   int           // probe requests in each slot; 0 means 2, at most 8

	// SSIDs are asked for by name as well, which hidden networks answer. At most 4; not with Passive.
	SSIDs []string

	// StopAtFirst ends the scan with the first network found: of SSIDs, if there are any.
	StopAtFirst bool

	extra []byte   // elements of the probe requests, whole
	only  bool     // keep networks with these SSIDs and this BSSID only
	mac   wire.MAC // zero: any
}

// Errors of Scan and Join.
var (
	// ErrBusy says that an attempt of the same kind is running; wait for its event or, for a join, Leave.
	ErrBusy = errors.New("wifi: another attempt is in progress")
	// ErrInvalid says that a parameter is out of range; the error wrapping it says which.
	ErrInvalid = errors.New("wifi: invalid parameter")
	// ErrUnsupported says that a kind of security can be recognised and not used.
	ErrUnsupported = errors.New("wifi: security is not supported: use open or WPA2-PSK")
)

func (p *ScanParams) normalize() error {
	if p.Channel == 255 {
		p.Channel = 0
	}
	if p.Channel > maxChannel {
		return fmt.Errorf("%w: channel %d, want 1 to 14, or 0 for all", ErrInvalid, p.Channel)
	}
	if p.Channels &= 1<<maxChannel - 1; p.Channels == 0 {
		p.Channels = 1<<maxChannel - 1
	}
	if p.Channel != 0 {
		p.Channels = 1 << (p.Channel - 1)
	}
	if p.Passive && len(p.SSIDs) > 0 {
		return fmt.Errorf("%w: a passive scan cannot ask for SSIDs", ErrInvalid)
	}
	if len(p.SSIDs) > MaxScanSSIDs {
		return fmt.Errorf("%w: %d SSIDs, want at most %d", ErrInvalid, len(p.SSIDs), MaxScanSSIDs)
	}
	for _, s := range p.SSIDs {
		if len(s) > maxSSID {
			return fmt.Errorf("%w: SSID of %d bytes, want at most %d", ErrInvalid, len(s), maxSSID)
		}
	}
	if p.Slots < 0 || p.Slots > maxSlots || p.Probes < 0 || p.Probes > maxProbes ||
		p.SlotTime < 0 || p.SlotTime > maxSlotTime {
		return fmt.Errorf("%w: %d slots of %v with %d probes", ErrInvalid, p.Slots, p.SlotTime, p.Probes)
	}
	p.setDefaults()
	return nil
}

func (p *ScanParams) setDefaults() {
	if p.SlotTime == 0 {
		p.SlotTime = DefaultSlotTime
		if p.Passive {
			p.SlotTime = DefaultPassiveTime
		}
	}
	if p.Slots == 0 {
		p.Slots = DefaultSlots
	}
	if p.Probes == 0 {
		p.Probes = DefaultProbes
	}
	if p.Passive {
		p.Slots, p.Probes = 1, 1
	}
	p.SSIDs = append([]string(nil), p.SSIDs...)
}

// scanner goes through the channels with a receiver of its own, so that a scan does not disturb a join.
type scanner struct {
	s       *Station
	port    *air.Port // made at the first scan, off between scans
	p       ScanParams
	left    uint16    // channels still to visit
	step    int       // on this channel: each sends a probe and waits
	next    time.Time // when the step ends; zero: not scanning
	results []Network
	found   bool // a result that ends the scan
	buf     []byte
}

func (c *scanner) running() bool { return !c.next.IsZero() }

// start begins a scan with normalized parameters.
func (c *scanner) start(now time.Time, p ScanParams) {
	if c.port == nil {
		c.port = c.s.cfg.Air.NewPort(c.s.cfg.MAC, c.receive)
	}
	c.p, c.left, c.results, c.found = p, p.Channels, nil, false
	c.hop(now)
}

// stop ends the scan without an event.
func (c *scanner) stop() {
	if c.port != nil {
		c.port.SetChannel(air.ChannelOff)
	}
	c.next = time.Time{}
}

// hop goes to the next channel. It reports false, and ends the scan, when none is left.
func (c *scanner) hop(now time.Time) bool {
	if c.left == 0 {
		c.stop()
		sortNetworks(c.results)
		return false
	}
	ch := uint8(1)
	for c.left&(1<<(ch-1)) == 0 {
		ch++
	}
	c.left &^= 1 << (ch - 1)
	c.port.SetChannel(ch)
	c.step = 0
	c.listen(now)
	return true
}

// listen begins a step: a probe, and the time to hear the answer.
func (c *scanner) listen(now time.Time) {
	c.step++
	if !c.p.Passive {
		c.probe(now)
	}
	c.next = now.Add(c.p.SlotTime / time.Duration(c.p.Probes))
	c.s.wake()
}

func (c *scanner) probe(now time.Time) {
	for _, ssid := range c.p.SSIDs {
		c.probeFor(now, ssid)
	}
	if !c.p.only || len(c.p.SSIDs) == 0 {
		c.probeFor(now, "")
	}
}

func (c *scanner) probeFor(now time.Time, ssid string) {
	var name [maxSSID]byte
	m := Management{Subtype: ProbeRequest, SSID: name[:copy(name[:], ssid)], Extra: c.p.extra}
	c.buf = m.Append(c.buf[:0])
	c.port.Send(now, air.Frame{Kind: air.KindManagement, To: probeGroup, Data: c.buf})
}

// advance takes the next step when it is due, and reports whether that ended the scan.
func (c *scanner) advance(now time.Time) (ended bool) {
	if !due(c.next, now) {
		return false
	}
	if c.found {
		c.left = 0
		return !c.hop(now)
	}
	if c.step < c.p.Slots*c.p.Probes {
		c.listen(now)
		return false
	}
	return !c.hop(now)
}

// receive hears beacons and probe responses.
func (c *scanner) receive(now time.Time, f air.Frame) {
	if !c.running() || f.Kind != air.KindManagement {
		return
	}
	if len(f.Data) > 0 && Subtype(f.Data[0]) != Beacon && Subtype(f.Data[0]) != ProbeResponse {
		return
	}
	m, err := ParseManagement(f.Data)
	if err != nil {
		c.s.counts.Malformed++
		return
	}
	if m.Capability&CapabilityESS == 0 || f.From.IsMulticast() || f.Channel > maxChannel {
		return
	}
	c.heard(now, f, m)
}

func (c *scanner) heard(now time.Time, f air.Frame, m Management) {
	if c.p.only && !c.matches(f, m) {
		return
	}
	hidden := hiddenSSID(m.SSID)
	n := c.result(f, hidden)
	if n == nil {
		return
	}
	n.Channel, n.RSSI, n.Security, n.interval = f.Channel, f.RSSI, securityOf(m), m.Interval
	n.offer = wps.ParseOffer(m.Extra)
	if n.rsn != string(m.RSN) {
		n.rsn = string(m.RSN)
	}
	if !hidden && n.SSID != string(m.SSID) {
		n.SSID = string(m.SSID)
	}
	if m.Subtype == Beacon {
		n.Hidden = hidden
	}
	if c.p.StopAtFirst && (len(c.p.SSIDs) == 0 || c.wanted(m.SSID)) {
		c.found, c.next = true, now
		c.s.wake()
	}
}

// result finds the entry of f's sender, or makes one; nil when the network is not wanted or too weak for a full table.
func (c *scanner) result(f air.Frame, hidden bool) *Network {
	weakest := -1
	for i := range c.results {
		if c.results[i].BSSID == f.From {
			return &c.results[i]
		}
		if weakest < 0 || c.results[i].RSSI < c.results[weakest].RSSI {
			weakest = i
		}
	}
	if len(c.results) < MaxResults {
		c.results = append(c.results, Network{BSSID: f.From, Hidden: hidden})
		return &c.results[len(c.results)-1]
	}
	if f.RSSI <= c.results[weakest].RSSI {
		return nil
	}
	c.results[weakest] = Network{BSSID: f.From, Hidden: hidden}
	return &c.results[weakest]
}

// matches reports whether a join looks for this network.
func (c *scanner) matches(f air.Frame, m Management) bool {
	return (c.p.mac.IsZero() || c.p.mac == f.From) && (len(c.p.SSIDs) == 0 || c.wanted(m.SSID))
}

func (c *scanner) wanted(ssid []byte) bool {
	for _, s := range c.p.SSIDs {
		if s == string(ssid) {
			return true
		}
	}
	return false
}

// hiddenSSID reports whether a beacon does not name its network: the SSID is empty or all zeros.
func hiddenSSID(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

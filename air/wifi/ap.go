package wifi

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// Defaults and limits of an access point.
const (
	DefaultBeaconInterval = 100 * timeUnit // 102.4 ms
	DefaultMaxStations    = 64
	MaxStations           = 1<<14 - 1 // an AID has 14 bits; the standard stops at 2007
	DefaultInactivity     = 60 * time.Second

	minBeaconInterval = 10 * timeUnit
	maxBeaconInterval = 1000 * timeUnit
	maxElements       = 512 // bytes of APConfig.Elements
)

// APConfig configures an [AccessPoint].
type APConfig struct {
	Air     *air.Air    // required
	MAC     wire.MAC    // required: the BSSID
	Rand    rand.Source // required: nonces and the group key come from it
	SSID    string      // required, up to 32 bytes
	Channel uint8       // 1 to 14; 0 means 1

	// Security is Open or WPA2PSK; 0 means WPA2PSK if there is a passphrase or a PMK, else Open.
	Security   Security
	Passphrase string    // 8 to 63 bytes, or 64 hexadecimal digits
	PMK        PMK       // instead of a passphrase; zero: none
	PMKs       *PMKCache // remembers derived keys; nil: this one derives its own

	Hidden      bool // beacons do not name the network, and only probes that do are answered
	MaxStations int  // associated at a time; 0 means 64, at most 16383; further ones are refused
	Isolate     bool // stations do not hear each other's frames, only the distribution side does

	Elements []byte // further elements for beacons and probe responses, whole; at most 512 bytes

	BeaconInterval time.Duration // 0 means 102.4 ms; 10.24 ms to 1.024 s
	Inactivity     time.Duration // a station that is silent for so long is sent away; 0 means 60 s

	// Output is given each Ethernet frame for the distribution side, which may read it until it returns: frames for
	// groups, for the BSSID, and for addresses that are no station's. Called from within the air's Advance. Nil discards.
	Output func(now time.Time, eth []byte)

	// Handle, when set, is given each event, from Advance; it may call the access point. Otherwise read them with
	// NextEvent, or do not.
	Handle func(now time.Time, e APEvent)

	// Touch, when set, is called when the deadline may have moved: by calls, and by frames that arrive.
	// A world's owner sets it to the Touch of the slot.
	Touch func()
}

func (c *APConfig) normalize() error {
	switch {
	case c.Air == nil:
		return errors.New("wifi: an access point needs APConfig.Air")
	case c.Rand == nil:
		return errors.New("wifi: an access point needs APConfig.Rand")
	case c.MAC.IsZero() || c.MAC.IsMulticast():
		return fmt.Errorf("wifi: %v is not a BSSID", c.MAC)
	case c.SSID == "" || len(c.SSID) > maxSSID:
		return fmt.Errorf("%w: SSID of %d bytes, want 1 to %d", ErrInvalid, len(c.SSID), maxSSID)
	case c.Channel > maxChannel:
		return fmt.Errorf("%w: channel %d, want 1 to %d", ErrInvalid, c.Channel, maxChannel)
	case c.MaxStations < 0 || c.MaxStations > MaxStations:
		return fmt.Errorf("%w: %d stations, want at most %d", ErrInvalid, c.MaxStations, MaxStations)
	case len(c.Elements) > maxElements || !elementsValid(c.Elements):
		return fmt.Errorf("%w: APConfig.Elements are not whole elements of at most %d bytes", ErrInvalid, maxElements)
	}
	c.Channel = cmp.Or(c.Channel, 1)
	c.MaxStations = cmp.Or(c.MaxStations, DefaultMaxStations)
	c.Inactivity = cmp.Or(c.Inactivity, DefaultInactivity)
	c.BeaconInterval = cmp.Or(c.BeaconInterval, DefaultBeaconInterval)
	if c.BeaconInterval < minBeaconInterval || c.BeaconInterval > maxBeaconInterval {
		return fmt.Errorf("%w: beacon interval %v, want %v to %v", ErrInvalid, c.BeaconInterval, minBeaconInterval, maxBeaconInterval)
	}
	if c.Inactivity < 0 {
		return fmt.Errorf("%w: inactivity %v", ErrInvalid, c.Inactivity)
	}
	return c.secure()
}

// secure settles Security and PMK.
func (c *APConfig) secure() (err error) {
	if c.Security == 0 {
		c.Security = Open
		if c.Passphrase != "" || c.PMK != (PMK{}) {
			c.Security = WPA2PSK
		}
	}
	switch c.Security {
	case Open:
	case WPA2PSK:
		if c.PMK == (PMK{}) {
			c.PMK, err = c.PMKs.Get(c.SSID, c.Passphrase)
		}
	case WEP, Enterprise:
		err = fmt.Errorf("%w (asked for %v)", ErrUnsupported, c.Security)
	default:
		err = fmt.Errorf("%w: %v", ErrInvalid, c.Security)
	}
	return err
}

// AccessPoint is one Wi-Fi access point: it beacons, lets stations in, and bridges frames between them and its
// distribution side (Send and Output), which is a stack, an uplink, or nothing.
type AccessPoint struct {
	cfg    APConfig
	port   *air.Port
	events events[APEvent]
	counts APCounters

	running bool
	started time.Time
	beacon  time.Time // when the next is due
	gtk     [gtkLen]byte
	beat    []byte // the beacon, but for its timestamp
	reply   []byte // the probe response, likewise

	hand    handover
	peers   map[wire.MAC]*peer
	waiting peerList // authenticated, not associated: the oldest makes room
	timers  peerHeap
	aids    aidPool

	buf []byte
}

// NewAccessPoint makes an access point that is stopped: call Start. Errors wrap ErrInvalid, ErrUnsupported (WEP, 802.1X)
// or ErrPassphrase, or name the field that is missing.
func NewAccessPoint(c APConfig) (*AccessPoint, error) {
	if c.PMKs == nil {
		c.PMKs = &PMKCache{Max: 1}
	}
	if err := c.normalize(); err != nil {
		return nil, err
	}
	c.Elements = slices.Clone(c.Elements)
	ap := &AccessPoint{cfg: c, peers: map[wire.MAC]*peer{}}
	ap.events.handle = c.Handle
	ap.port = c.Air.NewPort(c.MAC, ap.receive)
	ap.port.SetChannel(air.ChannelOff)
	ap.port.JoinGroup(probeGroup)
	return ap, nil
}

func (ap *AccessPoint) wake() {
	if ap.cfg.Touch != nil {
		ap.cfg.Touch()
	}
}

// MAC returns the BSSID.
func (ap *AccessPoint) MAC() wire.MAC { return ap.cfg.MAC }

// Network returns what a scan would find, at full strength.
func (ap *AccessPoint) Network() Network {
	return Network{
		SSID: ap.cfg.SSID, BSSID: ap.cfg.MAC, Channel: ap.cfg.Channel,
		Security: ap.cfg.Security, Hidden: ap.cfg.Hidden,
		rsn: string(ap.rsn()), interval: ap.interval(),
	}
}

// Start goes on the air with a new group key. It does nothing when running.
func (ap *AccessPoint) Start(now time.Time) {
	if ap.running {
		return
	}
	ap.running, ap.started, ap.beacon = true, now, now
	n := makeNonce(ap.cfg.Rand)
	copy(ap.gtk[:], n[:])
	ap.prepare()
	ap.port.SetChannel(ap.cfg.Channel)
	ap.wake()
}

// Stop sends all stations away (StationLeft for each) and goes off the air. It does nothing when stopped.
func (ap *AccessPoint) Stop(now time.Time) {
	if !ap.running {
		return
	}
	ap.manage(now, wire.Broadcast, Management{Subtype: Deauthentication, Reason: CodeLeavingDeauth})
	for _, p := range ap.sorted() {
		ap.forget(now, p, CodeLeavingDeauth)
	}
	ap.vanish()
	ap.wake()
}

// Vanish goes off the air without a word, as in a power failure, and forgets its stations without events: for tests of
// what stations make of that.
func (ap *AccessPoint) Vanish() {
	for _, p := range ap.sorted() {
		ap.remove(p)
	}
	ap.vanish()
	ap.wake()
}

func (ap *AccessPoint) vanish() {
	ap.running, ap.beacon = false, time.Time{}
	ap.hand = handover{}
	ap.port.SetChannel(air.ChannelOff)
}

// Close is Stop, for good.
func (ap *AccessPoint) Close(now time.Time) {
	ap.Stop(now)
	ap.port.Close()
}

// Running reports whether the access point is on the air.
func (ap *AccessPoint) Running() bool { return ap.running }

// SetElements replaces the further elements of beacons and probe responses (APConfig.Elements).
func (ap *AccessPoint) SetElements(b []byte) error {
	if len(b) > maxElements || !elementsValid(b) {
		return fmt.Errorf("%w: not whole elements of at most %d bytes", ErrInvalid, maxElements)
	}
	ap.cfg.Elements = slices.Clone(b)
	ap.prepare()
	return nil
}

// Counters returns what was counted so far.
func (ap *AccessPoint) Counters() APCounters {
	c := ap.counts
	c.EventsLost = ap.events.lost
	return c
}

// NextEvent returns the next event, and false when there is none. The queue holds 256; then the oldest is lost.
func (ap *AccessPoint) NextEvent() (APEvent, bool) { return ap.events.next() }

func (ap *AccessPoint) emit(now time.Time, e APEvent) {
	ap.events.put(now, e)
	ap.wake()
}

// StationInfo is what an access point knows of an associated station.
type StationInfo struct {
	MAC    wire.MAC
	AID    uint16
	RSSI   int8      // dBm, last heard
	Joined bool      // false: the handshake is going on
	Since  time.Time // of the association
	Heard  time.Time // last
}

// Stations returns the associated stations in order of their AIDs.
func (ap *AccessPoint) Stations() []StationInfo {
	var list []StationInfo
	for _, p := range ap.sorted() {
		if p.aid != 0 {
			list = append(list, StationInfo{p.mac, p.aid, p.rssi, p.phase == phaseJoined, p.since, p.heard})
		}
	}
	return list
}

// Disconnect sends a station away with a reason code, 0 meaning CodeLeavingDeauth, and reports whether there was one.
// A broadcast address sends all away.
func (ap *AccessPoint) Disconnect(now time.Time, mac wire.MAC, code ReasonCode) bool {
	code = cmp.Or(code, CodeLeavingDeauth)
	if mac.IsBroadcast() {
		all := ap.sorted()
		for _, p := range all {
			ap.dismiss(now, p, code)
		}
		return len(all) > 0
	}
	p := ap.peers[mac]
	if p == nil {
		return false
	}
	ap.dismiss(now, p, code)
	return true
}

// Deadline says when Advance is next needed; zero means never. It is past when there are new events.
func (ap *AccessPoint) Deadline() time.Time {
	return earliest(earliest(ap.events.since, ap.beacon), earliest(ap.timers.next(), ap.hand.until))
}

// Advance does what is due: beacons, repetitions of the handshake, stations that are silent, events for Handle.
func (ap *AccessPoint) Advance(now time.Time) {
	if due(ap.beacon, now) {
		ap.sendBeacon(now)
	}
	if due(ap.hand.until, now) {
		ap.CancelWPS(now)
	}
	for due(ap.timers.next(), now) {
		ap.expire(now, ap.timers[0])
	}
	ap.events.drain(now)
}

func (ap *AccessPoint) interval() uint16 { return uint16(ap.cfg.BeaconInterval / timeUnit) }

// rsn returns the body of the RSN element, nil for an open network.
func (ap *AccessPoint) rsn() []byte {
	if ap.cfg.Security == WPA2PSK {
		return rsnPSK
	}
	return nil
}

func (ap *AccessPoint) capability() Capability {
	if ap.cfg.Security == Open {
		return CapabilityESS
	}
	return CapabilityESS | CapabilityPrivacy
}

// prepare builds beacon and probe response; only their timestamps differ from one to the next.
func (ap *AccessPoint) prepare() {
	m := Management{
		Subtype:    Beacon,
		Interval:   ap.interval(),
		Capability: ap.capability(),
		Channel:    ap.cfg.Channel,
		RSN:        ap.rsn(),
		Extra:      ap.offer().Append(slices.Clip(ap.cfg.Elements)),
	}
	if !ap.cfg.Hidden {
		m.SSID = []byte(ap.cfg.SSID)
	}
	ap.beat = m.Append(ap.beat[:0])
	m.Subtype, m.SSID = ProbeResponse, []byte(ap.cfg.SSID)
	ap.reply = m.Append(ap.reply[:0])
}

// stamp sends a prepared message with the time since the start.
func (ap *AccessPoint) stamp(now time.Time, to wire.MAC, b []byte) {
	setTimestamp(b, uint64(now.Sub(ap.started)/time.Microsecond))
	ap.port.Send(now, air.Frame{Kind: air.KindManagement, To: to, Data: b})
}

func (ap *AccessPoint) sendBeacon(now time.Time) {
	ap.counts.Beacons++
	ap.stamp(now, wire.Broadcast, ap.beat)
	if ap.beacon = ap.beacon.Add(ap.cfg.BeaconInterval); !ap.beacon.After(now) {
		ap.beacon = now.Add(ap.cfg.BeaconInterval) // the owner was late: no burst
	}
}

// manage sends a management message.
func (ap *AccessPoint) manage(now time.Time, to wire.MAC, m Management) {
	ap.buf = m.Append(ap.buf[:0])
	ap.port.Send(now, air.Frame{Kind: air.KindManagement, To: to, Data: ap.buf})
}

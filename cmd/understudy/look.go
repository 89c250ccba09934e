package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/stack/tcp"
)

// look is a look at a running device: what "run" answers INSPECT with (docs/bus-socket.md), as JSON, and what "sockets" shows.
// Fields may be added; a change of those here makes another version.
type look struct {
	Version  int               `json:"version"` // 1
	At       time.Time         `json:"at"`
	Device   lookDevice        `json:"device"`
	Bus      lookBus           `json:"bus"`
	Link     lookLink          `json:"link"`
	Stations []lookStation     `json:"stations,omitempty"` // of a Soft-AP
	IP       lookIP            `json:"ip"`
	Clock    lookClock         `json:"clock"`
	Update   lookUpdate        `json:"update"`
	Sockets  []lookSocket      `json:"sockets"`
	Stuck    []lookStuck       `json:"stuck"`
	Counters map[string]uint64 `json:"counters"` // those of device.Counters that are not 0
}

const lookVersion = 1

type lookDevice struct {
	Profile  string `json:"profile"`
	Power    string `json:"power"` // as in device.Snapshot
	Firmware string `json:"firmware,omitempty"`
	Standby  string `json:"standby,omitempty"` // the firmware that can be switched to
	Driver   string `json:"driver,omitempty"`  // of the host
	MAC      string `json:"mac"`
	Error    string `json:"error,omitempty"` // of the flash
}

type lookBus struct {
	IRQ     bool   `json:"irq"`               // asserted: the device has something to say
	Message string `json:"message,omitempty"` // that is before the host
	Fetched bool   `json:"fetched"`           // the host has heard of it; RX done has not come
	Queued  int    `json:"queued"`            // messages behind it
	Held    int    `json:"held"`              // send buffers that wait for room in a socket
	Buffers int    `json:"buffers"`           // that there are
}

type lookLink struct {
	State    string `json:"state"` // idle, joining, joined, access point
	SSID     string `json:"ssid,omitempty"`
	BSSID    string `json:"bssid,omitempty"`
	Channel  uint8  `json:"channel,omitempty"`
	RSSI     int8   `json:"rssi,omitempty"`
	Security string `json:"security,omitempty"`
}

type lookStation struct {
	MAC     string     `json:"mac"`
	Address netip.Addr `json:"address,omitzero"`
	RSSI    int8       `json:"rssi"`
}

type lookIP struct {
	Address netip.Prefix `json:"address,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	DHCP    bool         `json:"dhcp"`
}

type lookClock struct {
	Time time.Time `json:"time,omitzero"`
	By   string    `json:"by,omitempty"` // who told it
}

// lookUpdate is about updates of the firmware, and about the host file.
type lookUpdate struct {
	Job      string `json:"job"`   // that runs: none, firmware or host file
	Phase    string `json:"phase"` // as in device.UpdateState
	URL      string `json:"url,omitempty"`
	Stored   int64  `json:"stored"`
	Expected int64  `json:"expected"`       // 0: not known
	Last     string `json:"last,omitempty"` // how the latest job ended
	Why      string `json:"why,omitempty"`  // more about that
	Switch   bool   `json:"switch"`         // other firmware runs after the next reset
}

func (u *lookUpdate) runs() bool { return u.Job != "none" && u.Job != "" }

// text is what a person sees of it.
func (u *lookUpdate) text() string {
	var text string
	switch {
	case u.runs():
		text = fmt.Sprintf("%s from %s, %s, %d bytes", u.Job, u.URL, u.Phase, u.Stored)
		if u.Expected > 0 {
			text += fmt.Sprintf(" of %d", u.Expected)
		}
	case u.URL != "":
		text = fmt.Sprintf("%s, from %s", u.Last, u.URL)
		if u.Why != "" {
			text += ": " + u.Why
		}
	}
	if u.Switch {
		text = strings.TrimPrefix(text+"; the standby firmware runs after the next reset", "; ")
	}
	return text
}

type lookSocket struct {
	ID       int8           `json:"id"`
	Kind     string         `json:"kind"`  // TCP or UDP
	State    string         `json:"state"` // as in device.Socket
	Local    netip.AddrPort `json:"local,omitzero"`
	Remote   netip.AddrPort `json:"remote,omitzero"`
	Session  uint16         `json:"session"`
	Accepted bool           `json:"accepted"`
	In       int            `json:"in"`   // bytes that wait for a RECV
	Out      int            `json:"out"`  // bytes that wait for an acknowledgement
	Recv     bool           `json:"recv"` // the host has asked for data
	Sends    int            `json:"sends"`
	Held     int            `json:"held"`
	Unread   bool           `json:"unread"` // of UDP: datagrams wait
	TLS      string         `json:"tls,omitempty"`
	TCP      *lookTCP       `json:"tcp,omitempty"`
}

type lookTCP struct {
	State       string  `json:"state"` // RFC 9293
	RTT         float64 `json:"rtt_ms"`
	RTO         float64 `json:"rto_ms"`
	SendWindow  int     `json:"send_window"` // what the peer offers
	RecvWindow  int     `json:"recv_window"`
	Cwnd        int     `json:"cwnd"`
	InFlight    int     `json:"in_flight"`
	MSS         int     `json:"mss"`
	Retransmits int     `json:"retransmits"`
}

// lookStuck is somebody who owes the next step.
type lookStuck struct {
	Who     string  `json:"who"` // host, network or device
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"` // since it began, or since something moved
}

// ages knows since when lines stand.
type ages map[string]time.Time

// see is told the lines of now.
func (a ages) see(now time.Time, lines []string) {
	old := make(map[string]time.Time, len(a))
	for l, at := range a {
		old[l] = at
	}
	clear(a)
	for _, l := range lines {
		a[l] = now
		if at, ok := old[l]; ok {
			a[l] = at
		}
	}
}

// look looks at the device of a machine.
func (m *machine) look() look {
	now, s := time.Now(), m.snapshot()
	l := newLook(now, &s)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending.see(now, s.Stuck)
	for i, line := range s.Stuck {
		l.Stuck[i].Seconds = now.Sub(m.pending[line]).Round(time.Millisecond).Seconds()
	}
	return l
}

// inspect is the answer to INSPECT.
func (m *machine) inspect() []byte {
	b, err := json.Marshal(m.look())
	if err != nil {
		return []byte(`{"version":0}`) // there is nothing in it that has no JSON
	}
	return append(b, '\n')
}

func newLook(now time.Time, s *device.Snapshot) look {
	l := look{Version: lookVersion, At: now.UTC().Round(time.Millisecond), Sockets: []lookSocket{}, Stuck: []lookStuck{}}
	l.Device = lookDevice{Profile: s.Profile, Power: s.Power, MAC: s.MAC.String()}
	if s.Flash.Running != 0 {
		l.Device.Firmware = s.Flash.Running.String()
	}
	if s.Flash.Standby != 0 {
		l.Device.Standby = s.Flash.Standby.String()
	}
	if s.Host != 0 {
		l.Device.Driver = s.Host.String()
	}
	if s.Flash.Err != nil {
		l.Device.Error = s.Flash.Err.Error()
	}
	b := &s.Mailbox
	l.Bus = lookBus{IRQ: s.IRQ, Queued: b.Queued, Held: b.Held, Buffers: b.Buffers, Fetched: b.Open && b.Taken}
	if b.Open {
		l.Bus.Message = b.Op.String()
	}
	l.network(s)
	for _, line := range s.Stuck {
		who, what, _ := strings.Cut(line, ": ")
		l.Stuck = append(l.Stuck, lookStuck{Who: who, What: what})
	}
	l.Counters = counts(s.Counters)
	return l
}

// network is about the network.
func (l *look) network(s *device.Snapshot) {
	l.Link.State = s.Link
	if n := &s.Network; n.SSID != "" || !n.BSSID.IsZero() {
		l.Link = lookLink{s.Link, n.SSID, n.BSSID.String(), n.Channel, n.RSSI, n.Security.String()}
	}
	if s.SoftAP != nil {
		for _, st := range s.SoftAP.Stations {
			l.Stations = append(l.Stations, lookStation{st.MAC.String(), st.Addr, st.RSSI})
		}
	}
	l.IP = lookIP{Address: s.Addr, Gateway: s.Gateway, DNS: s.DNS, DHCP: s.DHCP}
	l.Clock = lookClock{s.Time, s.TimeBy}
	u := &s.Update
	l.Update = lookUpdate{u.Job, u.Phase, u.URL, u.Stored, u.Expected, u.Last, u.Why, u.Switch}
	for i := range s.Sockets {
		l.Sockets = append(l.Sockets, newLookSocket(&s.Sockets[i]))
	}
}

func newLookSocket(k *device.Socket) lookSocket {
	s := lookSocket{
		ID: k.ID, Kind: k.Kind, State: k.State, Local: k.Local, Remote: k.Remote, Session: k.Session, Accepted: k.Accepted,
		In: k.In, Out: k.Out, Recv: k.Recv, Sends: k.Sends, Held: k.Held, Unread: k.Unread, TLS: k.TLS,
	}
	if k.Conn != nil {
		s.TCP = newLookTCP(k.Conn)
	}
	return s
}

func newLookTCP(c *tcp.Info) *lookTCP {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return &lookTCP{
		State: c.State.String(), RTT: ms(c.RTT), RTO: ms(c.RTO), SendWindow: c.SendWindow, RecvWindow: c.RecvWindow,
		Cwnd: c.Cwnd, InFlight: c.InFlight, MSS: c.MSS, Retransmits: c.Retransmits,
	}
}

// counts are the counters that are not 0, by name.
func counts(c device.Counters) map[string]uint64 {
	m := map[string]uint64{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if n := v.Field(i).Uint(); n > 0 {
			m[v.Type().Field(i).Name] = n
		}
	}
	return m
}

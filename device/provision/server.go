package provision

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/sock"
)

// Limits of a server.
const (
	Port        = 80
	MaxConns    = 6
	MaxNetworks = 24

	maxName   = 47 // bytes of the controller's name (hif-messages 2.11)
	maxDomain = 63 // bytes of the name of the page (2.16)

	requestTime = 10 * time.Second // for the whole of it
	answerTime  = 10 * time.Second // likewise
	goodbyeTime = 2 * time.Second  // until the browser has closed its side
	scanTime    = 4 * time.Second  // that a page waits for a scan
)

// Config says what a [Server] serves. Domain and Addr are needed.
type Config struct {
	Domain   string     // host name of the page, at most 63 bytes
	Addr     netip.Addr // our own, under which the page can be opened too
	Redirect bool       // requests for any other name are sent to the page; else they are refused
	Name     string     // of the controller, as the form shows it first
}

// Network is a network that the controller hears.
type Network struct {
	SSID     string
	RSSI     int8 // dBm
	Security hif.Security
}

// Result is what the user has filled in.
type Result struct {
	SSID       string       // 1 to 32 bytes, none of them 0
	Passphrase string       // 8 to 63 bytes or 64 hexadecimal digits; "" for open networks
	Security   hif.Security // SecurityOpen or SecurityPSK
	Name       string       // a host name of at most 47 bytes; "": as it was
}

// Counters say what a server did.
type Counters struct {
	Accepted  uint64 // connections
	Evicted   uint64 // that had not said anything whole and made room
	TurnedOff uint64 // connections for which there was no room
	TimedOut  uint64
	Broken    uint64 // requests that are not HTTP, too long, or reset on the way
	Pages     uint64 // the form, sent
	Redirects uint64
	Refused   uint64 // other paths, methods and sites
	Rejected  uint64 // forms that were filled in wrongly
	Submitted uint64 // forms that were accepted: at most 1
}

// Stream is a connection that can be reset.
type Stream interface {
	sock.Stream
	Abort(now time.Time) error
}

// Server is the web site. Make it with [New].
type Server struct {
	cfg      Config
	networks []Network
	scanning bool
	wanted   bool // a scan, and the owner has not asked yet
	conns    []*Conn
	counts   Counters

	result *Result
	by     *Conn     // who has submitted it: the page that says so must get through
	taken  bool      // by Result
	ready  bool      // for Result
	seen   time.Time // of the latest call
}

// New makes a server without connections. A first scan is wanted at once.
func New(c Config) (*Server, error) {
	c.Domain = strings.ToLower(strings.TrimSuffix(c.Domain, "."))
	switch {
	case c.Domain == "" || len(c.Domain) > maxDomain:
		return nil, fmt.Errorf("provision: the name of the page has %d bytes, want 1 to %d", len(c.Domain), maxDomain)
	case strings.ContainsFunc(c.Domain, func(r rune) bool { return !isLetterOrDigit(r) && r != '-' && r != '.' && r != '_' }):
		return nil, fmt.Errorf("provision: %q is not the name of a host", c.Domain)
	case !c.Addr.Is4():
		return nil, errors.New("provision: Config.Addr must be an IPv4 address")
	}
	return &Server{cfg: c, scanning: true, wanted: true}, nil
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// ScanWanted reports, once for each time, that the networks are to be looked for anew; [Server.SetNetworks] is the answer.
func (s *Server) ScanWanted() bool {
	w := s.wanted
	s.wanted = false
	return w
}

// SetNetworks says which networks there are. Of those with one name the strongest is kept, those without a name are left
// out; the strongest come first. Pages that wait for it go on.
func (s *Server) SetNetworks(now time.Time, list []Network) {
	s.seen = now
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Network) int { return cmp.Compare(b.RSSI, a.RSSI) })
	s.networks = s.networks[:0]
	for _, n := range list {
		known := slices.ContainsFunc(s.networks, func(o Network) bool { return o.SSID == n.SSID })
		if !known && n.SSID != "" && len(n.SSID) <= hif.MaxSSID && !strings.Contains(n.SSID, "\x00") && len(s.networks) < MaxNetworks {
			s.networks = append(s.networks, n)
		}
	}
	s.scanning = false
	for _, c := range slices.Clone(s.conns) {
		if c.phase == phaseScan {
			c.Ready(now)
		}
	}
}

// scan asks for a scan, if none runs.
func (s *Server) scan() {
	if !s.scanning {
		s.scanning, s.wanted = true, true
	}
}

// Accept takes a connection to the port of the site. It is nil if there was no room, and the stream is reset.
func (s *Server) Accept(now time.Time, stream Stream) *Conn {
	s.seen = now
	if len(s.conns) >= MaxConns {
		i := slices.IndexFunc(s.conns, func(c *Conn) bool { return c.phase == phaseRequest })
		if i < 0 {
			s.counts.TurnedOff++
			_ = stream.Abort(now) // an error means that it is gone already
			return nil
		}
		s.counts.Evicted++
		s.conns[i].abort(now)
	}
	s.counts.Accepted++
	c := &Conn{s: s, stream: stream}
	s.conns = append(s.conns, c)
	c.start(now)
	return c
}

// forget takes an ended connection off the list. A result waits for that of the browser that has sent it.
func (s *Server) forget(c *Conn) {
	s.conns = slices.DeleteFunc(s.conns, func(o *Conn) bool { return o == c })
	if s.by == c {
		s.by, s.ready = nil, true
	}
}

// Result returns what the user has filled in, once: as soon as the page that says so has got through, or 12 s later.
func (s *Server) Result() (Result, bool) {
	if !s.ready || s.taken {
		return Result{}, false
	}
	s.taken = true
	return *s.result, true
}

// Conns returns how many connections there are.
func (s *Server) Conns() int { return len(s.conns) }

// Counters returns what was counted so far.
func (s *Server) Counters() Counters { return s.counts }

// Deadline says when Advance is next needed: a past time while there is a result that was not fetched; zero: never.
func (s *Server) Deadline() time.Time {
	if s.ready && !s.taken || s.wanted {
		return s.seen
	}
	var t time.Time
	for _, c := range s.conns {
		if t.IsZero() || c.limit.Before(t) {
			t = c.limit
		}
	}
	return t
}

// Advance ends what takes too long.
func (s *Server) Advance(now time.Time) {
	s.seen = now
	for _, c := range slices.Clone(s.conns) {
		c.expire(now)
	}
}

// Close resets all connections.
func (s *Server) Close(now time.Time) {
	for len(s.conns) > 0 {
		s.conns[0].abort(now)
	}
}

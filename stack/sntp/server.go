package sntp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Server answers time requests: a primary server for virtual networks. It keeps no state, so it is not a machine:
// [Server.Reply] turns a request into its answer at once.
type Server struct {
	// Stratum of the answers, 1 to 15. Default 1.
	Stratum uint8
	// RefID names the source of the time. Default "LOCL".
	RefID [4]byte
	// Leap is the leap indicator; 3 says that the server does not know the time.
	Leap uint8
}

// Reply appends the answer to a request to buf; t is the time. It is not ok if
// what came is no client's request, and deserves no answer.
func (s *Server) Reply(t time.Time, buf, request []byte) (reply []byte, ok bool) {
	p, err := wire.ParseNTP(request)
	if err != nil || p.Mode != wire.NTPClient || p.Version < 1 || p.Version > 4 {
		return buf, false
	}
	a := wire.NTP{
		Leap:      s.Leap,
		Version:   p.Version,
		Mode:      wire.NTPServer,
		Stratum:   max(s.Stratum, 1),
		Poll:      p.Poll,
		Precision: -20, // about a microsecond
		RefID:     s.RefID,
		Reference: wire.NTPTimeOf(t.Truncate(time.Minute)),
		Originate: p.Transmit,
		Receive:   wire.NTPTimeOf(t),
		Transmit:  wire.NTPTimeOf(t),
	}
	if a.RefID == [4]byte{} {
		a.RefID = [4]byte{'L', 'O', 'C', 'L'}
	}
	return a.Append(buf), true
}

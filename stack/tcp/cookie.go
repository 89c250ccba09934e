package tcp

import (
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// SYN cookies (RFC 4987, 3.6): when there is no room for another half-open connection, all that must
// be remembered of a SYN goes into the initial sequence number of the answer, and comes back with the
// ACK of a peer that is there. From the top:
//
//	24 bits   keyed hash of addresses, ports, the peer's ISN and what follows
//	 5 bits   time, in units of 64 s
//	 3 bits   index of the MSS in cookieMSS
//
// Window scale and SACK find room in the low bits of our timestamp, which the peer echoes; without
// timestamps the connection does without them.

// cookieMSS is what can be remembered of the peer's MSS: the next lower one.
var cookieMSS = [8]uint16{minMSS, defaultMSS, 1220, 1360, 1400, 1440, 1460, 8960}

const (
	cookieUnit  = 64 * time.Second
	cookieTimes = 32

	// CookieLife is how long a cookie is good, at most.
	CookieLife = 2 * cookieUnit

	stampBits   = 63 // of the timestamp: 4 bits of window scale, all set if there is none; then SACK
	stampSACK   = 16
	stampNoWnd  = 15
	maxScaleBit = wire.MaxWScale
)

func cookieHash(key Secret, seq, low uint32) uint32 {
	var id [12]byte
	binary.LittleEndian.PutUint32(id[0:], seq)
	binary.LittleEndian.PutUint32(id[4:], low)
	return uint32(Hash(key, id)) << 8
}

func cookieTime(now Instant) uint32 { return uint32(int64(now)/int64(cookieUnit)) % cookieTimes }

// Cookie returns the initial sequence number that answers syn. The key is secret, and another one
// for each pair of addresses and ports.
func Cookie(now Instant, key Secret, syn *wire.TCP) uint32 {
	mss := syn.Opt.MSS
	if mss == 0 {
		mss = defaultMSS
	}
	i := len(cookieMSS) - 1
	for i > 0 && cookieMSS[i] > mss {
		i--
	}
	low := cookieTime(now)<<3 | uint32(i)
	return cookieHash(key, syn.Seq, low) | low
}

// CheckCookie returns the SYN whose cookie ack acknowledges, as far as it was remembered. It is not ok if there was
// none, or too long ago.
func CheckCookie(now Instant, key Secret, ack *wire.TCP) (syn wire.TCP, ok bool) {
	cookie, seq := ack.Ack-1, ack.Seq-1
	low := cookie & 0xff
	if age := (cookieTime(now) - low>>3) % cookieTimes; age > 1 || cookieHash(key, seq, low)|low != cookie {
		return wire.TCP{}, false
	}
	syn = wire.TCP{SrcPort: ack.SrcPort, DstPort: ack.DstPort, Seq: seq, Flags: wire.SYN, Wnd: ack.Wnd}
	syn.Opt.MSS = cookieMSS[low&7]
	if ack.Opt.TS {
		syn.Opt.TS, syn.Opt.TSVal = true, ack.Opt.TSVal
		bits := ack.Opt.TSEcr & stampBits
		if s := uint8(bits & 15); s <= maxScaleBit {
			syn.Opt.HasWScale, syn.Opt.WScale = true, s
		}
		syn.Opt.SACKPermitted = bits&stampSACK != 0
	}
	return syn, true
}

// CookieReply makes c answer syn with a cookie: Output has the SYN,ACK, after which c is to be
// forgotten. p.ISS is the cookie.
func (c *Conn) CookieReply(now Instant, cfg *Config, p Params, syn *wire.TCP) {
	s := *syn
	if s.Opt.TS && !cfg.NoTimestamps {
		bits := uint32(stampNoWnd)
		if s.Opt.HasWScale {
			bits = uint32(min(s.Opt.WScale, maxScaleBit))
		}
		if s.Opt.SACKPermitted {
			bits |= stampSACK
		}
		clock := p.TSOffset + millis(now)
		stamp := clock&^stampBits | bits
		if stamp-clock-1 < 1<<31 { // it must not be ahead of those that follow
			stamp -= stampBits + 1
		}
		p.TSOffset += stamp - clock
	} else {
		s.Opt.HasWScale, s.Opt.SACKPermitted = false, false
	}
	c.Accept(now, cfg, p, &s, false)
}

// AcceptCookie is Accept for a SYN that [CheckCookie] has returned: its answer was sent. The ACK is
// to be given to Input next.
func (c *Conn) AcceptCookie(now Instant, cfg *Config, p Params, syn *wire.TCP) {
	c.Accept(now, cfg, p, syn, false)
	c.snd.nxt, c.snd.pos = c.iss+1, c.iss+1
	c.synWindow()
}

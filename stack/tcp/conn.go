package tcp

import (
	"time"

	"github.com/understudy-net/understudy/wire"
)

// Sizes of segments, in bytes of data.
const (
	defaultMSS = 536 // when the peer's SYN has no MSS option (MUST-15)
	minMSS     = 64  // a peer that asks for less gets this much (hostile input T-13)
	tsLen      = 12  // timestamps with their padding (RFC 7323, appendix A)

	minBuffer = 2 << 10

	// MaxHeader is the longest header that Output writes.
	MaxHeader = 60
)

// Config is what all connections of one owner share. The zero value works.
type Config struct {
	Pool           Pool          // rings for the data of all connections
	SendBuffer     int           // bytes that Write takes ahead of the peer's ACKs; 0: 64 KiB, and more as the path needs it
	RecvBuffer     int           // bytes that wait for Read at most, which is the window offered; 0: 64 KiB, and more as the path needs it
	MaxBuffer      int           // what buffers grow to and SetBuffers may ask for at most; it decides the window scale; 0: 1 MiB, at most MaxRing
	MSL            time.Duration // half of TIME-WAIT (MUST-13); 0: 30 s
	DelayedAck     time.Duration // how long an ACK may wait, below 500 ms (MUST-40); 0: 40 ms
	UserTimeout    time.Duration // R2: how long data may stay unacknowledged (MUST-20); 0: 120 s
	ConnectTimeout time.Duration // R2 for a SYN of ours (MUST-23); 0: 180 s
	AcceptTimeout  time.Duration // the same for a SYN,ACK; 0: 60 s
	FinTimeout     time.Duration // how long FIN-WAIT-2 lasts once the user has closed; 0: 60 s
	NoTimestamps   bool          // do not offer timestamps (RFC 7323)
	NoWindowScale  bool          // do not offer window scaling (RFC 7323)
	NoSACK         bool          // do not offer selective acknowledgments (RFC 2018)
	Congestion     Congestion    // how cwnd grows and shrinks; 0: CUBIC
}

func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (g *Config) maxBuffer() int { return min(or(g.MaxBuffer, 1<<20), MaxRing) }

// Conn is one connection. It is a plain value: Open or Accept make it ready, from any earlier
// state; its owner drives it as the package comment says. It must not be copied while in use.
type Conn struct {
	cfg    *Config
	pseudo uint64 // sum of the pseudo-header for segments that we send, but for the length
	opt    *options
	ooo    *reassembly
	sacked *scoreboard
	path   *pathMTU

	snd struct {
		una, nxt, wnd, wl1, wl2 uint32 // RFC 9293, 3.3.1; wnd is scaled up

		pos    uint32 // the next octet to be put in a segment; below nxt after a timeout (go back N)
		base   uint32 // sequence number of the first byte in buf
		maxWnd uint32 // MAX.SND.WND: the greatest window that the peer ever offered (RFC 5961, 5.2)
		limit  uint32 // bytes that buf may hold
		buf    Ring   // written by the user and not acknowledged
	}
	rcv struct {
		nxt   uint32 // RFC 9293, 3.3.1
		edge  uint32 // the greatest RCV.NXT+RCV.WND that we announced
		limit uint32 // bytes that buf may hold
		acked uint32 // Last.ACK.sent (RFC 7323, 4.3)
		buf   Ring   // received in order and not read; out-of-order data stand behind it
	}
	iss, irs uint32
	ports    uint32 // ours in the upper half

	cc  congestion
	rtt rtt

	// Timers; 0 means off.
	rtxAt  Instant // retransmission or, with flagPersist, zero-window probe
	ackAt  Instant // delayed ACK
	waitAt Instant // end of TIME-WAIT, or of FIN-WAIT-2 without a user

	since   Instant // when the oldest unacknowledged data were first sent, or the window closed
	heard   Instant // when the peer's latest segment arrived
	sent    Instant // when data were last sent
	timedAt Instant // when the segment that ends at timed was sent; 0: none is timed
	timed   uint32
	tlpEnd  uint32   // TLP.end_seq (RFC 8985, 7.1), with flagTLP
	dup     seqRange // data that came twice, with flagDup
	ptoAt   Instant  // tail loss probe

	tuneAt     Instant // when tuneRecv last looked
	tuneSeq    uint32  // and where the user's reading was
	tsRecent   uint32  // TS.Recent (RFC 7323, 4.3)
	tsRecentAt Instant // when it was set
	tsOffset   uint32  // of our timestamp clock (RFC 7323, 7.1)
	retrans    uint32  // segments sent again

	challengeAt Instant // when the allowance for challenge ACKs was last filled
	rstSeq      uint32  // sequence number of the RST to send, with flagRST

	flags      flags
	mss        uint16 // bytes of data in a full segment that we send, without room taken by options
	rcvMSS     uint16 // what we announced
	peerMSS    uint16
	state      State
	cause      Cause
	sndScale   uint8
	rcvScale   uint8
	unacked    uint8 // segments received since our last ACK
	tries      uint8 // retransmissions of the same data, or unanswered probes, in a row
	challenges uint8 // challenge ACKs left
	keepProbes uint8 // keep-alives without an answer
}

// options are the knobs that few connections turn.
type options struct {
	keepIdle, keepInterval time.Duration
	keepCount              int
	keepFrom               Instant       // when keep-alives were turned on, or the latest one was sent
	userTimeout            time.Duration // 0: Config's
}

type flags uint32

const (
	flagActive     flags = 1 << iota // opened by Open: a RST means refused (MUST-11)
	flagHold                         // no SYN,ACK before Release
	flagFin                          // the user has no more to send: FIN follows the data
	flagFinSent                      // FIN counts in snd.nxt
	flagUserClosed                   // nobody will read: data that arrive are answered by RST
	flagRcvdFin                      // the peer's FIN is in its place: the stream ends behind buf
	flagAckNow                       // an ACK is due
	flagRST                          // a RST is due, at rstSeq
	flagRSTAck                       // and it carries an ACK
	flagTS                           // timestamps are in use
	flagWScale                       // window scaling is in use
	flagSACK                         // both ends permit SACK
	flagNoDelay                      // Nagle is off
	flagPersist                      // rtxAt is the persist timer
	flagProbe                        // a zero-window probe is due
	flagKeepAlive                    // a keep-alive is due
	flagResend                       // the segment at snd.una is to be sent again
	flagBlocked                      // a Write was cut short
	flagSynLost                      // our SYN or SYN,ACK was sent again
	flagLimited                      // cwnd kept us from sending
	flagDup                          // the next ACK tells that dup came twice
	flagTailProbe                    // a tail loss probe is due
	flagTLP                          // one was sent and its fate is not known
	flagTLPResent                    // and it was no new data
	flagTuneSend                     // the send buffer grows by itself
	flagTuneRecv                     // and so does the receive buffer
)

func (c *Conn) has(f flags) bool { return c.flags&f != 0 }
func (c *Conn) set(f flags)      { c.flags |= f }
func (c *Conn) clear(f flags)    { c.flags &^= f }

// Params are what the owner knows about a new connection.
type Params struct {
	LocalPort, RemotePort uint16
	Pseudo                uint64 // wire.PseudoSum of segments that we send, with length 0
	ISS                   uint32 // initial sequence number; see [ISN]
	MSS                   uint16 // bytes of TCP payload that fit on the path without options: MTU - 40
	TSOffset              uint32 // random start of the timestamp clock (RFC 7323, 7.1)
}

// init makes c new, whatever it was.
func (c *Conn) init(cfg *Config, p Params) {
	c.snd.buf.Reset(&cfg.Pool)
	c.rcv.buf.Reset(&cfg.Pool)
	*c = Conn{cfg: cfg, pseudo: p.Pseudo, iss: p.ISS, mss: p.MSS, rcvMSS: p.MSS, tsOffset: p.TSOffset}
	c.ports = uint32(p.LocalPort)<<16 | uint32(p.RemotePort)
	c.snd.una, c.snd.nxt, c.snd.pos, c.snd.base = p.ISS, p.ISS, p.ISS, p.ISS+1
	c.cc.recover, c.cc.algorithm = p.ISS, cfg.Congestion
	c.snd.limit = uint32(min(max(or(cfg.SendBuffer, startBuffer), minBuffer), MaxRing))
	c.rcv.limit = uint32(min(max(or(cfg.RecvBuffer, startBuffer), minBuffer), MaxRing))
	if cfg.SendBuffer == 0 {
		c.set(flagTuneSend)
	}
	if cfg.RecvBuffer == 0 {
		c.set(flagTuneRecv)
	}
	c.challenges = challengeBurst
	if !cfg.NoWindowScale {
		for c.rcvScale < wire.MaxWScale && max(cfg.maxBuffer(), int(c.rcv.limit))>>c.rcvScale > 65535 {
			c.rcvScale++
		}
	}
}

// Open starts an active open: Output has the SYN.
func (c *Conn) Open(now Instant, cfg *Config, p Params) {
	c.init(cfg, p)
	c.set(flagActive)
	c.state = StateSynSent
	c.since, c.heard = now, now
}

// Accept starts a passive open for the SYN seg, as LISTEN does (RFC 9293, 3.10.7.2, third step).
// With hold, SYN,ACK waits for Release. Data that came with the SYN are not kept: the peer sends
// them again.
func (c *Conn) Accept(now Instant, cfg *Config, p Params, seg *wire.TCP, hold bool) {
	c.init(cfg, p)
	if hold {
		c.set(flagHold)
	}
	c.state = StateSynReceived
	c.since, c.heard = now, now
	if hold {
		c.waitAt = now.Add(holdTimeout)
	}
	c.onSyn(now, seg)
}

// holdTimeout is how long a connection may stay held. By then its peer has given up (MUST-23).
const holdTimeout = 4 * time.Minute

// Release lets a connection go on that Accept held.
func (c *Conn) Release(now Instant) {
	c.clear(flagHold)
	c.since, c.waitAt = now, 0
}

// onSyn takes over what the peer's SYN or SYN,ACK says.
func (c *Conn) onSyn(now Instant, seg *wire.TCP) {
	c.irs, c.rcv.nxt = seg.Seq, seg.Seq+1
	c.rcv.edge, c.rcv.acked = c.rcv.nxt, c.rcv.nxt
	c.peerMSS = seg.Opt.MSS
	if c.peerMSS == 0 {
		c.peerMSS = defaultMSS
	}
	// Send size: what the peer takes and what the path takes (MUST-16).
	c.mss = min(c.mss, max(c.peerMSS, minMSS))
	if c.path != nil {
		c.path.full = min(c.path.full, max(c.peerMSS, minMSS))
	}
	if seg.Opt.TS && !c.cfg.NoTimestamps { // TS-1: both SYNs must have them
		c.set(flagTS)
		c.tsRecent, c.tsRecentAt = seg.Opt.TSVal, now
	}
	if seg.Opt.HasWScale && !c.cfg.NoWindowScale { // WS-1
		c.set(flagWScale)
		c.sndScale = min(seg.Opt.WScale, wire.MaxWScale)
	} else {
		c.rcvScale = 0
	}
	if seg.Opt.SACKPermitted && !c.cfg.NoSACK { // SACK-1
		c.set(flagSACK)
	}
	c.snd.wnd = uint32(seg.Wnd) // never scaled in a SYN (RFC 7323, 2.2)
	c.snd.maxWnd = c.snd.wnd
	c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
}

// segMSS is the number of data bytes in a full segment: options leave less room (MUST-16).
func (c *Conn) segMSS() uint32 {
	if c.has(flagTS) {
		return uint32(c.mss) - tsLen
	}
	return uint32(c.mss)
}

// flight is FlightSize: octets sent and not acknowledged.
func (c *Conn) flight() uint32 { return c.snd.nxt - c.snd.una }

// end is the sequence number behind the last byte that the user wrote: that of FIN.
func (c *Conn) end() uint32 { return c.snd.base + c.snd.buf.n }

// die ends the connection at once.
func (c *Conn) die(cause Cause) Change {
	c.state, c.cause = StateClosed, cause
	c.rtxAt, c.ackAt, c.waitAt = 0, 0, 0
	c.clear(flagAckNow | flagResend | flagProbe | flagKeepAlive)
	c.endTLP()
	c.snd.buf.Reset(&c.cfg.Pool)
	c.sacked = nil
	c.dropOutOfOrder()
	if c.has(flagUserClosed) {
		c.rcv.buf.Reset(&c.cfg.Pool)
	} else {
		c.rcv.buf.Release(&c.cfg.Pool)
	}
	return Closed | Readable | Writable
}

func (c *Conn) dropOutOfOrder() {
	c.ooo = nil
	c.rcv.buf.Release(&c.cfg.Pool)
}

// Discard gives all buffers back; the connection must not be used afterwards but by Open and
// Accept.
func (c *Conn) Discard() {
	if c.cfg == nil {
		return
	}
	c.state, c.ooo, c.sacked, c.path, c.opt, c.cc.cubic = StateClosed, nil, nil, nil, nil, nil
	c.rtxAt, c.ackAt, c.waitAt, c.ptoAt = 0, 0, 0, 0
	c.snd.buf.Reset(&c.cfg.Pool)
	c.rcv.buf.Reset(&c.cfg.Pool)
}

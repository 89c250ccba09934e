package tcp

import (
	"time"
)

// InFlight reports whether seq lies in SND.UNA..SND.NXT and something is unacknowledged.
func (c *Conn) InFlight(seq uint32) bool {
	return c.state != StateClosed && seq-c.snd.una < c.flight()
}

// State returns the state.
func (c *Conn) State() State { return c.state }

// Cause returns why the connection died; CauseNone after an orderly close.
func (c *Conn) Cause() Cause { return c.cause }

// Buffered returns the bytes that wait for Read and those that wait for the peer's ACK.
func (c *Conn) Buffered() (recv, send int) { return c.rcv.buf.Len(), c.snd.buf.Len() }

// Room returns how many bytes Write would take.
func (c *Conn) Room() int {
	if !c.CanWrite() {
		return 0
	}
	return max(int(c.snd.limit)-c.snd.buf.Len(), 0)
}

// Next returns SND.NXT.
func (c *Conn) Next() uint32 { return c.snd.nxt }

// Active reports whether the connection was opened by Open.
func (c *Conn) Active() bool { return c.has(flagActive) }

// Held reports whether the connection waits for Release.
func (c *Conn) Held() bool { return c.has(flagHold) && c.state == StateSynReceived }

// Pending reports whether Output may have something although the state is CLOSED: a RST.
func (c *Conn) Pending() bool { return c.has(flagRST) }

// Info is a look at a connection.
type Info struct {
	State              State
	RTT, RTTVar        time.Duration // SRTT and RTTVAR (RFC 6298); 0 before the first sample
	RTO                time.Duration
	Cwnd, Ssthresh     int // bytes
	SendWindow         int // what the peer offers, bytes
	RecvWindow         int // what we offer, bytes
	InFlight           int // bytes
	MSS                int // data bytes of a full segment
	Unsent, Unread     int // bytes in the buffers
	SendBuffer         int // bytes that it holds at most
	RecvBuffer         int
	Retransmits        int // segments
	OutOfOrder         int // ranges beyond a hole
	Timestamps, WScale bool
	SACK               bool
}

// Info returns a look at the connection.
func (c *Conn) Info() Info {
	i := Info{
		State: c.state, RTT: c.rtt.srtt, RTTVar: c.rtt.rttvar, RTO: c.rtt.rto(),
		Cwnd: int(c.cc.cwnd), Ssthresh: int(c.cc.ssthresh),
		SendWindow: int(c.snd.wnd), RecvWindow: int(c.rcv.edge - c.rcv.nxt),
		InFlight: int(c.flight()), MSS: int(c.segMSS()),
		SendBuffer: int(c.snd.limit), RecvBuffer: int(c.rcv.limit),
		Unread: c.rcv.buf.Len(), Retransmits: int(c.retrans),
		Timestamps: c.has(flagTS), WScale: c.has(flagWScale), SACK: c.has(flagSACK),
	}
	if c.state.sends() {
		i.Unsent = int(int32(c.end() - c.snd.pos))
		i.Unsent = max(i.Unsent, 0)
	}
	if c.ooo != nil {
		i.OutOfOrder = c.ooo.n
	}
	return i
}

// FirstByte returns the sequence number of the oldest byte in the send buffer: it moves on as the
// peer acknowledges.
func (c *Conn) FirstByte() uint32 { return c.snd.base }

// NeverOpen reports whether the connection died before it was established.
func (c *Conn) NeverOpen() bool { return c.snd.una == c.iss }

// Wants reports whether an ACK is due.
func (c *Conn) Wants() bool { return c.has(flagAckNow) }

// Pseudo returns the sum of the pseudo-header but for the length, which is the same for both
// directions.
func (c *Conn) Pseudo() uint64 { return c.pseudo }

// Package tcp is one TCP connection as a machine: RFC 9293 with retransmission (RFC 6298), recovery
// with and without SACK (RFC 6675, RFC 6582) and tail loss probes (RFC 8985), congestion control
// (CUBIC, RFC 9438, or RFC 5681), window scaling, timestamps and PAWS (RFC 7323), path MTU discovery
// (RFC 1191, RFC 4821), SYN cookies (RFC 4987), and the hardening of RFC 5961.
//
// A [Conn] is told what happened and what time it is, and answers with what to send:
//
//	c.Input(now, &seg, data)   // a segment arrived whose checksum was right
//	c.Advance(now)             // time has passed
//	c.Output(now, b)           // writes the next segment to b, until it returns 0
//	c.Deadline()               // when Advance is next needed; 0 means never
//
// and the user's verbs (Write, Read, CloseWrite, Close, Abort), after each of which Output may have
// something to say. There is no address in here: the owner finds the connection of a segment and
// gives the sum of its pseudo-header once. Package stack is that owner; nobody else should need
// this package.
//
// # States
//
//	                       CLOSED
//	        passive: SYN  /      \  Open: SYN
//	       (SYN,ACK sent)/        \
//	             SYN-RECEIVED <-- SYN-SENT
//	                   |     SYN   |
//	   ACK of our SYN  |           |  SYN,ACK
//	                   v           v
//	                    ESTABLISHED
//	Close or CloseWrite: FIN /  \ FIN received
//	                        v    v
//	              FIN-WAIT-1    CLOSE-WAIT
//	     ACK of FIN /    \ FIN       | Close: FIN
//	               v      v          v
//	      FIN-WAIT-2   CLOSING    LAST-ACK
//	            FIN \    / ACK       | ACK of FIN
//	                 v  v            v
//	              TIME-WAIT ----> CLOSED
//	                        2 MSL
//
// LISTEN is the owner's: it makes a Conn for a SYN that it wants ([Conn.Accept]).
//
// # Memory
//
// A connection without data in either direction holds no buffer: rings come from the owner's [Pool]
// at the first byte and go back when the last one has left. What is needed after a loss only
// (out-of-order ranges) is made at the first one.
//
// # Departures from the RFCs
//
// The lower bound of RTO is 200 ms, where RFC 6298, 2.4 wants 1 s, as in most stacks of today.
// Of RFC 8985 there is the probe, and what follows from its arrival, but no time for each segment:
// what else is lost the scoreboard tells by RFC 6675. Urgent data is delivered in line and the urgent pointer is never used (RFC 9293, 3.8.5; RFC
// 6093). ECN is not spoken.
package tcp

package dhcp

import (
	"net/netip"
	"time"
)

// params are the options asked for, the same in every message (RFC 2131, 4.4.1). Classless routes stand
// before routers, as RFC 3442 wants it.
var params = []byte{optMask, optRoutes, optRouters, optDNS, optDomain, optNTP, optLeaseTime, optServerID, optT1, optT2}

// ourMaxSize is the longest message that is welcome (option 57): what fits in one Ethernet frame.
const ourMaxSize = 1500

// Output appends the next message to buf and says which addresses it goes between, from port 68 to
// port 67: 0.0.0.0 to broadcast, or our address to the server's when there is a lease to
// renew or to give back. It is not ok when there is nothing to send.
func (c *Client) Output(now time.Time, buf []byte) (payload []byte, src, dst netip.AddrPort, ok bool) {
	defer c.settle()
	if m := c.farewell; m != nil {
		c.farewell = nil
		return c.emit(buf, m, c.goodbye)
	}
	if !c.send {
		return buf, src, dst, false
	}
	c.send = false
	m := c.message(Request)
	m.XID = c.xid
	var server netip.Addr
	switch c.state {
	case StateSelecting:
		m.Type = Discover
		c.secs = seconds(now.Sub(c.since))
	case StateRequesting: // RFC 2131, table 5
		m.RequestedIP, m.ServerID = c.asked, c.from
	case StateRebooting:
		m.RequestedIP = c.asked
		c.secs = seconds(now.Sub(c.since))
	case StateRenewing, StateRebinding:
		m.ClientIP = c.lease.Addr.Addr()
		c.secs = seconds(now.Sub(c.since))
		if c.state == StateRenewing {
			server = c.lease.Server
		}
	default:
		return buf, src, dst, false
	}
	m.Secs = c.secs
	return c.emit(buf, m, server)
}

// emit appends m, to go to server or, if that is zero, to everyone.
func (c *Client) emit(buf []byte, m *Message, server netip.Addr) ([]byte, netip.AddrPort, netip.AddrPort, bool) {
	src := netip.IPv4Unspecified()
	if m.ClientIP.IsValid() {
		src = m.ClientIP
	}
	dst := limitedBroadcast
	if server.IsValid() {
		dst = server
	}
	c.counters.Sent++
	return m.Append(buf, nil), netip.AddrPortFrom(src, ClientPort), netip.AddrPortFrom(dst, ServerPort), true
}

// message begins a message with what all of a kind have. DECLINE and RELEASE carry neither
// parameter list nor size (RFC 2131, table 5).
func (c *Client) message(t MessageType) *Message {
	m := &Message{Op: BootRequest, MAC: c.c.MAC, Type: t, ClientID: c.c.ClientID}
	if t == Decline || t == Release {
		return m
	}
	m.Hostname, m.Params, m.MaxSize = c.c.Hostname, params, ourMaxSize
	m.Broadcast = c.c.Broadcast && c.state < StateBound
	return m
}

// seconds is a duration for the field secs, which stays at its greatest value.
func seconds(d time.Duration) uint16 {
	return uint16(min(max(d/time.Second, 0), 0xffff))
}

package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/understudy-net/understudy/wire"
)

// The ports of RFC 2131, 4.1.
const (
	ServerPort = 67
	ClientPort = 68
)

// Op tells requests from replies (field op).
type Op uint8

// The values of op.
const (
	BootRequest Op = 1
	BootReply   Op = 2
)

// String prints the name that RFC 2131 uses.
func (o Op) String() string {
	switch o {
	case BootRequest:
		return "BOOTREQUEST"
	case BootReply:
		return "BOOTREPLY"
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// MessageType is the kind of a message (option 53; RFC 2132, 9.6).
type MessageType uint8

// The kinds of messages.
const (
	Discover MessageType = 1 + iota
	Offer
	Request
	Decline
	Ack
	Nak
	Release
	Inform
)

var typeNames = [...]string{"DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPDECLINE", "DHCPACK", "DHCPNAK", "DHCPRELEASE", "DHCPINFORM"}

// String prints the name that RFC 2131 uses, or the number of an unknown kind.
func (t MessageType) String() string {
	if t >= Discover && t <= Inform {
		return typeNames[t-1]
	}
	return fmt.Sprintf("dhcp(%d)", uint8(t))
}

// Infinite as a lease time means for ever (RFC 2131, 3.3).
const Infinite = 0xffffffff

// Bounds of what is read and kept.
const (
	minLen   = 240  // fixed fields and magic cookie
	padLen   = 300  // what old servers and relays want at least (RFC 1542, 2.1)
	maxLen   = 1500 // longer messages are not read
	maxAddrs = 8    // addresses kept of a list
	maxName  = 255
)

// The ways in which [Parse] fails.
var (
	ErrShort   = errors.New("dhcp: message or option too short")
	ErrInvalid = errors.New("dhcp: invalid field")
)

// Message is a DHCP message (RFC 2131, 2) with the options of RFC 2132 that this package knows.
// Addresses that are 0.0.0.0 on the wire, and options that are not there, are zero values.
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|     op (1)    |   htype (1)   |   hlen (1)    |   hops (1)    |
//	+---------------+---------------+---------------+---------------+
//	|                            xid (4)                            |
//	+-------------------------------+-------------------------------+
//	|           secs (2)            |           flags (2)           |
//	+-------------------------------+-------------------------------+
//	|   ciaddr (4), yiaddr (4), siaddr (4), giaddr (4), chaddr (16)
//	+---------------------------------------------------------------+
//	|   sname (64), file (128), magic cookie (4), options
//	+---------------------------------------------------------------+
type Message struct {
	Op        Op
	Hops      uint8
	XID       uint32
	Secs      uint16
	Broadcast bool       // the BROADCAST flag: the client cannot receive unicast yet
	ClientIP  netip.Addr // ciaddr
	YourIP    netip.Addr // yiaddr
	ServerIP  netip.Addr // siaddr
	GatewayIP netip.Addr // giaddr
	MAC       wire.MAC   // chaddr; htype and hlen are always those of Ethernet

	Type        MessageType  // option 53
	Mask        netip.Addr   // 1
	Routers     []netip.Addr // 3, at most 8, like all lists
	DNS         []netip.Addr // 6
	Hostname    string       // 12
	Domain      string       // 15
	NTP         []netip.Addr // 42
	RequestedIP netip.Addr   // 50
	LeaseTime   uint32       // 51, seconds; Infinite is for ever
	ServerID    netip.Addr   // 54
	Params      []byte       // 55: the options that the client asks for
	Text        string       // 56: why, in a NAK or DECLINE
	MaxSize     uint16       // 57
	T1, T2      uint32       // 58 and 59, seconds
	ClientID    []byte       // 61
	Routes      []Route      // 121, at most 8
	HasRoutes   bool         // 121 is there, even if none of its routes is of use
}

// Route is a classless static route (RFC 3442).
type Route struct {
	To  netip.Prefix
	Via netip.Addr
}

var magicCookie = [4]byte{99, 130, 83, 99}

// Parse reads a message. The result keeps nothing of b. It is [ErrShort] if a length points past
// the end, [ErrInvalid] if the message is not DHCP over Ethernet, has no usable message type, or an option of fixed length has
// another one.
func Parse(b []byte) (Message, error) {
	if len(b) < minLen {
		return Message{}, ErrShort
	}
	if len(b) > maxLen || b[1] != 1 || b[2] != 6 || [4]byte(b[236:240]) != magicCookie {
		return Message{}, ErrInvalid
	}
	m := Message{
		Op:        Op(b[0]),
		Hops:      b[3],
		XID:       binary.BigEndian.Uint32(b[4:8]),
		Secs:      binary.BigEndian.Uint16(b[8:10]),
		Broadcast: b[10]&0x80 != 0,
		ClientIP:  addrOf(b[12:16]),
		YourIP:    addrOf(b[16:20]),
		ServerIP:  addrOf(b[20:24]),
		GatewayIP: addrOf(b[24:28]),
		MAC:       wire.MAC(b[28:34]),
	}
	if m.Op != BootRequest && m.Op != BootReply {
		return Message{}, ErrInvalid
	}
	fields, err := optionFields(b)
	if err != nil {
		return Message{}, err
	}
	if err := m.setOptions(fields); err != nil {
		return Message{}, err
	}
	return m, nil
}

// addrOf returns the address in four bytes, 0.0.0.0 as the zero Addr.
func addrOf(b []byte) netip.Addr {
	a := [4]byte(b)
	if a == [4]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom4(a)
}

// appendAddr appends four bytes, zeros for the zero Addr and whatever is not IPv4.
func appendAddr(b []byte, a netip.Addr) []byte {
	if !a.Is4() {
		return append(b, 0, 0, 0, 0)
	}
	v := a.As4()
	return append(b, v[:]...)
}

// Append appends the message to b, padded to 300 bytes. Options come in the order of the codes in order, the
// rest, if any, behind them; message type and server identifier always lead.
func (m *Message) Append(b []byte, order []byte) []byte {
	start := len(b)
	b = append(b, byte(m.Op), 1, 6, m.Hops)
	b = binary.BigEndian.AppendUint32(b, m.XID)
	b = binary.BigEndian.AppendUint16(b, m.Secs)
	var flags byte
	if m.Broadcast {
		flags = 0x80
	}
	b = append(b, flags, 0)
	b = appendAddr(b, m.ClientIP)
	b = appendAddr(b, m.YourIP)
	b = appendAddr(b, m.ServerIP)
	b = appendAddr(b, m.GatewayIP)
	b = append(b, m.MAC[:]...)
	for len(b) < start+236 {
		b = append(b, 0)
	}
	b = append(b, magicCookie[:]...)
	b = m.appendOptions(b, order)
	b = append(b, optEnd)
	for len(b) < start+padLen {
		b = append(b, 0)
	}
	return b
}

// String prints the message as one line.
func (m *Message) String() string {
	s := fmt.Sprintf("%v xid %08x %v", m.Type, m.XID, m.MAC)
	for _, f := range []struct {
		name string
		addr netip.Addr
	}{
		{"ciaddr", m.ClientIP}, {"yiaddr", m.YourIP}, {"giaddr", m.GatewayIP},
		{"requested", m.RequestedIP}, {"server", m.ServerID},
	} {
		if f.addr.IsValid() {
			s += fmt.Sprintf(" %s %v", f.name, f.addr)
		}
	}
	if m.LeaseTime == Infinite {
		s += " lease for ever"
	} else if m.LeaseTime != 0 {
		s += fmt.Sprintf(" lease %d s", m.LeaseTime)
	}
	return s
}

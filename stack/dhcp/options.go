package dhcp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Option codes (RFC 2132; 121 is RFC 3442).
const (
	optPad        = 0
	optMask       = 1
	optRouters    = 3
	optDNS        = 6
	optHostname   = 12
	optDomain     = 15
	optNTP        = 42
	optRequested  = 50
	optLeaseTime  = 51
	optOverload   = 52
	optType       = 53
	optServerID   = 54
	optParams     = 55
	optText       = 56
	optMaxSize    = 57
	optT1         = 58
	optT2         = 59
	optClientID   = 61
	optRoutes     = 121
	optEnd        = 255
	maxOptionData = 255
)

// fields are the areas of a message that hold options, in the order in which RFC 3396, 5 joins them:
// options, file, sname.
type fields [3][]byte

// optionFields finds the option areas of the message b and checks that every option in
// them stays inside. The overload option (RFC 2132, 9.3) counts in the first area only.
func optionFields(b []byte) (fields, error) {
	f := fields{b[minLen:]}
	if err := check(f[0]); err != nil {
		return fields{}, err
	}
	over := f.get(optOverload)
	if over == nil {
		return f, nil
	}
	if len(over) != 1 || over[0] < 1 || over[0] > 3 {
		return fields{}, ErrInvalid
	}
	if over[0]&1 != 0 {
		f[1] = b[108:236] // file
	}
	if over[0]&2 != 0 {
		f[2] = b[44:108] // sname
	}
	if err := check(f[1]); err != nil {
		return fields{}, err
	}
	return f, check(f[2])
}

// next splits the first option off b; pads are skipped. It ends at the end option or with b; then
// rest is nil and code 0. It is not ok if a length leads past the end.
func next(b []byte) (code byte, data, rest []byte, ok bool) {
	for len(b) > 0 && b[0] == optPad {
		b = b[1:]
	}
	if len(b) == 0 || b[0] == optEnd {
		return optPad, nil, nil, true
	}
	if len(b) < 2 || 2+int(b[1]) > len(b) {
		return optPad, nil, nil, false
	}
	n := 2 + int(b[1])
	return b[0], b[2:n], b[n:], true
}

func check(b []byte) error {
	for len(b) > 0 {
		_, _, rest, ok := next(b)
		if !ok {
			return ErrShort
		}
		b = rest
	}
	return nil
}

// get returns the data of an option, joined if it comes in pieces (RFC 3396, 7), and nil if it
// is not there. The areas were checked.
func (f *fields) get(code byte) []byte {
	var found []byte
	joined := false
	for _, b := range f {
		for len(b) > 0 {
			c, data, rest, _ := next(b)
			b = rest
			if c != code {
				continue
			}
			switch {
			case found == nil:
				found = data
			case !joined:
				found = append(append([]byte(nil), found...), data...)
				joined = true
			default:
				found = append(found, data...)
			}
		}
	}
	return found
}

// setOptions reads all options that Message has fields for.
func (m *Message) setOptions(f fields) error {
	kind := f.get(optType)
	if len(kind) != 1 || kind[0] < byte(Discover) || kind[0] > byte(Inform) {
		return ErrInvalid
	}
	m.Type = MessageType(kind[0])
	for _, o := range []struct {
		code byte
		addr *netip.Addr
	}{{optMask, &m.Mask}, {optRequested, &m.RequestedIP}, {optServerID, &m.ServerID}} {
		if data := f.get(o.code); data != nil {
			if len(data) != 4 {
				return ErrInvalid
			}
			*o.addr = netip.AddrFrom4([4]byte(data))
		}
	}
	for _, o := range []struct {
		code byte
		secs *uint32
	}{{optLeaseTime, &m.LeaseTime}, {optT1, &m.T1}, {optT2, &m.T2}} {
		if data := f.get(o.code); data != nil {
			if len(data) != 4 {
				return ErrInvalid
			}
			*o.secs = binary.BigEndian.Uint32(data)
		}
	}
	if data := f.get(optMaxSize); len(data) == 2 {
		m.MaxSize = binary.BigEndian.Uint16(data)
	}
	m.Routers, m.DNS, m.NTP = addrs(f.get(optRouters)), addrs(f.get(optDNS)), addrs(f.get(optNTP))
	m.Hostname, m.Domain, m.Text = name(f.get(optHostname)), name(f.get(optDomain)), name(f.get(optText))
	m.Params, m.ClientID = bounded(f.get(optParams)), bounded(f.get(optClientID))
	if data := f.get(optRoutes); data != nil {
		m.Routes, m.HasRoutes = routes(data), true
	}
	return nil
}

// addrs reads the whole addresses of a list, at most maxAddrs. Zero addresses have no sense and are left out.
func addrs(data []byte) []netip.Addr {
	var list []netip.Addr
	for ; len(data) >= 4 && len(list) < maxAddrs; data = data[4:] {
		if a := addrOf(data[:4]); a.IsValid() {
			list = append(list, a)
		}
	}
	return list
}

// name copies a text up to its first NUL, with question marks for whatever is not printable
// ASCII, so that it may be shown as it is.
func name(data []byte) string {
	data = data[:min(len(data), maxName)]
	s := make([]byte, 0, len(data))
	for _, c := range data {
		if c == 0 {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		s = append(s, c)
	}
	return string(s)
}

func bounded(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	return append([]byte(nil), data[:min(len(data), maxOptionData)]...)
}

// routes reads option 121: width, as many bytes of the network as the width needs, router (RFC 3442). It stops at
// the first entry that is not well formed.
func routes(data []byte) []Route {
	var list []Route
	for len(data) > 0 && len(list) < maxAddrs {
		width := int(data[0])
		n := 1 + (width+7)/8
		if width > 32 || n+4 > len(data) {
			break
		}
		var net [4]byte
		copy(net[:], data[1:n])
		to := netip.PrefixFrom(netip.AddrFrom4(net), width)
		list = append(list, Route{to.Masked(), netip.AddrFrom4([4]byte(data[n : n+4]))})
		data = data[n+4:]
	}
	return list
}

// maskBits returns the length of a contiguous subnet mask.
func maskBits(mask netip.Addr) (int, bool) {
	if !mask.Is4() {
		return 0, false
	}
	b := mask.As4()
	v := binary.BigEndian.Uint32(b[:])
	n := bits.LeadingZeros32(^v)
	return n, v<<n == 0
}

// maskOf returns the subnet mask of a prefix.
func maskOf(p netip.Prefix) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], ^uint32(0)<<(32-max(p.Bits(), 0)))
	return netip.AddrFrom4(b)
}

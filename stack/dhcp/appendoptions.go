package dhcp

import (
	"encoding/binary"
	"net/netip"
)

// appendOptions appends those options that are set: type and server identifier, then
// those of order, then the rest. The mask always stands before the routers (RFC 2132, 3.3).
func (m *Message) appendOptions(b []byte, order []byte) []byte {
	var done [256]bool
	put := func(code byte) {
		if !done[code] {
			done[code] = true
			b = m.appendOption(b, code)
		}
	}
	put(optType)
	put(optServerID)
	for _, codes := range [][]byte{order, allOptions} {
		for _, code := range codes {
			if code == optRouters || code == optRoutes {
				put(optMask)
			}
			put(code)
		}
	}
	return b
}

// allOptions are the options that Message has fields for.
var allOptions = []byte{
	optClientID, optRequested, optLeaseTime, optT1, optT2, optMask, optRoutes, optRouters, optDNS,
	optDomain, optNTP, optHostname, optMaxSize, optText, optParams,
}

// appendOption appends one option if it is set.
func (m *Message) appendOption(b []byte, code byte) []byte {
	switch code {
	case optType:
		return append(b, code, 1, byte(m.Type))
	case optMask:
		return appendAddrOption(b, code, m.Mask)
	case optServerID:
		return appendAddrOption(b, code, m.ServerID)
	case optRequested:
		return appendAddrOption(b, code, m.RequestedIP)
	case optRouters:
		return appendAddrs(b, code, m.Routers)
	case optDNS:
		return appendAddrs(b, code, m.DNS)
	case optNTP:
		return appendAddrs(b, code, m.NTP)
	case optHostname:
		return appendData(b, code, []byte(m.Hostname))
	case optDomain:
		return appendData(b, code, []byte(m.Domain))
	case optText:
		return appendData(b, code, []byte(m.Text))
	case optParams:
		return appendData(b, code, m.Params)
	case optClientID:
		return appendData(b, code, m.ClientID)
	case optLeaseTime:
		return appendSeconds(b, code, m.LeaseTime)
	case optT1:
		return appendSeconds(b, code, m.T1)
	case optT2:
		return appendSeconds(b, code, m.T2)
	case optMaxSize:
		if m.MaxSize != 0 {
			b = binary.BigEndian.AppendUint16(append(b, code, 2), m.MaxSize)
		}
	case optRoutes:
		return m.appendRoutes(b)
	}
	return b
}

func appendAddrOption(b []byte, code byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	return appendAddr(append(b, code, 4), a)
}

func appendAddrs(b []byte, code byte, list []netip.Addr) []byte {
	list = list[:min(len(list), maxAddrs)]
	if len(list) == 0 {
		return b
	}
	b = append(b, code, byte(4*len(list)))
	for _, a := range list {
		b = appendAddr(b, a)
	}
	return b
}

func appendSeconds(b []byte, code byte, v uint32) []byte {
	if v == 0 {
		return b
	}
	return binary.BigEndian.AppendUint32(append(b, code, 4), v)
}

func appendData(b []byte, code byte, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	data = data[:min(len(data), maxOptionData)]
	return append(append(b, code, byte(len(data))), data...)
}

func (m *Message) appendRoutes(b []byte) []byte {
	if len(m.Routes) == 0 && !m.HasRoutes {
		return b
	}
	b = append(b, optRoutes, 0)
	at := len(b)
	for _, r := range m.Routes[:min(len(m.Routes), maxAddrs)] {
		width := max(r.To.Bits(), 0)
		b = append(b, byte(width))
		net := appendAddr(nil, r.To.Addr())
		b = append(b, net[:min((width+7)/8, 4)]...)
		b = appendAddr(b, r.Via)
	}
	b[at-1] = byte(len(b) - at)
	return b
}

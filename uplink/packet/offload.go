package packet

import (
	"encoding/binary"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/wire"
)

// The header of virtio-net (virtio 1.2, 5.1.6), in the byte order of the machine. It says what is left to do with a packet that
// never was on a wire, or was put together from several.
const (
	vnetLen = 10

	vnetNeedsChecksum = 1 // flags

	vnetWhole = 0    // types of joined packets
	vnetTCP4  = 1    // TCP over IPv4
	vnetUDP4  = 5    // UDP, over IPv4 or IPv6
	vnetECN   = 0x80 // a bit beside the type
)

type vnetHeader struct {
	flags, joined uint8
	size          int // bytes of payload of each packet that was joined
	start, offset int // the checksum covers from start, and stands offset behind it
}

// parseVNet reads the first vnetLen bytes of b. The length of headers among them is a hint only, and left out.
func parseVNet(b []byte) vnetHeader {
	u16 := func(i int) int { return int(binary.NativeEndian.Uint16(b[i:])) }
	return vnetHeader{flags: b[0], joined: b[1] &^ vnetECN, size: u16(4), start: u16(6), offset: u16(8)}
}

// finish adds to out the frames, as they would be on the wire, that b (a header and a packet) stands for. It reports
// false, and adds nothing, when it cannot make them. It writes to b.
func finish(out *frames.Batch, b []byte) bool {
	if len(b) < vnetLen {
		return false
	}
	h, frame := parseVNet(b), b[vnetLen:]
	switch h.joined {
	case vnetWhole:
		if h.flags&vnetNeedsChecksum != 0 && !fillChecksum(frame, h.start, h.offset) {
			return false
		}
		out.Append(frame)
		return true
	case vnetTCP4, vnetUDP4:
		return cut(out, frame, h.size)
	}
	return false
}

// fillChecksum completes a checksum whose field holds the sum of the pseudo header.
func fillChecksum(frame []byte, start, offset int) bool {
	if start+offset+2 > len(frame) {
		return false
	}
	sum := wire.Checksum(frame[start:])
	if sum == 0 && offset == 6 {
		sum = 0xffff // UDP: 0 would say that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(frame[start+offset:], sum)
	return true
}

// Where things are in the headers (RFC 791, RFC 9293, RFC 768).
const (
	ipLength, ipID, ipOffset, ipTTL, ipProto, ipChecksum = 2, 4, 6, 8, 9, 10
	tcpSeq, tcpDataOffset, tcpFlags, tcpChecksum         = 4, 12, 13, 16
	udpLength, udpChecksum                               = 4, 6

	flagFIN, flagPSH, flagCWR = 0x01, 0x08, 0x80
)

// cut adds to out the packets of size bytes of payload that were joined in frame.
func cut(out *frames.Batch, frame []byte, size int) bool {
	ip, head, end, ok := measure(frame)
	if !ok || size <= 0 {
		return false
	}
	payload := frame[head:end]
	for i, at := 0, 0; at < len(payload); i, at = i+1, at+size {
		piece := payload[at:min(at+size, len(payload))]
		p := out.Room(head + len(piece))
		copy(p, frame[:head])
		copy(p[head:], piece)
		finishPiece(p[wire.EthernetLen:], ip-wire.EthernetLen, i, at, at+len(piece) == len(payload))
		out.Commit(len(p))
	}
	return len(payload) > 0
}

// measure finds where the IP header of a joined packet ends, where its payload begins, and where it ends. It takes
// unfragmented TCP and UDP over IPv4 only.
func measure(frame []byte) (ip, head, end int, ok bool) {
	const eth = wire.EthernetLen
	if len(frame) < eth+wire.IPv4MinLen || wire.EtherType(binary.BigEndian.Uint16(frame[12:])) != wire.EtherTypeIPv4 || frame[eth]>>4 != 4 {
		return 0, 0, 0, false
	}
	ip = eth + int(frame[eth]&15)*4
	if ip < eth+wire.IPv4MinLen || binary.BigEndian.Uint16(frame[eth+ipOffset:])&0x3fff != 0 {
		return 0, 0, 0, false
	}
	switch wire.Proto(frame[eth+ipProto]) {
	case wire.ProtoTCP:
		if len(frame) < ip+wire.TCPMinLen {
			return 0, 0, 0, false
		}
		head = ip + int(frame[ip+tcpDataOffset]>>4)*4
		if head < ip+wire.TCPMinLen {
			return 0, 0, 0, false
		}
	case wire.ProtoUDP:
		head = ip + wire.UDPLen
	default:
		return 0, 0, 0, false
	}
	// The total length of more than 64 KiB would not fit its field, so what was read says it.
	return ip, head, len(frame), head <= len(frame)
}

// finishPiece writes what differs from packet to packet into the headers of packet i, whose payload begins at bytes
// behind that of the first one. p begins with the IP header, which is ihl long.
func finishPiece(p []byte, ihl, i, at int, last bool) {
	put := binary.BigEndian.PutUint16
	put(p[ipLength:], uint16(len(p)))
	put(p[ipID:], binary.BigEndian.Uint16(p[ipID:])+uint16(i))
	put(p[ipChecksum:], 0)
	put(p[ipChecksum:], wire.Checksum(p[:ihl]))
	t, proto := p[ihl:], wire.Proto(p[ipProto])
	sumAt := udpChecksum
	if proto == wire.ProtoTCP {
		sumAt = tcpChecksum
		binary.BigEndian.PutUint32(t[tcpSeq:], binary.BigEndian.Uint32(t[tcpSeq:])+uint32(at))
		if i > 0 {
			t[tcpFlags] &^= flagCWR // said once (RFC 3168, 6.1.2)
		}
		if !last {
			t[tcpFlags] &^= flagFIN | flagPSH
		}
	} else {
		put(t[udpLength:], uint16(len(t)))
	}
	put(t[sumAt:], 0)
	sum := ^wire.Fold(wire.Sum(wire.PseudoSum(proto, [4]byte(p[12:16]), [4]byte(p[16:20]), len(t)), t))
	if sum == 0 && proto == wire.ProtoUDP {
		sum = 0xffff
	}
	put(t[sumAt:], sum)
}

package stack

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// Bounds of reassembly (IP-14, IP-16).
const (
	fragTimeout       = 60 * time.Second // RFC 1122, 3.3.2: 60 to 120 s
	fragDatagrams     = 32
	fragPerSource     = fragDatagrams / 2
	fragPieces        = 256 // of one datagram; a full one of 65535 bytes at an MTU of 576 has 119
	defaultReassembly = 256 << 10
)

type fragKey struct {
	src, dst ip4
	id       uint16
	proto    wire.Proto
}

type fragPiece struct {
	from, to int
	data     []byte
}

// fragments is one datagram that is not complete.
type fragments struct {
	key    fragKey
	first  bool // the fragment with offset 0 is there, its header and first bytes in quote
	end    int  // total length, once the last fragment is there; else -1
	pieces []fragPiece
	got    int // bytes
	quote  []byte
	until  tcp.Instant
	srcMAC wire.MAC
	ttl    uint8
	group  bool
}

// reassembler holds incomplete datagrams, oldest first.
type reassembler struct {
	list  []*fragments
	bytes int
}

// inputFragment adds a fragment, and delivers the datagram if it is complete (RFC 791, 3.2; RFC
// 815).
func (s *Stack) inputFragment(now time.Time, p *packet, h *wire.IPv4) {
	s.stats.IP.Fragments++
	from, to := h.Offset, h.Offset+len(p.payload)
	switch {
	case len(p.payload) == 0, // F-08
		h.MF && len(p.payload)%8 != 0,             // F-07, IP-17
		to > wire.IPv4MaxLen-ipLen,                // F-01: what is longer than any packet
		h.Proto == wire.ProtoTCP && h.Offset == 8: // F-14: flags in a second fragment (RFC 3128)
		s.stats.IP.FragmentsBad++
		return
	}
	t := s.at(now)
	key := fragKey{p.src, p.dst, h.ID, h.Proto}
	f := s.fragmentsOf(t, key)
	if f == nil {
		return
	}
	switch ok, known := f.add(from, to, h.MF, p.payload); {
	case known:
		return // exactly the same once more
	case !ok:
		// Overlaps with other bounds or contents, or ends twice: nobody honest does that. All of it
		// goes, and the rest will not complete (IP-15; RFC 5722).
		s.stats.IP.FragmentsBad++
		s.frags.drop(f)
		return
	}
	s.frags.bytes += len(p.payload)
	if from == 0 {
		f.first, f.srcMAC, f.ttl, f.group = true, p.srcMAC, p.ttl, p.group
		f.quote = append(append(f.quote[:0], p.header...), p.payload[:min(8, len(p.payload))]...)
	}
	if f.end >= 0 && f.got == f.end {
		s.frags.drop(f)
		s.stats.IP.Reassembled++
		whole := packet{src: p.src, dst: p.dst, srcMAC: f.srcMAC, ttl: f.ttl, group: f.group, header: f.quote[:len(f.quote)-8], payload: f.join()}
		if f.end < 8 {
			s.stats.IP.FragmentsBad++
			return
		}
		s.deliver(now, &whole, h.Proto)
		return
	}
	s.boundFragments(f)
}

// fragmentsOf finds the datagram of key or begins it.
func (s *Stack) fragmentsOf(t tcp.Instant, key fragKey) *fragments {
	if s.frags == nil {
		s.frags = &reassembler{}
	}
	same := 0
	for _, f := range s.frags.list {
		if f.key == key {
			if f.until > t {
				return f
			}
			s.frags.drop(f) // F-15: never mix with one that is over
			break
		}
	}
	var oldest *fragments
	for _, f := range s.frags.list {
		if f.key.src == key.src {
			if same == 0 {
				oldest = f
			}
			same++
		}
	}
	switch {
	case same >= fragPerSource: // F-19: one source cannot take all
		s.stats.IP.FragmentsEvicted++
		s.frags.drop(oldest)
	case len(s.frags.list) >= fragDatagrams:
		s.stats.IP.FragmentsEvicted++
		s.frags.drop(s.frags.list[0])
	}
	f := &fragments{key: key, end: -1, until: t.Add(fragTimeout)}
	s.frags.list = append(s.frags.list, f)
	s.house(f.until)
	return f
}

// boundFragments keeps the bytes below the bound; the oldest leave, the newest one last.
func (s *Stack) boundFragments(newest *fragments) {
	limit := orInt(s.cfg.MaxReassembly, defaultReassembly)
	for s.frags.bytes > limit {
		f := s.frags.list[0]
		s.stats.IP.FragmentsEvicted++
		s.frags.drop(f)
		if f == newest {
			return
		}
	}
}

func (r *reassembler) drop(f *fragments) {
	for i, g := range r.list {
		if g == f {
			r.bytes -= f.got
			r.list = append(r.list[:i], r.list[i+1:]...)
			return
		}
	}
}

// add puts the bytes from..to in their place. known says that exactly this piece was there.
func (f *fragments) add(from, to int, more bool, b []byte) (ok, known bool) {
	if !more {
		if f.end >= 0 && f.end != to || len(f.pieces) > 0 && f.pieces[len(f.pieces)-1].to > to {
			return false, false // F-05, F-06
		}
	} else if f.end >= 0 && to > f.end {
		return false, false
	}
	i := 0
	for i < len(f.pieces) && f.pieces[i].to <= from {
		i++
	}
	if i < len(f.pieces) && f.pieces[i].from < to {
		p := &f.pieces[i]
		same := p.from == from && p.to == to && bytes.Equal(p.data, b)
		return same, same // F-02 to F-04
	}
	if len(f.pieces) >= fragPieces {
		return false, false // F-13
	}
	f.pieces = append(f.pieces, fragPiece{})
	copy(f.pieces[i+1:], f.pieces[i:])
	f.pieces[i] = fragPiece{from, to, bytes.Clone(b)} // memory for what arrives, not for what offsets claim
	f.got += to - from
	if !more {
		f.end = to
	}
	return true, false
}

// join puts the pieces of a complete datagram together.
func (f *fragments) join() []byte {
	b := make([]byte, 0, f.end)
	for _, p := range f.pieces {
		b = append(b, p.data...)
	}
	return b
}

// advanceFragments gives up on datagrams that did not become complete, and says so if the sender
// can be told which it was (IP-14).
func (s *Stack) advanceFragments(now time.Time, t tcp.Instant) {
	if s.frags == nil {
		return
	}
	for len(s.frags.list) > 0 {
		f := s.frags.list[0]
		if f.until > t {
			s.house(f.until)
			return
		}
		s.frags.drop(f)
		s.stats.IP.FragmentsTimeout++
		if f.first && len(f.quote) >= ipLen+8 {
			p := packet{src: f.key.src, dst: f.key.dst, group: f.group, header: f.quote[:len(f.quote)-8], payload: f.quote[len(f.quote)-8:]}
			s.stats.IP.ReassemblyTimeouts++
			s.sendICMPError(now, &p, wire.ICMP{Type: wire.ICMPTimeExceeded, Code: wire.ICMPReassemblyExceeded})
		}
	}
	s.frags = nil
}

// sendFragments sends a payload that does not fit in one packet (RFC 791, 3.2).
func (s *Stack) sendFragments(now time.Time, h ipHeader, payload []byte, link *wire.MAC) error {
	room := (s.cfg.MTU - ipLen) &^ 7
	b := s.frame()
	for off := 0; off < len(payload); off += room {
		n := min(room, len(payload)-off)
		h.frag = uint16(off / 8)
		if off+n < len(payload) {
			h.frag |= ipMF
		}
		copy(b[payStart:], payload[off:off+n])
		s.stats.IP.FragmentsSent++
		if err := s.sendIP(now, h, n, link); err != nil {
			return err
		}
	}
	return nil
}

// quoted reads the header and the first eight bytes of the packet that an ICMP error quotes
// (ICMP-8).
func quoted(b []byte) (h wire.IPv4, first []byte, ok bool) {
	if len(b) < ipLen || b[0]>>4 != 4 {
		return h, nil, false
	}
	hlen := int(b[0]&15) * 4
	if hlen < ipLen || len(b) < hlen+8 || binary.BigEndian.Uint16(b[6:8])&0x1fff != 0 {
		return h, nil, false // C-15: too short; nothing is known about later fragments
	}
	h.Proto = wire.Proto(b[9])
	return h, b[hlen:], true
}

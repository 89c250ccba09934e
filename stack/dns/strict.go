package dns

import "encoding/binary"

// headerLen is the length of a message's header (RFC 1035, 4.1.1).
const headerLen = 12

// Types that the strict reader looks into.
const (
	typeA     = 1
	typeCNAME = 5
	typeOPT   = 41
)

// wellFormed reports whether all names and records of the message b keep to the rules whose neglect
// RFC 9267 collects: labels inside the message, compression pointers that go backwards only, names of at
// most 255 bytes, record lengths inside the message and in accord with what they hold, no fewer records
// than announced, at most one OPT. dnsmessage reads on from there; it would
// follow forward pointers and does not compare the lengths of A and CNAME records.
func wellFormed(b []byte) bool {
	if len(b) < headerLen {
		return false
	}
	off, ok := headerLen, true
	for range binary.BigEndian.Uint16(b[4:]) {
		if off, ok = skipName(b, off); !ok || off+4 > len(b) {
			return false
		}
		off += 4
	}
	records := 0
	for i := 6; i < headerLen; i += 2 {
		records += int(binary.BigEndian.Uint16(b[i:]))
	}
	opts := 0
	for range records { // each turn consumes 11 bytes at least, or ends
		kind, next, ok := skipRecord(b, off)
		if !ok {
			return false
		}
		if kind == typeOPT {
			opts++
		}
		off = next
	}
	return opts <= 1
}

// skipRecord checks the record at off and returns its type and where it ends.
func skipRecord(b []byte, off int) (kind uint16, end int, ok bool) {
	off, ok = skipName(b, off)
	if !ok || off+10 > len(b) {
		return 0, 0, false
	}
	kind = binary.BigEndian.Uint16(b[off:])
	data := off + 10
	end = data + int(binary.BigEndian.Uint16(b[off+8:]))
	if end > len(b) {
		return 0, 0, false
	}
	switch kind {
	case typeA:
		ok = end-data == 4
	case typeCNAME:
		var n int
		n, ok = skipName(b, data)
		ok = ok && n == end
	}
	return kind, end, ok
}

// skipName checks the name at off, with all that its pointers lead to, and returns where it ends in place.
func skipName(b []byte, off int) (end int, ok bool) {
	length, limit := 0, off // a pointer has to lead before limit
	for {
		if off >= len(b) {
			return 0, false
		}
		c := int(b[off])
		switch {
		case c == 0:
			if end == 0 {
				end = off + 1
			}
			return end, true
		case c < 0x40:
			length += 1 + c
			off += 1 + c
			if length > 254 { // and the root's byte: 255
				return 0, false
			}
		case c >= 0xc0:
			if off+2 > len(b) {
				return 0, false
			}
			to := int(binary.BigEndian.Uint16(b[off:])) & 0x3fff
			if end == 0 {
				end = off + 2
			}
			// To prior names only (RFC 1035, 4.1.4): each jump goes further back than the one before, so that is no
			// circle, and never into the header.
			if to >= limit || to < headerLen {
				return 0, false
			}
			off, limit = to, to
		default: // 0x40 and 0x80 are reserved
			return 0, false
		}
	}
}

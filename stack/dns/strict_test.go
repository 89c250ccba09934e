package dns

import (
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// message puts a header with the given counts before a body.
func message(qd, an, ns, ar uint16, body string) []byte {
	b := []byte{0, 7, 0x81, 0x80, byte(qd >> 8), byte(qd), byte(an >> 8), byte(an), byte(ns >> 8), byte(ns), byte(ar >> 8), byte(ar)}
	return append(b, body...)
}

const (
	exampleQ = "\x07example\x00\x00\x01\x00\x01"                                  // at 12, 13 bytes
	exampleA = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07" // pointer to the question
)

// The rows of hostile-inputs.md about names, lengths and counts; RFC 9267 has their history.
func TestR06ToR17_R21_WellFormed(t *testing.T) {
	record := func(name, typ, length, data string) []byte {
		return message(1, 1, 0, 0, exampleQ+name+typ+"\x00\x01\x00\x00\x00\x3c"+length+data)
	}
	cname, a, opt := "\x00\x05", "\x00\x01", "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
	label63 := "\x3f" + strings.Repeat("a", 63)
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"a good answer", message(1, 1, 0, 0, exampleQ+exampleA), true},
		{"unknown type and class", record("\xc0\x0c", "\xff\xff", "\x00\x03", "abc"), true},
		{"trailing bytes", message(1, 1, 0, 0, exampleQ+exampleA+"rest"), true},
		{"R-01 nothing", nil, false},
		{"R-01 11 bytes", message(0, 0, 0, 0, "")[:11], false},
		{"R-06 65535 answers, none there", message(1, 65535, 0, 0, exampleQ), false},
		{"R-06 65535 answers, one there", message(1, 65535, 0, 0, exampleQ+exampleA), false},
		{"R-06 65535 questions", message(65535, 0, 0, 0, exampleQ), false},
		{"R-06 additional records that are not there", message(1, 1, 0, 1, exampleQ+exampleA), false},
		{"R-07 pointer to itself", message(1, 0, 0, 0, "\xc0\x0c\x00\x01\x00\x01"), false},
		{"R-08 two pointers to each other", message(2, 0, 0, 0, "\xc0\x12\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01"), false},
		{"R-08 chain of 100, each one back", chain(100), true},
		{"R-09 pointer forwards", record("\xc0\x30", a, "\x00\x04", "\xc0\x00\x02\x07"+strings.Repeat("\x00", 20)), false},
		{"R-09 pointer past the end", record("\xff\xff", a, "\x00\x04", "\xc0\x00\x02\x07"), false},
		{"R-09 pointer into the header", record("\xc0\x02", a, "\x00\x04", "\xc0\x00\x02\x07"), false},
		{"R-09 c0 as the last byte", message(1, 1, 0, 0, exampleQ+"\xc0"), false},
		{"R-10 pointer into a label that reads as a name", message(2, 0, 0, 0, "\x03\x01a\x00\x00\x00\x01\x00\x01\xc0\x0d\x00\x01\x00\x01"), true},
		{"R-10 pointer into a label, no name there", record("\xc0\x0d", a, "\x00\x04", "\xc0\x00\x02\x07"), false},
		{"R-11 label of type 0x40", message(1, 0, 0, 0, "\x40"+strings.Repeat("a", 64)+"\x00\x00\x01\x00\x01"), false},
		{"R-11 label of type 0x80", message(1, 0, 0, 0, "\x80a\x00\x00\x01\x00\x01"), false},
		{"R-12 label longer than the rest", message(1, 0, 0, 0, "\x3fabc"), false},
		{"R-13 no final zero", message(1, 0, 0, 0, "\x07example"), false},
		{"R-13 no type after the name", message(1, 0, 0, 0, "\x07example\x00\x00"), false},
		{"R-14 name of 255 bytes", message(1, 0, 0, 0, label63+label63+label63+"\x3d"+strings.Repeat("b", 61)+"\x00\x00\x01\x00\x01"), true},
		{"R-14 name of 256 bytes", message(1, 0, 0, 0, label63+label63+label63+"\x3e"+strings.Repeat("b", 62)+"\x00\x00\x01\x00\x01"), false},
		{"R-14 name too long by a pointer", message(2, 0, 0, 0, label63+label63+label63+"\x00\x00\x01\x00\x01"+label63+"\xc0\x0c\x00\x01\x00\x01"), false},
		{"R-15 A of length 0", record("\xc0\x0c", a, "\x00\x00", ""), false},
		{"R-15 A of length 3", record("\xc0\x0c", a, "\x00\x03", "abc"), false},
		{"R-15 A of length 5", record("\xc0\x0c", a, "\x00\x05", "abcde"), false},
		{"R-15 R-16 A of length 65535", record("\xc0\x0c", a, "\xff\xff", "abcd"), false},
		{"R-16 length one beyond the end", record("\xc0\x0c", "\x00\x10", "\x00\x05", "abcd"), false},
		{"R-16 record ends in its header", record("\xc0\x0c", a, "\x00", ""), false},
		{"R-17 CNAME longer than its name", record("\xc0\x0c", cname, "\x00\x04", "\x01a\x00x"), false},
		{"R-17 CNAME shorter than its name", record("\xc0\x0c", cname, "\x00\x02", "\x01a\x00"), false},
		{"CNAME in order", record("\xc0\x0c", cname, "\x00\x03", "\x01a\x00"), true},
		{"R-21 one OPT", message(1, 0, 0, 1, exampleQ+opt), true},
		{"R-21 two OPTs", message(1, 0, 0, 2, exampleQ+opt+opt), false},
	} {
		if wellFormed(tt.b) != tt.want {
			t.Errorf("%s: well formed %v, want %v", tt.name, !tt.want, tt.want)
		}
	}
}

// chain makes a message of n questions, each name a pointer to the one before.
func chain(n int) []byte {
	body, at := "\x01a\x00\x00\x01\x00\x01", 12
	for i := range n - 1 {
		next := 12 + len(body)
		body += string([]byte{0xc0 | byte(at>>8), byte(at)}) + "\x00\x01\x00\x01"
		at = next
		_ = i
	}
	return message(uint16(n), 0, 0, 0, body)
}

// What the strict reader lets through, dnsmessage can read, but for dots inside of labels and longer chains
// of pointers than it follows.
func FuzzWellFormed(f *testing.F) {
	f.Add(message(1, 1, 0, 0, exampleQ+exampleA))
	f.Add(message(1, 0, 0, 1, exampleQ+"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"))
	f.Add(chain(5))
	f.Fuzz(func(t *testing.T, b []byte) {
		ok := wellFormed(b)
		var p dnsmessage.Parser
		if _, err := p.Start(b); err != nil {
			if ok {
				t.Fatalf("well formed, but %v", err)
			}
			return
		}
		q, err := p.Question()
		if err != nil {
			return
		}
		a := read(b, &q.Name)
		if a.err == nil && !a.truncated && (!ok || len(a.addrs) == 0 || len(a.addrs) > maxAddrs || a.ttl < 0 || a.ttl > maxTTL) {
			t.Fatalf("well formed %v, answer %+v", ok, a)
		}
	})
}

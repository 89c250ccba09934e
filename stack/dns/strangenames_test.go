package dns

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// aliased is an answer to the query for "example": an alias to target, and an address of owner. Both are names of
// a message as they are, whatever bytes they have.
func aliased(q sentQuery, target, owner string) []byte {
	const in60 = "\x00\x01\x00\x00\x00\x3c"
	b := message(1, 2, 0, 0, exampleQ+
		"\xc0\x0c\x00\x05"+in60+string([]byte{0, byte(len(target))})+target+
		owner+"\x00\x01"+in60+"\x00\x04\xc6\x33\x64\x01")
	binary.BigEndian.PutUint16(b, q.id)
	return b
}

// names are compared by their bytes, ASCII letters without their case, and nothing else is read into them.
func TestR27_StrangeNames(t0 *testing.T) {
	for _, tt := range []struct {
		what, target, owner string
		err                 error
	}{
		{"upper case", "\x03wWw\x00", "\x03WwW\x00", nil},
		{"NUL, backslash, 0xff", "\x05a\x00\\\xffb\x00", "\x05A\x00\\\xffB\x00", nil},
		{"line end, escape", "\x04\r\n\x1b[\x00", "\x04\r\n\x1b[\x00", nil},
		{"NUL ends nothing", "\x03a\x00b\x00", "\x03a\x00c\x00", ErrNoData},
		{"no letters: [ and {", "\x01[\x00", "\x01{\x00", ErrNoData},
		{"no letters: @ and `", "\x01@\x00", "\x01`\x00", ErrNoData},
		{"no ASCII: C1 and E1", "\x01\xc1\x00", "\x01\xe1\x00", ErrNoData},
		{"a dot inside of a label", "\x03a.b\x00", "\x01a\x01b\x00", ErrBadAnswer},
	} {
		t := newResolverTest(t0, ResolverConfig{})
		t.resolve("example")
		q := t.want(tt.what, "example")
		t.reply(q, aliased(q, tt.target, tt.owner))
		if tt.err != nil {
			t.wantError(tt.what, tt.err)
		} else {
			t.wantResult(tt.what, addr1)
		}
		t.resolve("www.example.com")
		q = t.want(tt.what+": the next name", "www.example.com")
		t.reply(q, answerWith(q, 0, rr{"www.example.com", "198.51.100.2", 60}))
		t.wantResult(tt.what+": the next name", addr2)
	}
}

// what is printed of a name has no byte that a terminal or a log would act on.
func TestR27_ErrorsQuoteNames(t *testing.T) {
	s := (&Error{Name: "a\x00b\n\x1b[31m\xff", Err: ErrInvalidName}).Error()
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			t.Errorf("%q", s)
			break
		}
	}
	if s := (&Error{Name: strings.Repeat("x", 10000), Err: ErrInvalidName}).Error(); len(s) > 400 {
		t.Errorf("%d bytes", len(s))
	}
}

// a server and a forwarder answer for strange names too, and ask nobody for them.
func TestR27_StrangeQuestions(t *testing.T) {
	for _, name := range []string{"a\x00b", "a\\b", "\xff", "a b", "\n"} {
		q := ask(name, dnsmessage.TypeA, dnsmessage.ClassINET, 0)
		b, ok := newServer(t).Reply(nil, q)
		if !ok {
			t.Errorf("%q: no answer", name)
		} else if h, _ := show(t, b); h.RCode != dnsmessage.RCodeNameError {
			t.Errorf("%q: %v", name, h.RCode)
		}
		f := NewForwarder(ForwarderConfig{})
		f.Input(t0, client1, q)
		wantReply(t, f, t0, client1, dnsmessage.RCodeNameError)
		wantQuiet(t, f, t0)
	}
}

// addresses that make no sense are given as they came, so that those who care (updates) can see and refuse them; they
// are used for nothing here.
func TestR28_SenselessAddresses(t0 *testing.T) {
	for _, a := range []string{"0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1", "10.0.0.1"} {
		t := newResolverTest(t0, ResolverConfig{})
		t.resolve("www.example")
		q := t.want(a, "www.example")
		t.reply(q, answerWith(q, 0, rr{"www.example", a, 60}))
		t.wantResult(a, netip.MustParseAddr(a))
		t.resolve("ftp.example")
		if q := t.want(a+": the next", "ftp.example"); q.to != server1 {
			t.Errorf("%s: the next name is asked of %v", a, q.to)
		}
	}
}

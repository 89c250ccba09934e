package dhcp

import (
	"bytes"
	"reflect"
	"testing"
)

// withOptions appends an answer that has further options behind its own.
func withOptions(m *sent, typ MessageType, options string) []byte {
	a := answerTo(m, typ)
	b := bytes.TrimRight(a.Append(nil, nil), "\x00") // padding
	b = b[:len(b)-1]                                 // the end option
	return append(append(b, options...), 0xff)
}

// D-15, D-20: vendor options (43) whose inside lies about its lengths, and an interface MTU (26), are for the caller's eyes at
// most: the lease is what it would have been.
func TestD15_D20_OptionsThatAreNotUsed(t0 *testing.T) {
	plain := newClientTest(t0, ClientConfig{}).bind(nil).Lease
	for name, o := range map[string]string{
		"D-15 inner length beyond the option":   "\x2b\x03\x01\xff\x00",
		"D-15 inner length beyond the message":  "\x2b\x02\x01\xff",
		"D-15 inner option without length":      "\x2b\x01\x01",
		"D-15 empty":                            "\x2b\x00",
		"D-15 looks like a message type (NAK)":  "\x2b\x03\x35\x01\x06",
		"D-15 end inside":                       "\x2b\x04\xff\xff\xff\xff",
		"D-20 MTU 0":                            "\x1a\x02\x00\x00",
		"D-20 MTU 67":                           "\x1a\x02\x00\x43",
		"D-20 MTU 65535":                        "\x1a\x02\xff\xff",
		"D-20 MTU of length 0":                  "\x1a\x00",
		"D-20 MTU of length 4":                  "\x1a\x04\x00\x00\x05\xdc",
		"D-15, D-20 both, one after the other":  "\x2b\x02\x01\xff\x1a\x02\x00\x00",
		"D-15 split in two, the second lies on": "\x2b\x02\x01\x04\x2b\x01\x00",
	} {
		t := newClientTest(t0, ClientConfig{})
		t.c.Start(t.now)
		t.c.Input(t.now, withOptions(t.want(name, Discover), Offer, o))
		t.wantState(name, StateRequesting)
		t.c.Input(t.now, withOptions(t.want(name, Request), Ack, o))
		t.wantState(name, StateBound)
		if l := t.wantEvent(name, EventBound, nil).Lease; !reflect.DeepEqual(l, plain) {
			t.Errorf("%s: lease %+v, want %+v", name, l, plain)
		}
		if c := t.c.Counters(); c.Malformed != 0 || c.Received != 2 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	// An option that is longer than the message is not one.
	t := newClientTest(t0, ClientConfig{})
	t.c.Start(t.now)
	d := t.want("start", Discover)
	b := withOptions(d, Offer, "\x2b\xff\x01")
	t.c.Input(t.now, b[:len(b)-1])
	t.wantState("D-15 option 43 beyond the message", StateSelecting)
	if c := t.c.Counters(); c.Malformed != 1 {
		t.Errorf("%+v", c)
	}
	t.reply(d, Offer, nil)
	t.wantState("a good one later", StateRequesting)
}

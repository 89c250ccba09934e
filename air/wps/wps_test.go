package wps

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/understudy-net/understudy/wire"
)

var (
	staMAC = wire.MAC{2, 0, 0, 0, 0, 1}
	apMAC  = wire.MAC{2, 0, 0, 0, 0, 2}
	home   = Credential{SSID: "home", Key: "correct horse"}
)

// pair makes both ends.
func pair(enrolleePIN, registrarPIN string, give Credential) (*Enrollee, *Registrar) {
	e := NewEnrollee(Device{MAC: staMAC, UUID: UUID(staMAC), Name: "lamp", Manufacturer: "m", Model: "x"}, enrolleePIN, rand.NewPCG(1, 2))
	r := NewRegistrar(RegistrarConfig{
		Me: Device{MAC: apMAC, UUID: UUID(apMAC), Name: "ap"}, Enrollee: staMAC, PIN: registrarPIN, Network: give, Rand: rand.NewPCG(3, 4),
	})
	return e, r
}

// run lets them talk. change may spoil each packet, of which n counts all.
func run(t *testing.T, e *Enrollee, r *Registrar, change func(n int, b []byte) []byte) (packets int) {
	t.Helper()
	for ; packets < 60; packets += 2 {
		answer := e.Receive(change(packets, bytes.Clone(r.Last())))
		if r.Over() || answer == nil {
			return packets + 1
		}
		if !r.Receive(change(packets+1, bytes.Clone(answer))) {
			return packets + 2
		}
	}
	t.Fatal("they talk for ever")
	return 0
}

func same(_ int, b []byte) []byte { return b }

func TestHandingOver(t *testing.T) {
	hexKey := hex.EncodeToString(make([]byte, 32))
	for name, tc := range map[string]struct {
		pin  string
		give Credential
	}{
		"by button":      {"", home},
		"by PIN":         {"12345670", home},
		"an open one":    {"", Credential{SSID: "café"}},
		"by its key":     {"", Credential{SSID: "home", Key: hexKey}},
		"odd characters": {"", Credential{SSID: "\x00\xff", Key: "pässwörd"}},
	} {
		e, r := pair(tc.pin, tc.pin, tc.give)
		n := run(t, e, r, same)
		got, ok := e.Credential()
		tc.give.MAC = staMAC
		if !ok || got != tc.give || !r.Done() || !r.Over() || !e.Over() || e.Err() != nil || r.Err() != nil {
			t.Errorf("%s: %+v %v, %v %v %v %v", name, got, ok, r.Done(), e.Over(), e.Err(), r.Err())
		}
		if n != 13 { // identity, start, M1 to M8, done, failure
			t.Errorf("%s: %d packets", name, n)
		}
	}
}

// Wrong passwords fail where they differ: in the first half at M4, in the second at M6.
func TestWrongPINs(t *testing.T) {
	for name, tc := range map[string]struct {
		enrollee, registrar string
		ends                error // of the enrollee
		packets             int
	}{
		"first half":          {"12345670", "02345673", ErrPassword, 9},
		"second half":         {"12345670", "12340002", ErrPassword, 11},
		"a button and a PIN":  {"", "12345670", ErrRefused, 7},
		"a PIN and no button": {"12345670", "", ErrRefused, 7},
	} {
		e, r := pair(tc.enrollee, tc.registrar, home)
		n := run(t, e, r, same)
		if _, ok := e.Credential(); ok || r.Done() || !r.Over() || !e.Over() || !errors.Is(e.Err(), tc.ends) || r.Err() == nil || n != tc.packets {
			t.Errorf("%s: %v, %v, %d packets", name, e.Err(), r.Err(), n)
		}
	}
}

func TestOverlapIsSaid(t *testing.T) {
	e, r := pair("", "", home)
	r.check = func(uuid [16]byte) error {
		if uuid != UUID(staMAC) {
			t.Errorf("UUID %x", uuid)
		}
		return ErrOverlap
	}
	run(t, e, r, same)
	if e.Err() != ErrOverlap || r.Err() != ErrOverlap || !r.Over() {
		t.Error(e.Err(), r.Err())
	}
}

// What is lost is repeated: both ends answer a packet that comes twice as if it had come once.
func TestRepetitions(t *testing.T) {
	e, r := pair("", "", home)
	for range 30 {
		first := e.Receive(r.Last())
		second := e.Receive(r.Last())
		if !bytes.Equal(first, second) {
			t.Fatalf("%x, then %x", first, second)
		}
		if r.Over() {
			break
		}
		if !r.Receive(first) {
			t.Fatalf("%x is not taken", first)
		}
		if r.Receive(first) {
			t.Fatalf("%x is taken twice", first)
		}
	}
	if _, ok := e.Credential(); !ok || !r.Done() {
		t.Error(e.Err(), r.Err())
	}
}

// A byte changed anywhere, from M2 on, never ends in a network that nobody has given.
func TestTampering(t *testing.T) {
	e, r := pair("", "", home)
	var all [][]byte
	run(t, e, r, func(_ int, b []byte) []byte { all = append(all, b); return b })
	for n, p := range all {
		for at := 0; at < len(p); at += 1 + len(p)/40 {
			e, r := pair("", "", home)
			run(t, e, r, func(k int, b []byte) []byte {
				if k == n {
					b[at] ^= 0x11
				}
				return b
			})
			got, ok := e.Credential()
			if ok && (got.SSID != home.SSID || got.Key != home.Key) {
				t.Fatalf("packet %d, byte %d: %+v", n, at, got)
			}
			if n >= 5 && n < 11 && at > wscHeader && ok {
				t.Errorf("packet %d, byte %d: a change of an authenticated message is not seen", n, at)
			}
		}
	}
}

// Packets cut off anywhere end or are ignored.
func TestCutPackets(t *testing.T) {
	e, r := pair("", "", home)
	var all [][]byte
	run(t, e, r, func(_ int, b []byte) []byte { all = append(all, b); return b })
	for n, p := range all {
		for cut := range 20 {
			e, r := pair("", "", home)
			run(t, e, r, func(k int, b []byte) []byte {
				if k != n {
					return b
				}
				b = b[:len(p)*cut/20]
				if len(b) >= 4 {
					b[2], b[3] = byte(len(b)>>8), byte(len(b)) // and its length set right
				}
				return b
			})
			if _, ok := e.Credential(); ok && n < 10 {
				t.Fatalf("packet %d cut at %d/20", n, cut)
			}
		}
	}
}

// The group of RFC 3526, section 2: a safe prime made of π.
func TestGroup(t *testing.T) {
	if !prime.ProbablyPrime(4) || !new(big.Int).Rsh(prime, 1).ProbablyPrime(4) || prime.BitLen() != 1536 {
		t.Error("not a safe prime of 1536 bits")
	}
	for _, y := range []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(prime, big.NewInt(1)), prime, new(big.Int).Add(prime, big.NewInt(1))} {
		s := session{rand: rand.NewPCG(1, 1), password: buttonPassword}
		s.keyPair()
		if s.agree(y.FillBytes(make([]byte, publicLen))) == nil {
			t.Errorf("a key of which everyone knows the secret is taken: %.20v", y)
		}
	}
}

func TestCredentials(t *testing.T) {
	put := func(auth, enc uint16, ssid, key string) []byte {
		var l list
		l.text(attrSSID, ssid)
		l.u16(attrAuthType, auth)
		l.u16(attrEncryptionType, enc)
		l.text(attrNetworkKey, key)
		return l
	}
	for name, tc := range map[string]struct {
		b   []byte
		err error
	}{
		"WPA and WPA2":   {put(authWPA2PSK|authWPAPSK, cipherAES|cipherTKIP, "n", "12345678"), nil},
		"NUL at the end": {put(authWPA2PSK, cipherAES, "n", "12345678\x00"), nil},
		"WEP":            {put(authOpen, 2, "n", "12345"), ErrUnsupported},
		"802.1X":         {put(0x10, cipherAES, "n", ""), ErrUnsupported},
		"short key":      {put(authWPA2PSK, cipherAES, "n", "1234567"), ErrMalformed},
		"long key":       {put(authWPA2PSK, cipherAES, "n", string(make([]byte, 65))), ErrMalformed},
		"no SSID":        {put(authOpen, cipherNone, "", ""), ErrMalformed},
		"long SSID":      {put(authOpen, cipherNone, string(make([]byte, 33)), ""), ErrMalformed},
		"nothing":        {nil, ErrMalformed},
		"cut":            {put(authOpen, cipherNone, "n", "")[:9], ErrMalformed},
	} {
		if _, err := parseCredential(tc.b); err != tc.err {
			t.Errorf("%s: %v, want %v", name, err, tc.err)
		}
	}
}

func TestElements(t *testing.T) {
	other := []byte{221, 4, 0, 0x50, 0xf2, 2}
	for _, o := range []Offer{{true, PasswordButton}, {true, PasswordPIN}, {}} {
		if got := ParseOffer(append(bytes.Clone(other), o.Append(nil)...)); got != o {
			t.Errorf("%+v, want %+v", got, o)
		}
	}
	want := Request{UUID: UUID(staMAC), Password: PasswordButton}
	if got, ok := ParseProbe(want.AppendProbe(bytes.Clone(other))); !ok || got != want {
		t.Errorf("%+v %v", got, ok)
	}
	if !Requested(want.AppendAssociation(nil)) || Requested(other) || Requested((Offer{true, 4}).Append(nil)) || Requested(nil) {
		t.Error("association requests")
	}
}

func TestValidPIN(t *testing.T) {
	for pin, want := range map[string]bool{"12345670": true, "00000000": true, "12345671": false, "1234567": false, "123456700": false, "1234567x": false, "": false} {
		if ValidPIN(pin) != want {
			t.Error(pin)
		}
	}
}

// Anything, at any point: no panic, and no network.
func FuzzReceive(f *testing.F) {
	e, r := pair("", "", home)
	for n := range 7 {
		f.Add(uint8(n), r.Last(), true)
		a := e.Receive(r.Last())
		f.Add(uint8(n), a, false)
		r.Receive(a)
	}
	f.Fuzz(func(t *testing.T, n uint8, b []byte, toEnrollee bool) {
		e, r := pair("", "", home)
		for range n % 3 { // up to M1: the rest costs arithmetic
			r.Receive(e.Receive(r.Last()))
		}
		if toEnrollee {
			e.Receive(b)
		} else {
			r.Receive(b)
		}
		if _, ok := e.Credential(); ok || r.Done() {
			t.Fatal("handed over")
		}
		ParseOffer(b)
		ParseProbe(b)
		parseCredential(b)
		parsePacket(b)
	})
}

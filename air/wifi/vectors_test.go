package wifi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/understudy-net/understudy/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The test vectors of IEEE 802.11-2016, J.4 (pass-phrase to PSK).
func TestMakePMKVectorsOfAnnexJ(t *testing.T) {
	for _, c := range []struct{ passphrase, ssid, want string }{
		{"password", "IEEE", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"},
		{"ThisIsAPassword", "ThisIsASSID", "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ",
			"becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62"},
	} {
		k, err := MakePMK(c.ssid, c.passphrase)
		if err != nil || hex.EncodeToString(k[:]) != c.want {
			t.Errorf("%q on %q: %x, %v, want %s", c.passphrase, c.ssid, k, err, c.want)
		}
	}
}

func TestMakePMKTakesAKeyInHexadecimal(t *testing.T) {
	const digits = "F42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
	k, err := MakePMK("any", digits)
	if err != nil || !bytes.Equal(k[:], unhex(t, digits)) {
		t.Errorf("%x, %v", k, err)
	}
	for _, bad := range []string{"", "7 chars", digits + "0", digits[:63] + "g"} {
		if _, err := MakePMK("any", bad); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := MakePMK("any", digits[:63]); err != nil {
		t.Errorf("63 characters: %v", err)
	}
}

// The test vectors of IEEE 802.11-2016, J.3 (PRF), whose keys and data are those of RFC 2202.
func TestPRFVectorsOfAnnexJ(t *testing.T) {
	for _, c := range []struct {
		key           []byte
		prefix, data  string
		want192, want string
	}{
		{bytes.Repeat([]byte{0x0b}, 20), "prefix", "Hi There",
			"bcd4c650b30b9684951829e0d75f9d54b862175ed9f00606",
			"bcd4c650b30b9684951829e0d75f9d54b862175ed9f00606e17d8da35402ffee75df78c3d31e0f889f012120c0862beb67753e7439ae242edb8373698356cf5a"},
		{[]byte("Jefe"), "prefix", "what do ya want for nothing?",
			"51f4de5b33f249adf81aeb713a3c20f4fe631446fabdfa58",
			"51f4de5b33f249adf81aeb713a3c20f4fe631446fabdfa58244759ae58ef9009a99abf4eac2ca5fa87e692c440eb40023e7babb206d61de7b92f41529092b8fc"},
	} {
		out := make([]byte, 24)
		prf(out, c.key, c.prefix, []byte(c.data))
		if hex.EncodeToString(out) != c.want192 {
			t.Errorf("PRF-192: %x, want %s", out, c.want192)
		}
		out = make([]byte, 64)
		prf(out, c.key, c.prefix, []byte(c.data))
		if hex.EncodeToString(out) != c.want {
			t.Errorf("PRF-512: %x, want %s", out, c.want)
		}
	}
}

// RFC 3394, 4.1: 128 bits of key data with a 128-bit key.
func TestKeyWrapVectorOfRFC3394(t *testing.T) {
	kek := [16]byte(unhex(t, "000102030405060708090a0b0c0d0e0f"))
	plain := unhex(t, "00112233445566778899aabbccddeeff")
	const want = "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"
	got := keyWrap(nil, kek, plain)
	if hex.EncodeToString(got) != want {
		t.Fatalf("wrap: %x, want %s", got, want)
	}
	back, err := keyUnwrap(kek, bytes.Clone(got))
	if err != nil || !bytes.Equal(back, plain) {
		t.Errorf("unwrap: %x, %v", back, err)
	}
	for i := range got {
		bad := bytes.Clone(got)
		bad[i] ^= 1
		if _, err := keyUnwrap(kek, bad); !errors.Is(err, errUnwrap) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for n := range 24 {
		if _, err := keyUnwrap(kek, make([]byte, n)); !errors.Is(err, errUnwrap) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestPTKDoesNotDependOnWhoIsWho(t *testing.T) {
	pmk := PMK{1}
	a, s := nonce{1}, nonce{2}
	one := makePTK(pmk, apMAC, staMAC, a, s)
	if two := makePTK(pmk, staMAC, apMAC, s, a); one != two {
		t.Error("order of addresses and nonces shows")
	}
	if one == makePTK(pmk, apMAC, sta2, a, s) || one == makePTK(PMK{2}, apMAC, staMAC, a, s) || one == makePTK(pmk, apMAC, staMAC, nonce{3}, s) {
		t.Error("an input does not show")
	}
}

func TestRSNElementOfWPA2Personal(t *testing.T) {
	if r := parseRSN(rsnPSK); r != (rsn{group: suiteCCMP, ccmp: true, psk: true}) {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		name string
		m    Management
		want Security
	}{
		{"nothing", Management{}, Open},
		{"privacy", Management{Capability: CapabilityPrivacy}, WEP},
		{"PSK", Management{RSN: rsnPSK, Capability: CapabilityPrivacy}, WPA2PSK},
		{"802.1X", Management{RSN: patch(rsnPSK, 17, 1)}, Enterprise},
		{"802.1X by default", Management{RSN: []byte{1, 0}}, Enterprise},
		{"SAE only", Management{RSN: patch(rsnPSK, 17, 8)}, WEP},
		{"broken", Management{RSN: []byte{1, 0, 0, 0x0f, 0xac, 4, 0xff, 0xff}}, WEP},
	} {
		if got := securityOf(c.m); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestNetworksOfEqualStrengthAreInOrderOfBSSID(t *testing.T) {
	list := []Network{{BSSID: wire.MAC{3}}, {BSSID: wire.MAC{1}}, {BSSID: wire.MAC{2}, RSSI: -1}, {BSSID: wire.MAC{2}}}
	sortNetworks(list)
	if list[0].BSSID[0] != 1 || list[1].BSSID[0] != 2 || list[2].BSSID[0] != 3 || list[3].RSSI != -1 {
		t.Errorf("%v", list)
	}
}

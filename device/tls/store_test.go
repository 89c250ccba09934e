package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/sock/co"
)

func newFlash(t testing.TB, size int) *flash.Flash {
	t.Helper()
	f, err := flash.New(size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRootsInTheFlash(t *testing.T) {
	f := newFlash(t, flash.Size4M)
	if r, err := Roots(f); len(r) != 0 || err != nil {
		t.Fatal("erased:", r, err)
	}
	a, b := newAuthority(t, "a").cert, newAuthority(t, "b").cert
	for _, want := range [][]*x509.Certificate{{a, b}, {b}, {}} {
		if err := SetRoots(f, want...); err != nil {
			t.Fatal(err)
		}
		got, err := Roots(f)
		if err != nil || !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
			t.Errorf("%d roots, %v, want %d", len(got), err, len(want))
		}
	}
	if err := SetRoots(f, slices.Repeat([]*x509.Certificate{a}, 20)...); !errors.Is(err, ErrFull) {
		t.Error("20 roots:", err)
	}
	if err := SetRoots(f, slices.Repeat([]*x509.Certificate{a}, MaxRoots+1)...); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	small := newFlash(t, flash.Size2M)
	if err := SetRoots(small, a); !errors.Is(err, flash.ErrNoRegion) {
		t.Error("2 Mbit:", err)
	}
	if _, err := Roots(small); !errors.Is(err, flash.ErrNoRegion) {
		t.Error("2 Mbit:", err)
	}
}

// The layout, byte by byte.
func TestRootsGolden(t *testing.T) {
	c := &x509.Certificate{Raw: []byte{0x30, 0x01, 0xaa}}
	b, err := AppendRoots(nil, []*x509.Certificate{c})
	want := "USTDROOT\x01\x00\x05\x00\xea\x13\xf1\x8a\x03\x00\x30\x01\xaa"
	if err != nil || string(b) != want {
		t.Errorf("%q, %v", b, err)
	}
}

func TestBrokenRoots(t *testing.T) {
	good, err := AppendRoots(nil, []*x509.Certificate{newAuthority(t, "a").cert})
	if err != nil {
		t.Fatal(err)
	}
	good = append(good, 0xff, 0xff)
	if r, err := ParseRoots(good); len(r) != 1 || err != nil {
		t.Fatal(r, err)
	}
	edit := func(at int, v ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], v)
		return b
	}
	bad := map[string][]byte{
		"short": good[:15], "cut off": good[:len(good)-3], "no mark": edit(0, 'x'), "zeros": make([]byte, 4096),
		"33 certificates": edit(8, 33), "one more than there are": edit(8, 2), "none and bytes": edit(8, 0),
		"list beyond the region": edit(10, 0xff, 0xff), "wrong CRC": edit(12, good[12]^1), "changed certificate": edit(40, good[40]^1),
	}
	wrongDER, _ := AppendRoots(nil, []*x509.Certificate{{Raw: []byte("no certificate")}})
	bad["no certificate"] = wrongDER
	for name, b := range bad {
		if r, err := ParseRoots(b); !errors.Is(err, ErrStore) || r != nil {
			t.Errorf("%s: %d roots, %v", name, len(r), err)
		}
	}
}

func FuzzParseRoots(f *testing.F) {
	good, err := AppendRoots(nil, []*x509.Certificate{newAuthority(f, "a").cert, newAuthority(f, "b").cert})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(rootsMark))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		roots, err := ParseRoots(b)
		if err != nil {
			if !errors.Is(err, ErrStore) || roots != nil {
				t.Fatal(roots, err)
			}
			return
		}
		again, err := AppendRoots(nil, roots)
		if err != nil {
			t.Fatal(err)
		}
		if len(roots) > 0 && !slices.Equal(again, b[:min(len(again), len(b))]) {
			t.Error("what was read is not what is written")
		}
	})
}

func TestIdentityInTheFlash(t *testing.T) {
	f := newFlash(t, flash.Size8M)
	if _, err := Identity(f); !errors.Is(err, ErrStore) {
		t.Error("erased:", err)
	}
	ca := newAuthority(t, "ca")
	want := ca.server(t, nil)
	want.Certificate = append(want.Certificate, ca.cert.Raw)
	if err := SetIdentity(f, want); err != nil {
		t.Fatal(err)
	}
	got, err := Identity(f)
	if err != nil || !slices.EqualFunc(got.Certificate, want.Certificate, slices.Equal[[]byte]) {
		t.Fatal(len(got.Certificate), err)
	}
	long := want
	long.Certificate = slices.Repeat(want.Certificate, 8)
	if err := SetIdentity(f, long); !errors.Is(err, ErrFull) {
		t.Error("16 certificates:", err)
	}
	if err := SetIdentity(f, stdtls.Certificate{PrivateKey: "none"}); err == nil {
		t.Error("a key that is none was stored")
	}
	// A server with it.
	a, b := halves(1000)
	s := Server(a, now, Config{Identity: got, Suites: modern})
	defer s.Stop()
	p := newPeer(b, clientSide(ca))
	defer p.Stop()
	turns(s, p)
	if up, err := s.State(); !up || !p.up {
		t.Error(up, err, p.err)
	}
}

// clientSide makes the side of a client that trusts ca.
func clientSide(ca *authority) func(c *co.Buffered) *stdtls.Conn {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return func(c *co.Buffered) *stdtls.Conn {
		return stdtls.Client(c, &stdtls.Config{RootCAs: roots, ServerName: "server.test", Time: func() time.Time { return now }, MaxVersion: stdtls.VersionTLS12})
	}
}

func TestBrokenIdentities(t *testing.T) {
	ca := newAuthority(t, "ca")
	c, other := ca.server(t, nil), ca.server(t, nil)
	key := func(c stdtls.Certificate) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, files := range map[string][]storeFile{
		"nothing":       nil,
		"no key":        {{"cert0", c.Certificate[0]}},
		"no cert":       {{"key", key(c)}},
		"another's key": {{"key", key(other)}, {"cert0", c.Certificate[0]}},
		"bad key":       {{"key", []byte("?")}, {"cert0", c.Certificate[0]}},
		"bad cert":      {{"key", key(c)}, {"cert0", []byte("?")}},
	} {
		b, err := appendStore(nil, files)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseIdentity(b); !errors.Is(err, ErrStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, _ := appendStore(nil, []storeFile{{"key", key(c)}, {"cert0", c.Certificate[0]}})
	for name, edit := range map[string]func(b []byte){
		"9 files":     func(b []byte) { b[8] = 9 },
		"no mark":     func(b []byte) { b[0] = 0 },
		"in the head": func(b []byte) { le.PutUint32(b[16+storeName+4:], 10) },
		"behind":      func(b []byte) { le.PutUint32(b[16+storeName:], 1<<31) },
		"far":         func(b []byte) { le.PutUint32(b[16+storeName+4:], 1<<32-1) },
	} {
		b := slices.Clone(good)
		edit(b)
		if _, err := ParseIdentity(b); !errors.Is(err, ErrStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	c := newAuthority(f, "ca").server(f, nil)
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		f.Fatal(err)
	}
	good, _ := appendStore(nil, []storeFile{{"key", key}, {"cert0", c.Certificate[0]}})
	f.Add(good)
	f.Add(good[:storeHead])
	f.Add([]byte(storeMark))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseIdentity(b)
		if err != nil && (!errors.Is(err, ErrStore) || c.PrivateKey != nil) {
			t.Fatal(err)
		}
		if err == nil && c.Leaf == nil {
			t.Fatal("no certificate")
		}
	})
}

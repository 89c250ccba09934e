package device

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/tls"
)

// storeImage is an image of a store with a key, in whole words.
func storeImage(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "lamp"}, SerialNumber: big.NewInt(1), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	f, err := flash.New(flash.Size4M)
	if err != nil {
		t.Fatal(err)
	}
	if err := tls.SetIdentity(f, stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	r, err := f.Region(flash.TLSServer)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	if _, err := r.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// WRITE_OWN_CERTS: in pieces, each answered, and nothing is written unless all of it is right (hif-messages 5.1).
func TestHostWritesKeys(t *testing.T) {
	image := storeImage(t)
	b := newBench(t)
	b.h.boot()
	piece := func(total, at, n int) hif.OwnCerts {
		m := hif.OwnCerts{Total: uint16(total / 4), Offset: uint16(at / 4), Chunk: uint16(n / 4)}
		m.Data = append(bytes.Clone(image), make([]byte, 16<<10)...)[at:][:n]
		return m
	}
	write := func(m hif.OwnCerts) (taken bool) {
		t.Helper()
		b.h.deliver(hif.OpWriteCertificates, true, m.Append(nil))
		got := await(b.h, 0, hif.OpCertificates, hif.ParseOwnCertsReply)
		want := m.Head()
		if got.Chunk == 0 {
			want.Chunk = 0
		}
		if got.Total != want.Total || got.Offset != want.Offset || got.Chunk != want.Chunk {
			t.Errorf("%+v is answered %+v", m.Head(), got)
		}
		return got.Chunk != 0
	}
	has := func() bool { _, err := tls.Identity(b.dev.flash.F); return err == nil }
	for name, m := range map[string]hif.OwnCerts{
		"not the first":  piece(2048, 1024, 1024),
		"nothing":        piece(0, 0, 0),
		"empty":          piece(2048, 0, 0),
		"too much":       piece(512, 0, 1024),
		"more than fits": piece(8196, 0, 1024),
		"no store":       piece(1024, 1024, 1024),
	} {
		if name == "no store" {
			m.Offset = 0
		}
		if write(m) || has() {
			t.Errorf("%s was taken", name)
		}
	}
	if !write(piece(2048, 0, 1024)) || has() {
		t.Error("the first half")
	}
	if write(piece(2048, 512, 512)) {
		t.Error("a piece that is not the next one")
	}
	if write(piece(2048, 1024, 1024)) {
		t.Error("goes on after a fault")
	}
	for at := 0; at < 2048; at += 512 {
		if !write(piece(2048, at, 512)) {
			t.Error("piece at", at)
		}
	}
	if !has() {
		t.Error("not in the flash")
	}
	bad := b.dev.Counters().Malformed
	b.h.deliver(hif.OpWriteCertificates, true, image[:100]) // the message of older hosts, or junk
	b.h.quiet(time.Second, hif.OpCertificates)
	if b.dev.Counters().Malformed != bad+1 {
		t.Error("junk is not counted")
	}
}

// IND_CRL replaces the list; entries that are no hashes are left out.
func TestHostRevokes(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	revoke := func(m hif.CRL) [][]byte {
		b.h.deliver(hif.OpCRL, true, m.Append(nil))
		return b.dev.fw.revoked
	}
	if got := revoke(hif.CRL{Type: 1, Entries: [][]byte{make([]byte, 20), {1, 2}, make([]byte, 32)}}); len(got) != 2 || len(got[1]) != 32 || b.dev.Counters().Malformed != 1 {
		t.Errorf("%x", got)
	}
	if got := revoke(hif.CRL{Type: 1, Entries: [][]byte{bytes.Repeat([]byte{7}, 20)}}); len(got) != 1 || got[0][0] != 7 {
		t.Errorf("%x", got)
	}
	if got := revoke(hif.CRL{Entries: [][]byte{make([]byte, 20)}}); got != nil {
		t.Errorf("%x", got)
	}
}

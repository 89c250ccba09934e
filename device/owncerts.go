package device

import (
	"bytes"
	"errors"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
)

// ownCerts is a store of keys and certificates that is coming in from the host, piece by piece (hif-messages 5.1).
type ownCerts struct {
	total int
	data  []byte
}

var errPiece = errors.New("a piece that is not the next one")

// maxOwnCerts is what the store's region of the flash holds.
const maxOwnCerts = 8 << 10

// writeCerts is WRITE_OWN_CERTS: pieces of an image of the store, in order, the first one at 0. With the last one the image is
// looked at, and put into the flash. Each piece is answered with its own head, or, if it is not taken, with one that says that
// nothing of it was: what the answer of the real part holds is not public. The older message of this number has no such head
// and is not supported.
func (f *firmware) writeCerts(now time.Time, r request) {
	m, err := hif.ParseOwnCerts(r.payload)
	if err != nil {
		f.certs = nil
		f.malformed(now, r, err.Error())
		return
	}
	answer := m.Head()
	if err := f.takeCerts(now, m); err != nil {
		f.certs, answer.Chunk = nil, 0
		f.malformed(now, r, err.Error())
	}
	reply(f.d, hif.OpCertificates, answer)
}

// takeCerts takes a piece.
func (f *firmware) takeCerts(now time.Time, m hif.OwnCerts) error {
	total, at := 4*int(m.Total), 4*int(m.Offset)
	if at == 0 {
		f.certs = &ownCerts{total: total}
	}
	c := f.certs
	switch {
	case total == 0 || total > maxOwnCerts:
		return tls.ErrFull
	case c == nil || c.total != total || len(c.data) != at || at+len(m.Data) > total || len(m.Data) == 0:
		return errPiece
	}
	c.data = append(c.data, m.Data...)
	if len(c.data) < total {
		return nil
	}
	f.certs = nil
	if err := tls.SetStore(f.d.flash.F, c.data); err != nil {
		return err
	}
	f.d.trace(now, EventTLS, 0, nil, "the host has written keys and certificates")
	return nil
}

// revoke is IND_CRL: which certificates of servers are not trusted any more, instead of those before. The entries are hashes of
// certificates; others mean nothing to us and are left out.
func (f *firmware) revoke(_ time.Time, m hif.CRL) {
	f.revoked = nil
	if m.Type == 0 {
		return // no list
	}
	for _, e := range m.Entries {
		if len(e) != 20 && len(e) != 32 { // SHA-1, SHA-256
			f.d.counters.Malformed++
			continue
		}
		f.revoked = append(f.revoked, bytes.Clone(e))
	}
}

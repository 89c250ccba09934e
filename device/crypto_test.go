package device

import (
	"bytes"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
)

// A host waits for the answer to each request of group CRYPTO: it comes, says that it was not done, and gives the host's
// structure back.
func TestCryptoIsRefusedWithAnAnswer(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	pattern := make([]byte, hif.RSALen)
	for i := range pattern[:550] { // the last two are spare
		pattern[i] = byte(i*7 + 1)
	}
	for _, tc := range []struct {
		op, answer       hif.Op
		echo, data, want int // bytes of the structure, behind it in the request, and behind the result
	}{
		{hif.OpSHA256Init, hif.OpSHA256InitDone, hif.SHA256Len, 0, 0},
		{hif.OpSHA256Update, hif.OpSHA256UpdateDone, hif.SHA256Len, 1000, 0},
		{hif.OpSHA256Finish, hif.OpSHA256FinishDone, hif.SHA256Len, 0, hif.SHA256DigestLen},
		{hif.OpRSASign, hif.OpRSASignDone, hif.RSALen, 0, hif.RSAMax},
		{hif.OpRSAVerify, hif.OpRSAVerifyDone, hif.RSALen, hif.RSAMax, 0},
	} {
		before := b.dev.Counters()
		p := append(pattern[:tc.echo:tc.echo], make([]byte, tc.data)...)
		if !b.h.deliver(tc.op, tc.data > 0, p) {
			t.Fatalf("%v was refused a buffer", tc.op)
		}
		m, ok := b.h.fetch()
		want := append(pattern[:tc.echo:tc.echo], 0xf4, 0, 0, 0)
		if want = append(want, make([]byte, tc.want)...); !ok || m.op != tc.answer || !bytes.Equal(m.payload, want) {
			t.Errorf("%v: %v, %d bytes: % x", tc.op, m.op, len(m.payload), m.payload)
		}
		b.h.deliver(tc.op, false, p[:tc.echo-1])
		if m, ok := b.h.fetch(); ok {
			t.Errorf("%v cut short is answered with %v", tc.op, m.op)
		}
		if c := b.dev.Counters(); c.Unsupported != before.Unsupported+1 || c.Malformed != before.Malformed+1 || c.RepliesLost != 0 {
			t.Errorf("%v: %+v", tc.op, c)
		}
	}
	b.h.deliver(hif.OpSHA256InitDone, false, pattern[:hif.SHA256Len])
	if _, ok := b.h.fetch(); ok || b.dev.Counters().Unknown != 1 {
		t.Errorf("an answer of a host: %+v", b.dev.Counters())
	}
}

// Long answers that nobody fetches are bounded, and do not show in those that come after them.
func TestCryptoAnswersAreBounded(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	b.h.hold = true
	for range maxReplies + 10 {
		b.h.deliver(hif.OpRSASign, false, make([]byte, hif.RSALen))
	}
	if c := b.dev.Counters(); c.RepliesLost != 9 { // one is before the host
		t.Errorf("%d answers lost", c.RepliesLost)
	}
	b.h.hold = false
	for n := 0; n < maxReplies+1; n++ {
		if m, ok := b.h.fetch(); !ok || m.op != hif.OpRSASignDone {
			t.Fatalf("message %d: %v %v", n, m.op, ok)
		}
	}
	send(b.h, hif.OpGetRSSI, hif.None{})
	if m, ok := b.h.fetch(); !ok || m.op != hif.OpRSSI || len(m.payload) != 4 {
		t.Errorf("then: %v, %d bytes", m.op, len(m.payload))
	}
}

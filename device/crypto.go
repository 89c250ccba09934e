package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// cryptoRequest is group CRYPTO: hosts of builds that are hardly known have the controller compute for them, and wait
// for each answer without a limit of their own. Where the data of SHA256_UPDATE and the signature for RSA_VERIFY stand is
// not known, so nothing is computed: each request gets the answer that says so, with the structure that it came with and
// zeros where a host looks for a digest or a signature. Spec hif-messages 5.2.
func (f *firmware) cryptoRequest(now time.Time, r request) {
	switch r.Op {
	case hif.OpSHA256Init, hif.OpSHA256Update, hif.OpSHA256Finish:
		m, err := hif.ParseSHA256(r.payload)
		if err != nil {
			f.malformed(now, r, err.Error())
			return
		}
		a := hif.SHA256Reply{Context: m.Context, Result: hif.CryptoFailed}
		if r.Op == hif.OpSHA256Finish {
			a.Digest = make([]byte, hif.SHA256DigestLen)
		}
		refuseCrypto(f, now, r, a)
	case hif.OpRSASign, hif.OpRSAVerify:
		m, err := hif.ParseRSA(r.payload)
		if err != nil {
			f.malformed(now, r, err.Error())
			return
		}
		m.Data = nil
		if r.Op == hif.OpRSASign {
			m.Data = make([]byte, hif.RSAMax)
		}
		refuseCrypto(f, now, r, hif.RSAReply{RSA: m, Result: hif.CryptoFailed})
	default:
		f.unknown(now, r)
	}
}

// refuseCrypto counts the request and answers it, with the opcode behind its own.
func refuseCrypto[P hif.Payload](f *firmware, now time.Time, r request, m P) {
	f.unsupported(now, r)
	e := f.d.out.push(maxReplies)
	if e == nil {
		f.d.counters.RepliesLost++
		return
	}
	e.kind, e.op = entryMessage, r.Op+1
	e.rest = m.Append(nil)
}

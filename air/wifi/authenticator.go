package wifi

import (
	"bytes"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

const (
	keyTries       = 10 // transmissions of message 1 or 3
	maxMICFailures = 3  // in one handshake; then the passphrase is taken to be wrong
)

// authenticator is the access point's side of the 4-way handshake (IEEE 802.11-2016, 12.7.6).
type authenticator struct {
	anonce   nonce
	ptk      ptk
	proved   bool   // message 2 came: the station has the key, message 3 is under way
	replay   uint64 // counter of the latest frame; each transmission has a new one
	first    uint64 // lowest counter that the awaited answer may bear
	tries    int
	failures int // of the MIC
}

// startHandshake begins, or begins afresh.
func (ap *AccessPoint) startHandshake(now time.Time, p *peer) {
	p.phase = phaseHandshake
	p.keys = authenticator{anonce: makeNonce(ap.cfg.Rand), replay: p.keys.replay, first: p.keys.replay + 1}
	ap.sendKey(now, p)
}

// sendKey sends message 1 or 3, whichever is due.
func (ap *AccessPoint) sendKey(now time.Time, p *peer) {
	a := &p.keys
	a.replay++
	k := key{info: infoMessage1, keyLen: 16, replay: a.replay, nonce: a.anonce}
	h := wire.Ethernet{Dst: p.mac, Src: ap.cfg.MAC, Type: wire.EtherTypeEAPOL}
	b := h.Append(ap.buf[:0])
	if a.proved {
		k.info = infoMessage3
		k.data = keyWrap(nil, a.ptk.kek, keyData{rsn: rsnPSK, gtk: ap.gtk[:], gtkID: 1}.appendKeyData(nil))
		b = k.appendSigned(b, a.ptk.kck)
	} else {
		b = k.append(b)
	}
	ap.buf = b
	ap.counts.EAPOL.Sent++
	ap.port.Send(now, air.Frame{Kind: air.KindData, To: p.mac, Data: b})
	ap.setTimer(p, now.Add(retryAfter(a.tries)))
}

// repeatKey repeats what was not answered, or sends the station away.
func (ap *AccessPoint) repeatKey(now time.Time, p *peer) {
	if p.keys.tries++; p.keys.tries >= keyTries {
		code := CodeHandshakeTimeout
		if p.keys.failures > 0 {
			code = CodeInvalidAuth
		}
		ap.dismiss(now, p, code)
		return
	}
	ap.sendKey(now, p)
}

// receiveKey handles an EAPOL frame from an associated station.
func (ap *AccessPoint) receiveKey(now time.Time, p *peer, payload []byte) {
	c := &ap.counts.EAPOL
	c.Received++
	if ap.cfg.Security != WPA2PSK {
		c.Unexpected++
		return
	}
	k, frame, err := parseKey(payload)
	switch {
	case err != nil:
		c.Malformed++
	case k.info&infoVersion != infoHMACSHA1 || k.info&infoPairwise == 0 || k.info&(infoRequest|infoError) != 0:
		c.Unsupported++
	case k.info&infoAck != 0 || k.info&infoMIC == 0:
		c.Unexpected++ // not from a supplicant
	case k.replay < p.keys.first || k.replay > p.keys.replay:
		// An answer to an earlier transmission of the same message still counts: the way may be longer than our patience.
		c.Replayed++
	case p.phase != phaseHandshake:
		c.Replayed++ // message 4 once more
	case !p.keys.proved:
		ap.message2(now, p, &k, frame)
	default:
		ap.message4(now, p, &k, frame)
	}
}

// message2 brings the station's nonce; the MIC proves that it has the key.
func (ap *AccessPoint) message2(now time.Time, p *peer, k *key, frame []byte) {
	c := &ap.counts.EAPOL
	a := &p.keys
	if k.info != infoMessage2 {
		c.Unexpected++
		return
	}
	keys := makePTK(ap.cfg.PMK, ap.cfg.MAC, p.mac, a.anonce, k.nonce)
	if !micValid(keys.kck, frame) {
		c.MICFailures++
		if a.failures++; a.failures >= maxMICFailures {
			ap.dismiss(now, p, CodeInvalidAuth)
		}
		return
	}
	d, err := parseKeyData(k.data)
	if err != nil {
		c.Malformed++
		return
	}
	// What was asked for in the association must be what is asked for now: 12.7.6.3.
	if !bytes.Equal(d.rsn, p.rsn) {
		ap.dismiss(now, p, CodeElementDiffers)
		return
	}
	a.ptk, a.proved, a.tries, a.first = keys, true, 0, a.replay+1
	ap.sendKey(now, p)
}

// message4 ends the handshake.
func (ap *AccessPoint) message4(now time.Time, p *peer, k *key, frame []byte) {
	c := &ap.counts.EAPOL
	switch {
	case k.info != infoMessage4:
		c.Unexpected++
	case !micValid(p.keys.ptk.kck, frame):
		c.MICFailures++
	default:
		p.keys.first = p.keys.replay + 1
		ap.join(now, p)
	}
}

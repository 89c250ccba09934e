package wifi

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// supplicant is the station's side of the 4-way handshake (IEEE 802.11-2016, 12.7.6).
//
// Its nonce is the same for a whole association. So it need not remember anything of message 1, which anybody can forge:
// the keys follow from the nonce that message 3 repeats, and only a valid MIC changes the state.
type supplicant struct {
	pmk    PMK
	snonce nonce

	anonce nonce // that last is made of
	last   ptk

	proved bool   // message 3 came
	replay uint64 // highest counter under a valid MIC: only higher ones count
	gtk    [gtkLen]byte
}

// keysFor makes the keys for an access point's nonce.
func (s *Station) keysFor(anonce nonce) ptk {
	u := &s.keys
	if u.last == (ptk{}) || u.anonce != anonce {
		u.anonce, u.last = anonce, makePTK(u.pmk, s.network.BSSID, s.cfg.MAC, anonce, u.snonce)
	}
	return u.last
}

// receiveKey handles an EAPOL frame.
func (s *Station) receiveKey(now time.Time, h wire.Ethernet, payload []byte) {
	c := &s.counts.EAPOL
	c.Received++
	if s.state < StateHandshake || s.network.Security != WPA2PSK || h.Src != s.network.BSSID || h.Dst != s.cfg.MAC {
		c.Unexpected++
		return
	}
	k, frame, err := parseKey(payload)
	switch {
	case err != nil:
		c.Malformed++
	case k.info&infoVersion != infoHMACSHA1 || k.info&infoPairwise == 0 || k.info&infoRequest != 0:
		c.Unsupported++
	case k.info&infoAck == 0:
		c.Unexpected++ // not from an authenticator
	case s.keys.proved && k.replay <= s.keys.replay:
		c.Replayed++
	case k.info&infoMIC == 0:
		s.message1(now, &k)
	default:
		s.message3(now, &k, frame)
	}
}

// message1 answers with message 2.
func (s *Station) message1(now time.Time, k *key) {
	answer := key{info: infoMessage2, replay: k.replay, nonce: s.keys.snonce}
	answer.data = appendElement(nil, elementRSN, rsnPSK)
	s.sendKey(now, &answer, s.keysFor(k.nonce))
}

// message3 proves that the access point knows the key, and brings the group key; it is answered with message 4.
func (s *Station) message3(now time.Time, k *key, frame []byte) {
	c := &s.counts.EAPOL
	if k.info != infoMessage3 {
		c.Unexpected++
		return
	}
	u, keys := &s.keys, s.keysFor(k.nonce)
	if !micValid(keys.kck, frame) {
		c.MICFailures++
		return
	}
	u.proved, u.replay = true, k.replay
	plain, err := keyUnwrap(keys.kek, append([]byte(nil), k.data...))
	if err != nil {
		c.Malformed++
		return
	}
	d, err := parseKeyData(plain)
	if err != nil || len(d.gtk) != gtkLen {
		c.Malformed++
		return
	}
	// A network whose beacons promised something else than the handshake is being imitated: 12.7.6.4, step 1.
	if s.state == StateHandshake && string(d.rsn) != s.network.rsn {
		s.sayGoodbye(now, CodeElementDiffers)
		s.fail(now, Event{Reason: ReasonAuthenticationFailed, Code: CodeElementDiffers})
		return
	}
	u.gtk = [gtkLen]byte(d.gtk)
	answer := key{info: infoMessage4, replay: k.replay}
	s.sendKey(now, &answer, keys)
	if s.state == StateHandshake {
		s.joined(now)
	}
}

// sendKey signs k and sends it to the access point.
func (s *Station) sendKey(now time.Time, k *key, keys ptk) {
	s.counts.EAPOL.Sent++
	h := wire.Ethernet{Dst: s.network.BSSID, Src: s.cfg.MAC, Type: wire.EtherTypeEAPOL}
	s.buf = k.appendSigned(h.Append(s.buf[:0]), keys.kck)
	s.port.Send(now, air.Frame{Kind: air.KindData, To: s.network.BSSID, Data: s.buf})
}

// makeNonce draws a nonce.
func makeNonce(r rand.Source) (n nonce) {
	for i := 0; i < len(n); i += 8 {
		binary.BigEndian.PutUint64(n[i:], r.Uint64())
	}
	return n
}

package wifi

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// supplicant is the station's side of the 4-way handshake (IEEE 802.11-2016, 12.7.6).
type supplicant struct {
	pmk    PMK
	begun  bool  // message 1 came: anonce, snonce and fresh are set
	anonce nonce // of the latest message 1
	snonce nonce // ours for it
	fresh  ptk   // what both make; in use when message 3 proves that the other side has it

	proved bool   // message 3 came
	replay uint64 // highest counter under a valid MIC: only higher ones count
	gtk    [gtkLen]byte
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

// message1 answers with message 2. The same nonce gives the same keys, so a repetition changes nothing.
func (s *Station) message1(now time.Time, k *key) {
	u := &s.keys
	if !u.begun || u.anonce != k.nonce {
		u.begun, u.anonce, u.snonce = true, k.nonce, makeNonce(s.cfg.Rand)
		u.fresh = makePTK(u.pmk, s.network.BSSID, s.cfg.MAC, u.anonce, u.snonce)
	}
	answer := key{info: infoMessage2, replay: k.replay, nonce: u.snonce}
	answer.data = appendElement(nil, elementRSN, rsnPSK)
	s.sendKey(now, &answer)
}

// message3 proves that the access point knows the key, and brings the group key; it is answered with message 4.
func (s *Station) message3(now time.Time, k *key, frame []byte) {
	c := &s.counts.EAPOL
	u := &s.keys
	if !u.begun || k.nonce != u.anonce || k.info != infoMessage3 {
		c.Unexpected++
		return
	}
	if !micValid(u.fresh.kck, frame) {
		c.MICFailures++
		return
	}
	u.proved, u.replay = true, k.replay
	plain, err := keyUnwrap(u.fresh.kek, append([]byte(nil), k.data...))
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
	s.sendKey(now, &answer)
	if s.state == StateHandshake {
		s.joined(now)
	}
}

// sendKey signs k and sends it to the access point.
func (s *Station) sendKey(now time.Time, k *key) {
	s.counts.EAPOL.Sent++
	h := wire.Ethernet{Dst: s.network.BSSID, Src: s.cfg.MAC, Type: wire.EtherTypeEAPOL}
	s.buf = k.appendSigned(h.Append(s.buf[:0]), s.keys.fresh.kck)
	s.port.Send(now, air.Frame{Kind: air.KindData, To: s.network.BSSID, Data: s.buf})
}

// makeNonce draws a nonce.
func makeNonce(r rand.Source) (n nonce) {
	for i := 0; i < len(n); i += 8 {
		binary.BigEndian.PutUint64(n[i:], r.Uint64())
	}
	return n
}

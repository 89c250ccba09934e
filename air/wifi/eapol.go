package wifi

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/understudy-net/understudy/wire"
)

// keyInfo is the key information field of an EAPOL-Key frame (IEEE 802.11-2016, 12.7.2, figure 12-34).
type keyInfo uint16

const (
	infoVersion   keyInfo = 7 // mask: key descriptor version
	infoHMACSHA1  keyInfo = 2 // version 2: HMAC-SHA1-128 and AES key wrap
	infoPairwise  keyInfo = 1 << 3
	infoInstall   keyInfo = 1 << 6
	infoAck       keyInfo = 1 << 7
	infoMIC       keyInfo = 1 << 8
	infoSecure    keyInfo = 1 << 9
	infoError     keyInfo = 1 << 10
	infoRequest   keyInfo = 1 << 11
	infoEncrypted keyInfo = 1 << 12
)

// The key information of the four messages (IEEE 802.11-2016, 12.7.6.2 to 12.7.6.5).
const (
	infoMessage1 = infoHMACSHA1 | infoPairwise | infoAck
	infoMessage2 = infoHMACSHA1 | infoPairwise | infoMIC
	infoMessage3 = infoHMACSHA1 | infoPairwise | infoInstall | infoAck | infoMIC | infoSecure | infoEncrypted
	infoMessage4 = infoHMACSHA1 | infoPairwise | infoMIC | infoSecure
)

const (
	eapolVersion = 2 // IEEE 802.1X-2004
	eapolTypeKey = 3
	// The types that carry EAP (7.5.4), for Wi-Fi Protected Setup.
	eapolTypePacket = 0
	eapolTypeStart  = 1

	descriptorRSN = 2

	eapolHeader = 4
	keyFixed    = 95 // from the descriptor type to the length of the key data
	micOffset   = eapolHeader + 77
	micLen      = 16
)

// key is an EAPOL-Key frame (IEEE 802.11-2016, 12.7.2, figure 12-33):
//
//	 0  protocol version 1, packet type 1, length 2
//	 4  descriptor type 1, key information 2, key length 2
//	 9  key replay counter 8
//	17  key nonce 32
//	49  EAPOL-Key IV 16
//	65  key RSC 8, reserved 8
//	81  key MIC 16
//	97  key data length 2, key data
//
// All numbers but the RSC are big-endian.
type key struct {
	info   keyInfo
	keyLen uint16
	replay uint64
	nonce  nonce
	mic    [micLen]byte
	data   []byte // aliases what was parsed
}

// parseEAPOL reads the head of an EAPOL frame, which may be followed by padding.
func parseEAPOL(b []byte) (kind uint8, body []byte, err error) {
	if len(b) < eapolHeader {
		return 0, nil, wire.ErrShort
	}
	n := eapolHeader + int(binary.BigEndian.Uint16(b[2:]))
	if b[0] < 1 || b[0] > 3 {
		return 0, nil, wire.ErrInvalid
	}
	if len(b) < n {
		return 0, nil, wire.ErrShort
	}
	return b[1], b[eapolHeader:n], nil
}

// appendEAPOL appends a frame to b.
func appendEAPOL(b []byte, kind uint8, body []byte) []byte {
	b = append(b, eapolVersion, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// parseKey reads the EAPOL frame b, which may be followed by padding. It returns the frame without the padding,
// over which the MIC is made. What is no key frame of the RSN descriptor gives [wire.ErrInvalid].
func parseKey(b []byte) (k key, frame []byte, err error) {
	if len(b) < eapolHeader {
		return k, nil, wire.ErrShort
	}
	n := eapolHeader + int(binary.BigEndian.Uint16(b[2:]))
	if b[0] < 1 || b[0] > 3 || b[1] != eapolTypeKey {
		return k, nil, wire.ErrInvalid
	}
	if len(b) < n || n < eapolHeader+keyFixed {
		return k, nil, wire.ErrShort
	}
	b = b[:n]
	if b[4] != descriptorRSN {
		return k, nil, wire.ErrInvalid
	}
	dataLen := int(binary.BigEndian.Uint16(b[97:]))
	if dataLen != n-eapolHeader-keyFixed {
		return k, nil, wire.ErrInvalid
	}
	k.info = keyInfo(binary.BigEndian.Uint16(b[5:]))
	k.keyLen = binary.BigEndian.Uint16(b[7:])
	k.replay = binary.BigEndian.Uint64(b[9:])
	copy(k.nonce[:], b[17:])
	copy(k.mic[:], b[micOffset:])
	k.data = b[99:]
	return k, b, nil
}

// append appends the frame to b with the MIC that k holds.
func (k *key) append(b []byte) []byte {
	be := binary.BigEndian
	b = append(b, eapolVersion, eapolTypeKey)
	b = be.AppendUint16(b, uint16(keyFixed+len(k.data)))
	b = append(b, descriptorRSN)
	b = be.AppendUint16(b, uint16(k.info))
	b = be.AppendUint16(b, k.keyLen)
	b = be.AppendUint64(b, k.replay)
	b = append(b, k.nonce[:]...)
	b = append(b, make([]byte, 32)...) // IV, RSC, reserved: zero with CCMP and a fresh group key
	b = append(b, k.mic[:]...)
	b = be.AppendUint16(b, uint16(len(k.data)))
	return append(b, k.data...)
}

// appendSigned is append with the MIC computed.
func (k *key) appendSigned(b []byte, kck [16]byte) []byte {
	start := len(b)
	k.mic = [micLen]byte{}
	b = k.append(b)
	mic := micOf(kck, b[start:])
	copy(b[start+micOffset:], mic[:])
	return b
}

// micValid checks the MIC of a parsed frame. It computes over a copy, because the frame is not ours to change.
func micValid(kck [16]byte, frame []byte) bool {
	var buf [512]byte
	c := append(buf[:0], frame...)
	clear(c[micOffset:][:micLen])
	want := micOf(kck, c)
	return subtle.ConstantTimeCompare(want[:], frame[micOffset:][:micLen]) == 1
}

// Key data encapsulation (IEEE 802.11-2016, 12.7.2, figure 12-35 and table 12-6).
const (
	kdeType = 0xdd
	kdeGTK  = 0x000fac01
	gtkLen  = 16
	gtkTx   = 4 // in the byte with the key id
)

// keyData is what message 3 carries.
type keyData struct {
	rsn   []byte // body of the RSN element; nil: none
	gtk   []byte
	gtkID uint8
}

// parseKeyData reads elements and KDEs until padding or the end.
func parseKeyData(b []byte) (d keyData, err error) {
	for len(b) > 0 {
		if b[0] == kdeType && (len(b) == 1 || b[1] == 0) {
			break // padding: dd, then zeros
		}
		var id uint8
		var body []byte
		if id, body, b, err = element(b); err != nil {
			return keyData{}, err
		}
		switch {
		case id == elementRSN && d.rsn == nil:
			d.rsn = body
		case id == kdeType && len(body) >= 6 && binary.BigEndian.Uint32(body) == kdeGTK:
			d.gtkID, d.gtk = body[4]&3, body[6:]
		}
	}
	return d, nil
}

// appendKeyData appends d to b in the clear, padded for the key wrap: dd and zeros up to a multiple of 8.
func (d keyData) appendKeyData(b []byte) []byte {
	start := len(b)
	b = appendElement(b, elementRSN, d.rsn)
	b = append(b, kdeType, byte(6+len(d.gtk)))
	b = binary.BigEndian.AppendUint32(b, kdeGTK)
	b = append(b, d.gtkID|gtkTx, 0)
	b = append(b, d.gtk...)
	if n := (len(b) - start) % 8; n != 0 {
		b = append(b, kdeType)
		b = append(b, make([]byte, 7-n)...)
	}
	return b
}

package wps

import (
	"encoding/binary"
	"fmt"
)

// Codes and types of EAP (RFC 3748, 4 and 5).
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4

	eapIdentity = 1
	eapExpanded = 254

	eapHeader = 4
	wscHeader = eapHeader + 1 + 3 + 4 + 1 + 1 // type, vendor, vendor type, operation, flags
)

// wscMethod is the expanded type (RFC 3748, 5.7): vendor 00372a (Wi-Fi Alliance), method 1.
var wscMethod = []byte{eapExpanded, 0x00, 0x37, 0x2a, 0, 0, 0, 1}

// operation is what an EAP-WSC packet is for.
type operation uint8

const (
	opStart operation = 1
	opAck   operation = 2
	opNack  operation = 3
	opMsg   operation = 4
	opDone  operation = 5
	opFrag  operation = 6
)

const (
	flagMore   = 1 // fragments follow
	flagLength = 2 // the length of the whole stands before the message
)

// identityEnrollee is how an enrollee says that it wants this, and not to join.
const identityEnrollee = "WFA-SimpleConfig-Enrollee-1-0"

// packet is an EAP packet.
type packet struct {
	code, id uint8
	kind     uint8 // identity or expanded; 0 of success and failure
	op       operation
	data     []byte // of the identity or the operation; aliases what was parsed
}

// parsePacket reads an EAP packet, behind which there may be padding.
func parsePacket(b []byte) (p packet, err error) {
	if len(b) < eapHeader {
		return p, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < eapHeader || n > len(b) {
		return p, ErrMalformed
	}
	p.code, p.id, b = b[0], b[1], b[:n]
	switch p.code {
	case eapSuccess, eapFailure:
		return p, nil
	case eapRequest, eapResponse:
	default:
		return p, ErrMalformed
	}
	switch {
	case n == eapHeader:
		return p, ErrMalformed
	case b[eapHeader] == eapIdentity:
		p.kind, p.data = eapIdentity, b[eapHeader+1:]
		return p, nil
	case n < wscHeader || string(b[eapHeader:][:len(wscMethod)]) != string(wscMethod):
		return p, fmt.Errorf("%w: EAP method %d", ErrUnexpected, b[eapHeader])
	}
	p.kind, p.op, p.data = eapExpanded, operation(b[wscHeader-2]), b[wscHeader:]
	switch flags := b[wscHeader-1]; {
	case flags&flagMore != 0 || p.op == opFrag:
		return p, fmt.Errorf("%w: a fragment", ErrMalformed)
	case flags&flagLength != 0:
		if len(p.data) < 2 || int(binary.BigEndian.Uint16(p.data)) != len(p.data)-2 {
			return p, ErrMalformed
		}
		p.data = p.data[2:]
	}
	return p, nil
}

// bytes is the packet as it is sent.
func (p packet) bytes() []byte {
	b := []byte{p.code, p.id, 0, 0}
	switch p.kind {
	case eapIdentity:
		b = append(append(b, eapIdentity), p.data...)
	case eapExpanded:
		b = append(b, wscMethod...)
		b = append(append(b, byte(p.op), 0), p.data...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

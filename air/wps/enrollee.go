package wps

import (
	"bytes"
	"crypto/subtle"
	"math/rand/v2"
)

// Enrollee is the end that wants a network. Make it with [NewEnrollee].
type Enrollee struct {
	s        session
	me       Device
	password uint16 // id
	next     messageType
	s1, s2   nonce // secrets: E-S1 and E-S2
	rhash    [2][]byte

	answered bool
	id       uint8 // of the request that was answered last
	answer   []byte

	credential Credential
	has        bool
	over       bool
	err        error
}

// NewEnrollee makes an enrollee that begins when it is asked for its identity. An empty pin means a button.
func NewEnrollee(me Device, pin string, r rand.Source) *Enrollee {
	e := &Enrollee{me: me, password: PasswordPIN, s: session{rand: r, mac: me.MAC, password: pin}}
	if pin == "" {
		e.password, e.s.password = PasswordButton, buttonPassword
	}
	return e
}

// Over reports whether the exchange has ended, with a network or an error.
func (e *Enrollee) Over() bool { return e.over }

// Credential returns the network, once there is one.
func (e *Enrollee) Credential() (Credential, bool) { return e.credential, e.has }

// Err says why there is none; nil while the exchange goes on.
func (e *Enrollee) Err() error { return e.err }

// Receive takes an EAP packet and returns the answer, nil if there is none. Packets that are not for an enrollee at this point
// are answered with a refusal, which ends the exchange, or not at all.
func (e *Enrollee) Receive(b []byte) []byte {
	p, err := parsePacket(b)
	switch {
	case e.over || err != nil && p.code != eapRequest:
		return nil
	case p.code == eapFailure || p.code == eapSuccess: // the end: only what was handed over counts
		e.end()
		return nil
	case p.code != eapRequest:
		return nil
	case e.answered && p.id == e.id:
		return e.answer // it was lost
	case err != nil:
		return nil // it may be meant well: a fragment, another method
	}
	answer := packet{code: eapResponse, id: p.id, kind: p.kind}
	if p.kind == eapIdentity {
		answer.data = []byte(identityEnrollee)
	} else if answer.op, answer.data = e.handle(p); answer.op == 0 {
		return nil
	}
	e.answered, e.id, e.answer = true, p.id, answer.bytes()
	return e.answer
}

// end is the end of the exchange.
func (e *Enrollee) end() {
	e.over = true
	if !e.has && e.err == nil {
		e.err = ErrRefused
	}
}

// handle answers an operation of the registrar; operation 0: nothing.
func (e *Enrollee) handle(p packet) (operation, []byte) {
	switch {
	case e.err != nil: // it has been told
		return opNack, e.note(typeNack, configError(e.err))
	case p.op == opStart && e.next == 0:
		return opMsg, e.m1()
	case p.op == opNack:
		f, err := parseFields(p.data)
		if e.err = ErrRefused; err == nil {
			e.err = saidError(f.u16(attrConfigError))
		}
		return opNack, e.note(typeNack, errorNone)
	case p.op != opMsg || e.has || e.next == 0:
		return 0, nil
	}
	answer, op, err := e.message(p.data)
	if err == ErrUnexpected {
		return 0, nil
	}
	if err != nil {
		e.err = err
		return opNack, e.note(typeNack, configError(err))
	}
	return op, answer
}

// note is an acknowledgement, a refusal or the end: all with both nonces.
func (e *Enrollee) note(t messageType, fault uint16) []byte {
	var l list
	l.message(t)
	l.nonce(attrEnrolleeNonce, &e.s.n1)
	l.nonce(attrRegistrarNonce, &e.s.n2)
	if t == typeNack {
		l.u16(attrConfigError, fault)
	}
	l.version2()
	return l
}

// m1 begins.
func (e *Enrollee) m1() []byte {
	s := &e.s
	fill(s.rand, s.n1[:])
	s.pke = s.keyPair()
	var l list
	l.message(typeM1)
	l.bytes(attrUUIDE, e.me.UUID[:])
	l.bytes(attrMACAddress, e.me.MAC[:])
	l.nonce(attrEnrolleeNonce, &s.n1)
	l.bytes(attrPublicKey, s.pke)
	e.me.describe(&l)
	l.u8(attrSetupState, 1) // not configured
	e.me.introduce(&l)
	l.u16(attrAssociationState, 0)
	l.u16(attrDevicePasswordID, e.password)
	l.u16(attrConfigError, errorNone)
	l.u32(attrOSVersion, 1<<31)
	l.version2()
	s.last, e.next = append([]byte(nil), l...), typeM2
	return l
}

// message handles M2 to M8.
func (e *Enrollee) message(b []byte) (answer []byte, op operation, err error) {
	f, err := parseFields(b)
	if err != nil || !f.has(attrMessageType, attrEnrolleeNonce) {
		return nil, 0, ErrMalformed
	}
	if !bytes.Equal(f[attrEnrolleeNonce], e.s.n1[:]) {
		return nil, 0, ErrUnexpected // of another exchange
	}
	t := messageType(f[attrMessageType][0])
	if t == typeM2D && e.next == typeM2 {
		copy(e.s.n2[:], f[attrRegistrarNonce])
		e.err = saidError(f.u16(attrConfigError))
		return e.note(typeAck, 0), opAck, nil
	}
	if t != e.next {
		return nil, 0, ErrUnexpected
	}
	if t == typeM2 {
		if err := e.m2(f); err != nil {
			return nil, 0, err
		}
	}
	if !e.s.authentic(b) {
		return nil, 0, ErrAuthenticator
	}
	e.next += 2
	if t == typeM2 { // the numbers of M2D and M3 are in between
		e.next = typeM4
	}
	op = opMsg
	switch t {
	case typeM2:
		answer = e.m3()
	case typeM4:
		answer, err = e.m5(f)
	case typeM6:
		answer, err = e.m7(f)
	case typeM8:
		op = opDone
		answer, err = e.m8(f)
	}
	return answer, op, err
}

// m2 has the registrar's key.
func (e *Enrollee) m2(f fields) error {
	if !f.has(attrRegistrarNonce, attrPublicKey) {
		return ErrMalformed
	}
	copy(e.s.n2[:], f[attrRegistrarNonce])
	e.s.pkr = bytes.Clone(f[attrPublicKey])
	return e.s.agree(e.s.pkr)
}

// begin starts a message behind M2.
func (e *Enrollee) begin(t messageType) (l list) {
	l.message(t)
	l.nonce(attrRegistrarNonce, &e.s.n2)
	return l
}

// m3 commits to both halves of the password.
func (e *Enrollee) m3() []byte {
	fill(e.s.rand, e.s1[:])
	fill(e.s.rand, e.s2[:])
	l := e.begin(typeM3)
	l.bytes(attrEHash1, e.s.commitment(0, e.s1[:]))
	l.bytes(attrEHash2, e.s.commitment(1, e.s2[:]))
	l.version2()
	return e.s.sign(&l)
}

// m5 answers the registrar's commitments and its proof of the first half.
func (e *Enrollee) m5(f fields) ([]byte, error) {
	if !f.has(attrRHash1, attrRHash2) {
		return nil, ErrMalformed
	}
	e.rhash = [2][]byte{bytes.Clone(f[attrRHash1]), bytes.Clone(f[attrRHash2])}
	if err := e.proof(f, 0, attrRSNonce1); err != nil {
		return nil, err
	}
	return e.reveal(typeM5, attrESNonce1, &e.s1), nil
}

// m7 answers its proof of the second half.
func (e *Enrollee) m7(f fields) ([]byte, error) {
	if err := e.proof(f, 1, attrRSNonce2); err != nil {
		return nil, err
	}
	return e.reveal(typeM7, attrESNonce2, &e.s2), nil
}

// proof checks that the registrar has known half i of the password.
func (e *Enrollee) proof(f fields, i int, id attribute) error {
	return e.s.proof(f, i, id, e.rhash[i])
}

// proof opens the settings of a message and checks the secret nonce in them against the commitment that it was made for.
func (s *session) proof(f fields, i int, id attribute, commitment []byte) error {
	in, err := s.open(f[attrEncryptedSettings])
	if err != nil {
		return err
	}
	if !in.has(id) {
		return ErrMalformed
	}
	if subtle.ConstantTimeCompare(s.commitment(i, in[id]), commitment) != 1 {
		return ErrPassword
	}
	return nil
}

// reveal proves that we have known half of the password.
func (e *Enrollee) reveal(t messageType, id attribute, secret *nonce) []byte {
	var in list
	in.nonce(id, secret)
	l := e.begin(t)
	l.bytes(attrEncryptedSettings, e.s.seal(in))
	l.version2()
	return e.s.sign(&l)
}

// m8 has the network.
func (e *Enrollee) m8(f fields) ([]byte, error) {
	in, err := e.s.open(f[attrEncryptedSettings])
	if err != nil {
		return nil, err
	}
	if e.credential, err = parseCredential(in[attrCredential]); err != nil {
		return nil, err
	}
	e.has = true
	return e.note(typeDone, 0), nil
}

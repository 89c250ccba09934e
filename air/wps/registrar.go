package wps

import (
	"bytes"
	"math/rand/v2"

	"github.com/understudy-net/understudy/wire"
)

// Registrar is the end that has a network to hand over, for one exchange. Make it with [NewRegistrar].
type Registrar struct {
	s        session
	me       Device
	password uint16 // id
	give     Credential
	check    func(uuid [16]byte) error

	id     uint8 // of the request that waits for its answer
	last   []byte
	next   messageType // that is awaited; 0: the identity
	s1, s2 nonce       // secrets: R-S1 and R-S2
	ehash  [2][]byte

	refused bool // M2D or NACK was sent: an acknowledgement follows
	over    bool
	done    bool
	err     error
}

// RegistrarConfig says how a [Registrar] is to be.
type RegistrarConfig struct {
	Me       Device
	Enrollee wire.MAC   // who is to have the network
	PIN      string     // "": a button was pushed
	Network  Credential // MAC is filled in
	Rand     rand.Source
	// Check, if not nil, is told who wants the network, in the words of M1, and may refuse with an error of this package.
	Check func(uuid [16]byte) error
}

// NewRegistrar makes a registrar. Last is its first packet.
func NewRegistrar(c RegistrarConfig) *Registrar {
	r := &Registrar{me: c.Me, give: c.Network, check: c.Check, s: session{rand: c.Rand, mac: c.Enrollee, password: c.PIN}}
	r.give.MAC = c.Enrollee
	if r.password = PasswordPIN; c.PIN == "" {
		r.password, r.s.password = PasswordButton, buttonPassword
	}
	r.id = uint8(c.Rand.Uint64())
	r.request(packet{kind: eapIdentity})
	return r
}

// Last is the packet to send, and to send again while no answer comes.
func (r *Registrar) Last() []byte { return r.last }

// Over reports whether the exchange has ended; Last is then an EAP-Failure, which is not answered.
func (r *Registrar) Over() bool { return r.over }

// Done reports whether the network was handed over.
func (r *Registrar) Done() bool { return r.done }

// Err says why not; nil before the end.
func (r *Registrar) Err() error { return r.err }

// request makes the next packet.
func (r *Registrar) request(p packet) {
	r.id++
	p.code, p.id = eapRequest, r.id
	r.last = p.bytes()
}

// end makes the last packet. It is a failure also when all went well, since nobody has joined.
func (r *Registrar) end(err error) {
	r.over = true
	if !r.done && r.err == nil {
		r.err = err
	}
	r.last = packet{code: eapFailure, id: r.id}.bytes()
}

// Receive takes an EAP packet. True: Last is a new packet, to be sent at once.
func (r *Registrar) Receive(b []byte) bool {
	p, err := parsePacket(b)
	switch {
	case r.over || p.code != eapResponse || p.id != r.id:
		return false // repeated, or not for us
	case err != nil:
		r.end(err)
		return true
	case p.kind == eapIdentity:
		if r.next != 0 {
			return false
		}
		if string(p.data) != identityEnrollee {
			r.end(ErrUnexpected)
			return true
		}
		r.next = typeM1
		r.request(packet{kind: eapExpanded, op: opStart})
		return true
	case r.next == 0:
		return false
	}
	return r.operation(p)
}

func (r *Registrar) operation(p packet) bool {
	switch p.op {
	case opNack:
		f, err := parseFields(p.data)
		said := ErrRefused
		if err == nil {
			said = saidError(f.u16(attrConfigError))
		}
		r.end(said)
		return true
	case opAck:
		if !r.refused {
			return false
		}
		r.end(ErrRefused)
		return true
	case opDone:
		if r.next != typeDone {
			return false
		}
		f, err := parseFields(p.data)
		r.done = err == nil && bytes.Equal(f[attrRegistrarNonce], r.s.n2[:]) && bytes.Equal(f[attrEnrolleeNonce], r.s.n1[:])
		r.end(ErrMalformed)
		return true
	case opMsg:
		if r.refused {
			return false
		}
		if err := r.message(p.data); err != nil {
			r.refuse(err)
		}
		return true
	}
	return false
}

// refuse ends the exchange with a NACK.
func (r *Registrar) refuse(err error) {
	r.err, r.refused = err, true
	var l list
	l.message(typeNack)
	l.nonce(attrEnrolleeNonce, &r.s.n1)
	l.nonce(attrRegistrarNonce, &r.s.n2)
	l.u16(attrConfigError, configError(err))
	l.version2()
	r.request(packet{kind: eapExpanded, op: opNack, data: l})
}

// message handles M1 to M7.
func (r *Registrar) message(b []byte) error {
	f, err := parseFields(b)
	if err != nil || !f.has(attrMessageType) {
		return ErrMalformed
	}
	t := messageType(f[attrMessageType][0])
	if t != r.next {
		return ErrUnexpected
	}
	var answer []byte
	if t == typeM1 {
		answer, err = r.m2(b, f)
	} else {
		switch {
		case !bytes.Equal(f[attrRegistrarNonce], r.s.n2[:]):
			return ErrUnexpected
		case !r.s.authentic(b):
			return ErrAuthenticator
		}
		answer, err = r.later(t, f)
	}
	if err == nil {
		r.request(packet{kind: eapExpanded, op: opMsg, data: answer})
	}
	return err
}

// m2 answers M1 with our key; with M2D if the enrollee is not the one for whom we wait.
func (r *Registrar) m2(b []byte, f fields) ([]byte, error) {
	if !f.has(attrUUIDE, attrMACAddress, attrEnrolleeNonce, attrPublicKey, attrDevicePasswordID) || wire.MAC(f[attrMACAddress]) != r.s.mac {
		return nil, ErrMalformed
	}
	s := &r.s
	s.n1 = nonce(f[attrEnrolleeNonce])
	fill(s.rand, s.n2[:])
	var refusal error
	if f.u16(attrDevicePasswordID) != r.password {
		refusal = ErrRefused
	} else if r.check != nil {
		refusal = r.check([16]byte(f[attrUUIDE]))
	}
	if refusal != nil {
		r.err, r.refused = refusal, true
		return r.introduction(typeM2D, configError(refusal)), nil
	}
	s.pke, s.pkr, s.last = bytes.Clone(f[attrPublicKey]), s.keyPair(), bytes.Clone(b)
	if err := s.agree(s.pke); err != nil {
		return nil, err
	}
	r.next = typeM3
	l := r.introduction(typeM2, errorNone)
	return s.sign(&l), nil
}

// introduction is M2D, and M2 but for its authenticator.
func (r *Registrar) introduction(t messageType, fault uint16) list {
	s := &r.s
	var l list
	l.message(t)
	l.nonce(attrEnrolleeNonce, &s.n1)
	l.nonce(attrRegistrarNonce, &s.n2)
	l.bytes(attrUUIDR, r.me.UUID[:])
	if t == typeM2 {
		l.bytes(attrPublicKey, s.pkr)
	}
	r.me.describe(&l)
	r.me.introduce(&l)
	l.u16(attrAssociationState, 0)
	l.u16(attrConfigError, fault)
	if t == typeM2 {
		l.u16(attrDevicePasswordID, r.password)
	}
	l.u32(attrOSVersion, 1<<31)
	l.version2()
	return l
}

// later answers M3, M5 and M7.
func (r *Registrar) later(t messageType, f fields) ([]byte, error) {
	switch t {
	case typeM3:
		return r.m4(f)
	case typeM5:
		if err := r.s.proof(f, 0, attrESNonce1, r.ehash[0]); err != nil {
			return nil, err
		}
		r.next = typeM7
		var in list
		in.nonce(attrRSNonce2, &r.s2)
		l := r.begin(typeM6)
		return r.settings(l, in), nil
	}
	if err := r.s.proof(f, 1, attrESNonce2, r.ehash[1]); err != nil {
		return nil, err
	}
	r.next = typeDone
	var in list
	r.give.append(&in)
	return r.settings(r.begin(typeM8), in), nil
}

// m4 commits to both halves of the password, and proves the first.
func (r *Registrar) m4(f fields) ([]byte, error) {
	if !f.has(attrEHash1, attrEHash2) {
		return nil, ErrMalformed
	}
	r.ehash = [2][]byte{bytes.Clone(f[attrEHash1]), bytes.Clone(f[attrEHash2])}
	fill(r.s.rand, r.s1[:])
	fill(r.s.rand, r.s2[:])
	r.next = typeM5
	l := r.begin(typeM4)
	l.bytes(attrRHash1, r.s.commitment(0, r.s1[:]))
	l.bytes(attrRHash2, r.s.commitment(1, r.s2[:]))
	var in list
	in.nonce(attrRSNonce1, &r.s1)
	return r.settings(l, in), nil
}

func (r *Registrar) begin(t messageType) (l list) {
	l.message(t)
	l.nonce(attrEnrolleeNonce, &r.s.n1)
	return l
}

// settings ends a message with encrypted settings.
func (r *Registrar) settings(l, in list) []byte {
	l.bytes(attrEncryptedSettings, r.s.seal(in))
	l.version2()
	return r.s.sign(&l)
}

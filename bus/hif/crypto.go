package hif

// Group CRYPTO lets a host that has no hash and no big integers compute on the controller: an option of few builds. A
// request is the odd number, the answer is the next one, repeats the request's structure and has the result behind it.
// Spec hif-messages 5.2.

// Sizes of group CRYPTO in bytes.
const (
	SHA256Len       = 128 // of [SHA256] without data
	SHA256DigestLen = 32
	RSALen          = 552 // of [RSA] without data
	RSAMax          = 256 // longest modulus, exponent and signature
	cryptoResultLen = 4
)

// CryptoFailed is the result of an operation that was not done; 0 is success.
const CryptoFailed int8 = -12

// SHA256 is SHA256_INIT, SHA256_UPDATE and SHA256_FINISH. What the context holds is the controller's own affair.
type SHA256 struct {
	Context [SHA256Len]byte
	Data    []byte // behind the context; parsed: inside the payload, not copied
}

// ParseSHA256 reads the payload.
func ParseSHA256(b []byte) (SHA256, error) {
	if len(b) < SHA256Len {
		return SHA256{}, ErrShort
	}
	return SHA256{[SHA256Len]byte(b), b[SHA256Len:]}, nil
}

// Append appends the payload.
func (m SHA256) Append(b []byte) []byte { return append(append(b, m.Context[:]...), m.Data...) }

// SHA256Reply answers [SHA256].
type SHA256Reply struct {
	Context [SHA256Len]byte
	Result  int8
	Digest  []byte // of SHA256_FINISH, [SHA256DigestLen] bytes; parsed: inside the payload, not copied
}

// ParseSHA256Reply reads the payload.
func ParseSHA256Reply(b []byte) (SHA256Reply, error) {
	if len(b) < SHA256Len+cryptoResultLen {
		return SHA256Reply{}, ErrShort
	}
	return SHA256Reply{[SHA256Len]byte(b), int8(b[SHA256Len]), b[SHA256Len+cryptoResultLen:]}, nil
}

// Append appends the payload.
func (m SHA256Reply) Append(b []byte) []byte {
	b = append(b, m.Context[:]...)
	b = append(b, byte(m.Result), 0, 0, 0)
	return append(b, m.Digest...)
}

// RSA is RSA_SIGN and RSA_VERIFY.
type RSA struct {
	N, E     [RSAMax]byte // modulus and exponent
	Hash     [SHA256DigestLen]byte
	NSize    uint16 // bytes that count, of each
	ESize    uint16
	HashSize uint16
	Data     []byte // behind these; parsed: inside the payload, not copied
}

// ParseRSA reads the payload.
func ParseRSA(b []byte) (RSA, error) {
	if len(b) < RSALen {
		return RSA{}, ErrShort
	}
	return RSA{
		[RSAMax]byte(b), [RSAMax]byte(b[256:]), [SHA256DigestLen]byte(b[512:]),
		le.Uint16(b[544:]), le.Uint16(b[546:]), le.Uint16(b[548:]), b[RSALen:],
	}, nil
}

// Append appends the payload.
func (m RSA) Append(b []byte) []byte {
	b = append(append(append(b, m.N[:]...), m.E[:]...), m.Hash[:]...)
	b = le.AppendUint16(b, m.NSize)
	b = le.AppendUint16(b, m.ESize)
	b = le.AppendUint16(b, m.HashSize)
	return append(append(b, 0, 0), m.Data...)
}

// RSAReply answers [RSA]. Its Data are the signature that RSA_SIGN asked for, up to [RSAMax] bytes.
type RSAReply struct {
	RSA
	Result int8
}

// ParseRSAReply reads the payload.
func ParseRSAReply(b []byte) (RSAReply, error) {
	if len(b) < RSALen+cryptoResultLen {
		return RSAReply{}, ErrShort
	}
	m, err := ParseRSA(b)
	m.Data = b[RSALen+cryptoResultLen:]
	return RSAReply{m, int8(b[RSALen])}, err
}

// Append appends the payload.
func (m RSAReply) Append(b []byte) []byte {
	data := m.Data
	m.Data = nil
	b = m.RSA.Append(b)
	b = append(b, byte(m.Result), 0, 0, 0)
	return append(b, data...)
}

package hif

// SSLCreate is SSL_CREATE from the host, 4 bytes (3.12). There is no reply and no session.
type SSLCreate struct {
	Sock int8
}

// ParseSSLCreate reads the payload.
func ParseSSLCreate(b []byte) (SSLCreate, error) {
	if len(b) < 4 {
		return SSLCreate{}, ErrShort
	}
	return SSLCreate{Sock: int8(b[0])}, nil
}

// Append appends the payload.
func (m SSLCreate) Append(b []byte) []byte { return append(b, byte(m.Sock), 0, 0, 0) }

// SSLOpt is an option of [SSLOption] (3.12). Options 1, 3 and 4 stay in the host and show up in the
// [TLSFlags] of the connect.
type SSLOpt uint8

// The options.
const (
	SSLOptBypassX509   SSLOpt = 1
	SSLOptSNI          SSLOpt = 2 // value: the name of the server
	SSLOptCacheSession SSLOpt = 3
	SSLOptCheckSNI     SSLOpt = 4
	SSLOptALPN         SSLOpt = 5 // value: the list (19.7.7)
)

// SSLOption is SSL_SET_SOCK_OPT from the host, 72 bytes (3.12). There is no reply.
type SSLOption struct {
	Sock    int8
	Option  SSLOpt
	Session uint16
	Value   []byte // at most 64 bytes; parsed: inside the payload, not copied
}

// Sizes of [SSLOption] in bytes.
const (
	SSLOptionLen = 72
	MaxSSLValue  = 64
)

// ParseSSLOption reads the payload. A length of more than [MaxSSLValue] is [ErrInvalid].
func ParseSSLOption(b []byte) (SSLOption, error) {
	if len(b) < SSLOptionLen {
		return SSLOption{}, ErrShort
	}
	m, n := SSLOption{Sock: int8(b[0]), Option: SSLOpt(b[1]), Session: le.Uint16(b[2:])}, le.Uint32(b[4:])
	if n > MaxSSLValue {
		return m, ErrInvalid
	}
	m.Value = b[8:][:n]
	return m, nil
}

// Append appends the payload.
func (m SSLOption) Append(b []byte) []byte {
	b = append(b, byte(m.Sock), byte(m.Option), byte(m.Session), byte(m.Session>>8))
	b = le.AppendUint32(b, uint32(min(len(m.Value), MaxSSLValue)))
	return appendField(b, m.Value, MaxSSLValue)
}

// The list for ALPN, as it stands in the value of [SSLOptALPN]: a 16-bit length, big-endian, and names of one to 255 bytes
// with their length in front, as in a ClientHello (RFC 7301, 3.1).

// ParseALPN reads a list. The length in front may be missing; zeros behind the list do not matter. No names, and lengths
// that disagree, are not ok.
func ParseALPN(b []byte) (names []string, ok bool) {
	if len(b) > 2 && b[0] == 0 {
		n := int(b[1])
		if n > len(b)-2 {
			return nil, false
		}
		b = b[2:][:n]
	}
	for len(b) > 0 && b[0] != 0 {
		n := int(b[0])
		if n > len(b)-1 {
			return nil, false
		}
		names, b = append(names, string(b[1:][:n])), b[1+n:]
	}
	return names, len(names) > 0
}

// AppendALPN appends a list of names, each of one to 255 bytes.
func AppendALPN(b []byte, names []string) []byte {
	n := 0
	for _, name := range names {
		n += 1 + len(name)
	}
	b = append(b, byte(n>>8), byte(n))
	for _, name := range names {
		b = append(append(b, byte(len(name))), name...)
	}
	return b
}

// ExpCheck says whether the dates of certificates count.
type ExpCheck uint32

// The choices.
const (
	ExpCheckOff   ExpCheck = 0
	ExpCheckOn    ExpCheck = 1
	ExpCheckKnown ExpCheck = 2 // if the time is known; the default
)

// SSLExpCheck is SSL_EXP_CHECK from the host, 4 bytes (3.12). There is no reply.
type SSLExpCheck struct {
	Mode ExpCheck
}

// ParseSSLExpCheck reads the payload.
func ParseSSLExpCheck(b []byte) (SSLExpCheck, error) {
	if len(b) < 4 {
		return SSLExpCheck{}, ErrShort
	}
	return SSLExpCheck{Mode: ExpCheck(le.Uint32(b))}, nil
}

// Append appends the payload.
func (m SSLExpCheck) Append(b []byte) []byte { return le.AppendUint32(b, uint32(m.Mode)) }

// CipherSuites is SET_CS_LIST from the host, and RESP_SET_CS_LIST with the suites that are active, 4
// bytes (5.1). Bit numbers are those of the spec.
type CipherSuites struct {
	Bits uint32
}

// ParseCipherSuites reads the payload.
func ParseCipherSuites(b []byte) (CipherSuites, error) {
	if len(b) < 4 {
		return CipherSuites{}, ErrShort
	}
	return CipherSuites{Bits: le.Uint32(b)}, nil
}

// Append appends the payload.
func (m CipherSuites) Append(b []byte) []byte { return le.AppendUint32(b, m.Bits) }

// ECC is REQ_ECC and RESP_ECC, 112 bytes, and further data at that offset (5.1). A device in software
// has no need to ask the host; the union in it stays as it is.
type ECC struct {
	Request  uint16 // 1 client ECDH, 2 server ECDH, 3 generate a key, 4 sign, 5 verify
	Status   uint16
	UserData uint32
	Sequence uint32
	Union    [100]byte
	Data     []byte // behind the 112 bytes; parsed: inside the payload, not copied
}

// ECCLen is the length of [ECC] without further data, and their offset.
const ECCLen = 112

// ParseECC reads the payload.
func ParseECC(b []byte) (ECC, error) {
	if len(b) < ECCLen {
		return ECC{}, ErrShort
	}
	return ECC{Request: le.Uint16(b), Status: le.Uint16(b[2:]), UserData: le.Uint32(b[4:]), Sequence: le.Uint32(b[8:]),
		Union: [100]byte(b[12:]), Data: b[ECCLen:]}, nil
}

// Append appends the payload.
func (m ECC) Append(b []byte) []byte {
	b = le.AppendUint16(b, m.Request)
	b = le.AppendUint16(b, m.Status)
	b = le.AppendUint32(b, m.UserData)
	b = le.AppendUint32(b, m.Sequence)
	b = append(b, m.Union[:]...)
	return append(b, m.Data...)
}

// OwnCerts is a piece of WRITE_OWN_CERTS from the host, from 19.6.1 on (5.1), and, without Data, the answer. Lengths and
// offsets count words of four bytes.
type OwnCerts struct {
	Total, Offset, Chunk uint16
	Data                 []byte // 4·Chunk bytes; parsed: inside the payload, not copied
}

// OwnCertsLen is the length of the head.
const OwnCertsLen = 8

const ownCertsMark = 0x6ec8

// Head is m without its data.
func (m OwnCerts) Head() OwnCerts { return OwnCerts{Total: m.Total, Offset: m.Offset, Chunk: m.Chunk} }

// ParseOwnCerts reads a piece. Another signature is [ErrInvalid].
func ParseOwnCerts(b []byte) (OwnCerts, error) {
	m, err := ParseOwnCertsReply(b)
	if err != nil {
		return m, err
	}
	n := 4 * int(m.Chunk)
	if len(b) < OwnCertsLen+n {
		return m, ErrShort
	}
	m.Data = b[OwnCertsLen:][:n]
	return m, nil
}

// ParseOwnCertsReply reads the answer, which is a head.
func ParseOwnCertsReply(b []byte) (OwnCerts, error) {
	if len(b) < OwnCertsLen {
		return OwnCerts{}, ErrShort
	}
	if le.Uint16(b) != ownCertsMark {
		return OwnCerts{}, ErrInvalid
	}
	return OwnCerts{Total: le.Uint16(b[2:]), Offset: le.Uint16(b[4:]), Chunk: le.Uint16(b[6:])}, nil
}

// Append appends the payload.
func (m OwnCerts) Append(b []byte) []byte {
	b = le.AppendUint16(b, ownCertsMark)
	b = le.AppendUint16(b, m.Total)
	b = le.AppendUint16(b, m.Offset)
	b = le.AppendUint16(b, m.Chunk)
	return append(b, m.Data...)
}

// CRL is IND_CRL from the host, 684 bytes (5.1): certificates that are revoked.
type CRL struct {
	Type    uint8
	Entries [][]byte // at most [MaxCRL] of at most 64 bytes; parsed: inside the payload, not copied
}

// Sizes of [CRL].
const (
	CRLLen    = 684 // bytes
	MaxCRL    = 10
	crlEntry  = 68
	crlMaxLen = 64
)

// ParseCRL reads the payload. Empty entries are left out; one of more than 64 bytes is [ErrInvalid].
func ParseCRL(b []byte) (CRL, error) {
	if len(b) < CRLLen {
		return CRL{}, ErrShort
	}
	m := CRL{Type: b[0]}
	for e := b[4:CRLLen]; len(e) > 0; e = e[crlEntry:] {
		if e[0] > crlMaxLen {
			return m, ErrInvalid
		}
		if e[0] > 0 {
			m.Entries = append(m.Entries, e[1:][:e[0]])
		}
	}
	return m, nil
}

// Append appends the payload.
func (m CRL) Append(b []byte) []byte {
	b = append(b, m.Type, 0, 0, 0)
	for i := range MaxCRL {
		var e []byte
		if i < len(m.Entries) {
			e = m.Entries[i][:min(len(m.Entries[i]), crlMaxLen)]
		}
		b = append(b, byte(len(e)))
		b = appendField(b, e, crlEntry-1)
	}
	return b
}

package remote

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var le = binary.LittleEndian

// Version is the version of the protocol.
const Version = 1

// MaxTransfer is the most slots of one window, in bytes.
const MaxTransfer = 256 << 10

// magic begins a hello.
const magic = "USTB"

// kind is the first byte of a frame. An answer has the kind of its request with bit 7 set.
type kind uint8

const (
	kindHello   kind = 1 // magic, u16 version, u16 0
	kindTx      kind = 2 // u32 slots, bytes to the chip (the rest is zero)
	kindReset   kind = 3 // u8 level of RESET_N
	kindEnable  kind = 4 // u8 level of CHIP_EN
	kindIRQ     kind = 5 // nothing; answered with u8 asserted
	kindInspect kind = 6 // in place of HELLO, and the same; answered with a text; then the server hangs up
	answer      kind = 0x80
	kindEdge    kind = 0xc0 // from the server, at any time: the interrupt line fell
	kindRefuse  kind = 0xfe // from the server: u8 reason, text; then it hangs up
)

// String prints the name of the kind, or its number.
func (k kind) String() string {
	names := map[kind]string{kindHello: "HELLO", kindTx: "TX", kindReset: "RESET", kindEnable: "ENABLE", kindIRQ: "IRQ",
		kindInspect: "INSPECT", kindEdge: "EDGE", kindRefuse: "REFUSE"}
	if s, ok := names[k]; ok {
		return s
	}
	if s, ok := names[k&^answer]; ok && k&answer != 0 {
		return s + " answer"
	}
	return fmt.Sprintf("frame(%#x)", uint8(k))
}

const (
	flagAnswer = 1 << 0 // on a request: an answer is wanted
	flagError  = 1 << 0 // on an answer: the payload is the text of an error
)

// reason says why a server refuses a client.
type reason uint8

const (
	reasonBusy    reason = 1 // another host has the bus
	reasonVersion reason = 2 // not this protocol, or not this version of it
	reasonFrame   reason = 3 // a frame that makes no sense
	reasonInspect reason = 4 // the device is not shown
)

const (
	frameHeader = 8
	helloLen    = len(magic) + 4
	txHeader    = 4 // slots, or offset of the first byte
	maxPayload  = txHeader + MaxTransfer
	maxText     = 512 // of an error
)

// errFrame is a frame that makes no sense.
var errFrame = errors.New("malformed frame")

// frame is one message on the socket:
//
//	u8 kind, u8 flags, u16 0, u32 length of the payload; payload. Little-endian.
type frame struct {
	kind    kind
	flags   uint8
	payload []byte // valid until the next frame is read
}

// reader reads frames into one buffer, which grows with need up to the largest frame.
type reader struct {
	r   *bufio.Reader
	buf []byte
}

func newReader(r io.Reader) *reader { return &reader{r: bufio.NewReaderSize(r, 16<<10)} }

// next reads a frame. A payload longer than limit is errFrame.
func (r *reader) next(limit int) (frame, error) {
	h, err := r.r.Peek(frameHeader)
	if err != nil {
		if len(h) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	f := frame{kind: kind(h[0]), flags: h[1]}
	n := le.Uint32(h[4:])
	if h[2] != 0 || h[3] != 0 || uint64(n) > uint64(limit) {
		return f, fmt.Errorf("%w: %v with %d bytes of payload", errFrame, f.kind, n)
	}
	r.r.Discard(frameHeader)
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, n)
	}
	f.payload = r.buf[:n]
	if _, err := io.ReadFull(r.r, f.payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return f, err
	}
	return f, nil
}

// beginFrame appends the header of a frame whose payload follows.
func beginFrame(b []byte, k kind, flags uint8) []byte {
	return append(b, byte(k), flags, 0, 0, 0, 0, 0, 0)
}

// endFrame fills in the length of the frame that began at b[at:].
func endFrame(b []byte, at int) []byte {
	le.PutUint32(b[at+4:], uint32(len(b)-at-frameHeader))
	return b
}

// appendFrame appends a whole frame.
func appendFrame(b []byte, k kind, flags uint8, payload ...byte) []byte {
	at := len(b)
	return endFrame(append(beginFrame(b, k, flags), payload...), at)
}

// appendHello appends the first frame of a client: kindHello or kindInspect.
func appendHello(b []byte, k kind) []byte {
	at := len(b)
	b = append(beginFrame(b, k, flagAnswer), magic...)
	b = le.AppendUint16(b, Version)
	return endFrame(append(b, 0, 0), at)
}

// trim returns b without the zeros at its end.
func trim(b []byte) []byte {
	for len(b) >= 8 && le.Uint64(b[len(b)-8:]) == 0 {
		b = b[:len(b)-8]
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// lead returns the number of zeros at the start of b.
func lead(b []byte) int {
	i := 0
	for i+8 <= len(b) && le.Uint64(b[i:]) == 0 {
		i += 8
	}
	for i < len(b) && b[i] == 0 {
		i++
	}
	return i
}

package spi

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// chip is a memory to test against: registers in a map, bytes in an array.
type chip struct {
	regs   map[uint32]uint32
	ram    []byte // at reg.SharedMemory
	other  map[uint32]byte
	writes []string // registers written, in order
}

func newChip() *chip {
	return &chip{regs: map[uint32]uint32{reg.ChipID: reg.ChipID1500}, ram: make([]byte, 64<<10), other: map[uint32]byte{}}
}

func (c *chip) ReadReg(_ time.Time, a uint32) uint32 { return c.regs[a] }
func (c *chip) WriteReg(_ time.Time, a, v uint32) {
	c.regs[a] = v
	c.writes = append(c.writes, fmt.Sprintf("%x=%x", a, v))
}

func (c *chip) ReadMem(_ time.Time, a uint32, p []byte) {
	if a >= reg.SharedMemory && int(a-reg.SharedMemory)+len(p) <= len(c.ram) {
		copy(p, c.ram[a-reg.SharedMemory:])
		return
	}
	for i := range p {
		p[i] = c.other[a+uint32(i)]
	}
}

func (c *chip) WriteMem(_ time.Time, a uint32, p []byte) {
	if a >= reg.SharedMemory && int(a-reg.SharedMemory)+len(p) <= len(c.ram) {
		copy(c.ram[a-reg.SharedMemory:], p)
		return
	}
	for i, v := range p {
		c.other[a+uint32(i)] = v
	}
}

// wire joins a master to a slave, and writes down the windows.
type wire struct {
	s   *Slave
	log *[]string
}

func (w wire) Tx(o, i []byte) error {
	w.s.Transfer(time.Time{}, o, i)
	if w.log != nil {
		if o != nil {
			*w.log = append(*w.log, fmt.Sprintf("> % X", o))
		}
		if i != nil {
			*w.log = append(*w.log, fmt.Sprintf("< % X", i))
		}
	}
	return nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

// play clocks a trace of the form of spec host-bus 7 through a slave, one window a line: "> bytes" to
// it, "< bytes" expected from it.
func play(t *testing.T, s *Slave, trace string) {
	t.Helper()
	for _, line := range lines(trace) {
		b := unhex(t, line[1:])
		if line[0] == '>' {
			s.Transfer(time.Time{}, b, nil)
			continue
		}
		got := make([]byte, len(b))
		s.Transfer(time.Time{}, nil, got)
		if !bytes.Equal(got, b) {
			t.Errorf("in %q: got % X, want % X", trace, got, b)
		}
	}
}

func lines(trace string) []string {
	var out []string
	for line := range strings.SplitSeq(trace, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func TestCRC7VectorsOfTheSpec(t *testing.T) {
	// Spec host-bus 2.3: command, CRC byte.
	vectors := `
		CA001000 CA, C4800100 00, CA0013F4 A4, C4800B00 9C, CA00E824 BC, C4800F00 C4, CA001014 B0, C4801000 64,
		CA0207BC 6A, C3800B00000001 9A, CA0C000C DE, C3800100000002 22, CA0C0008 96, C3800100000003 30,
		CA00108C 90, C3800100000000 06, CA001070 54, C3800B00000000 88, CA001078 C4, C900E82400000052 5C,
		CA001084 00, C90014A000000102 24, CA150400 6E, C900108C13521352 5C, CA001408 02, C90C000CEF522F61 D8,
		CA001A00 56, C900107800000002 A4, C8030C08000008 F4, C900108C00080501 E2, C70D0100000008 3A,
		C900106C00340402 44, CFFFFFFF AA, C900140000000000 66, C5000000 9A, C6000000 90`
	n := 0
	for v := range strings.SplitSeq(vectors, ",") {
		f := strings.Fields(v)
		if got, want := CRC7(unhex(t, f[0])), unhex(t, f[1])[0]; got != want {
			t.Errorf("CRC7(%s) = %02X, want %02X", f[0], got, want)
		}
		n++
	}
	if n != 36 {
		t.Errorf("%d vectors, want 36", n)
	}
}

// crc7Bitwise is the definition of spec host-bus 2.3, bit by bit.
func crc7Bitwise(b []byte) uint8 {
	r := uint8(0x7f)
	for _, v := range b {
		for i := 7; i >= 0; i-- {
			top := r>>6 ^ v>>i
			r = r << 1 & 0x7f
			if top&1 != 0 {
				r ^= 0x09
			}
		}
	}
	return r << 1
}

func FuzzCRC7AgainstItsDefinition(f *testing.F) {
	f.Add([]byte{0xca, 0, 0x10, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := CRC7(b), crc7Bitwise(b); got != want {
			t.Errorf("CRC7(%x) = %02X, want %02X", b, got, want)
		}
	})
}

func TestCRC16CheckValue(t *testing.T) {
	if got := CRC16([]byte("123456789")); got != 0x29b1 {
		t.Errorf("CRC16 = %04X, want 29B1", got)
	}
}

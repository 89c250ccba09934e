package shim_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// chip is a slave with memory, and a diary of what was written.
type chip struct {
	mu     sync.Mutex
	slave  *spi.Slave
	regs   map[uint32]uint32
	mem    [1 << 16]byte
	diary  []string
	rounds int
}

func newChip() *chip {
	c := &chip{regs: map[uint32]uint32{reg.ChipID: reg.ChipID1500}}
	c.slave = spi.NewSlave(c)
	rand.NewChaCha8([32]byte{1}).Read(c.mem[:])
	return c
}

func (c *chip) ReadReg(_ time.Time, a uint32) uint32 { return c.regs[a] }
func (c *chip) WriteReg(_ time.Time, a, v uint32) {
	c.regs[a] = v
	c.diary = append(c.diary, fmt.Sprintf("W %#x %#x", a, v))
}

func (c *chip) ReadMem(_ time.Time, a uint32, p []byte) {
	for i := range p {
		p[i] = c.mem[(a+uint32(i))&0xffff]
	}
}

func (c *chip) WriteMem(_ time.Time, a uint32, p []byte) {
	for i := range p {
		c.mem[(a+uint32(i))&0xffff] = p[i]
		c.diary = append(c.diary, fmt.Sprintf("M %#x %#x", a+uint32(i), p[i]))
	}
}

func (c *chip) Tx(w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slave.Transfer(time.Time{}, w, r)
	if r != nil {
		c.rounds++
	}
	return nil
}

func (c *chip) SetReset(low bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if low {
		c.slave.HardReset()
	}
	return nil
}
func (c *chip) SetEnable(bool) error { return nil }
func (c *chip) IRQ() (bool, error)   { return false, nil }
func (c *chip) OnIRQ(func())         {}

var _ bus.Port = (*chip)(nil)

// hostScript writes what a host with odd habits does on the board layer: all kinds of
// accesses, with and without checksums, data that looks like commands, answers that are
// read late, in part, too far or not at all, dummies, resets in the middle.
type hostScript struct {
	strings.Builder
	rnd    *rand.Rand
	crc    bool
	packet int
}

func (h *hostScript) do(format string, args ...any) { fmt.Fprintf(h, format+"\n", args...) }

func (h *hostScript) command(b ...byte) {
	if h.crc {
		b = append(b, spi.CRC7(b))
	}
	h.do("bwrite %x", b)
}

// reads reads n bytes in pieces, sometimes as dummies of an exchange.
func (h *hostScript) reads(n int) {
	for n > 0 {
		k := 1 + h.rnd.IntN(n)
		if h.rnd.IntN(3) == 0 {
			k = 1
		}
		switch h.rnd.IntN(12) {
		case 0:
			h.do("bexchange %x", make([]byte, k))
		case 1:
			h.do("bwrite %x", make([]byte, k)) // clocks without looking
		default:
			h.do("bread %d", k)
		}
		n -= k
	}
}

// lately is how much of an answer of n bytes the host reads.
func (h *hostScript) lately(n int) int {
	switch h.rnd.IntN(8) {
	case 0:
		return h.rnd.IntN(n)
	case 1:
		return n + h.rnd.IntN(9)
	}
	return n
}

func (h *hostScript) sum() int {
	if h.crc {
		return 2
	}
	return 0
}

func (h *hostScript) data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.rnd.Uint32())
	}
	if h.rnd.IntN(2) == 0 { // looks like a command
		copy(b, []byte{0xca, 0x00, 0x10, 0x00, 0xca, 0xc9, 0x00, 0xe8, 0x24})
	}
	if h.rnd.IntN(4) == 0 {
		clear(b)
	}
	return b
}

func (h *hostScript) access() {
	addr := uint32(0x2000 + h.rnd.IntN(0x4000))
	a := []byte{byte(addr >> 16), byte(addr >> 8), byte(addr)}
	n := []int{2, 3, 4, 5, 7, 8, 9, 40, 255, 256, 257, 600, 1500}[h.rnd.IntN(13)]
	packets := (n + h.packet - 1) / h.packet
	switch h.rnd.IntN(9) {
	case 0, 1:
		h.command(0xca, 0, 0x10, 0)
		h.reads(h.lately(2 + 1 + 4 + h.sum()))
	case 2:
		h.command(append(append([]byte{0xc9}, a...), h.data(4)...)...)
		h.reads(h.lately(2))
	case 3:
		h.command(0xc4, 0x80, 0x0f, 0)
		h.reads(h.lately(2 + 1 + 4))
	case 4:
		h.command(append(append([]byte{0xc8}, a...), 0, byte(n>>8), byte(n))...)
		h.reads(h.lately(2 + n + packets*(1+h.sum())))
	case 5, 6:
		h.write(a, n)
	case 7:
		h.command(0xcf, 0xff, 0xff, 0xff)
		h.reads(3)
	case 8:
		h.configure()
	}
	if h.rnd.IntN(10) == 0 {
		h.do("bwrite %x", make([]byte, 1+h.rnd.IntN(5)))
	}
}

// configure changes checksums and the size of packets.
func (h *hostScript) configure() {
	code, crc := h.rnd.IntN(6), h.rnd.IntN(2) == 0
	v := byte(2 | code<<4)
	if crc {
		v |= 0xc
	}
	h.command(0xc9, 0, 0xe8, 0x24, 0, 0, 0, v)
	h.reads(2)
	h.crc, h.packet = crc, 256<<code
}

// write is a block write, token and data in windows of their own or together.
func (h *hostScript) write(a []byte, n int) {
	h.command(append(append([]byte{0xc7}, a...), 0, byte(n>>8), byte(n))...)
	h.reads(2)
	if h.rnd.IntN(10) == 0 { // thinks better of it
		h.command(0xcf, 0xff, 0xff, 0xff)
		h.reads(3)
		return
	}
	if h.rnd.IntN(6) == 0 {
		h.do("bwrite %x", make([]byte, 1+h.rnd.IntN(3)))
	}
	for left := n; left > 0; {
		k := min(left, h.packet)
		left -= k
		token, data, sum := []byte{0xf3}, h.data(k), make([]byte, h.sum())
		switch h.rnd.IntN(3) {
		case 0:
			h.do("bwrite %x%x%x", token, data, sum)
		case 1:
			h.do("bwrite %x", token)
			h.do("bwrite %x%x", data, sum)
		default:
			h.do("bwrite %x", token)
			h.do("bwrite %x", data)
			if len(sum) > 0 {
				h.do("bwrite %x", sum)
			}
		}
	}
	h.reads(h.lately(3 - h.sum()/2))
}

// A host reads the same bytes and leaves the same chip behind whether the board layer
// clocks ahead or not.
func TestClockingAheadChangesNothing(t *testing.T) {
	program := build(t, "testdata/probe.c", sanitized)
	ahead, exactly := 0, 0
	for seed := range uint64(12) {
		h := &hostScript{rnd: rand.New(rand.NewPCG(seed, 2)), crc: true, packet: 1024}
		for range 120 {
			h.access()
		}
		out, chips := map[string]string{}, map[string]*chip{}
		for _, how := range []string{"board", "exact"} {
			c := newChip()
			chips[how] = c
			out[how] = run(t, how+" "+serve(t, "unix", c)+"\n"+h.String()+"bread 40\nbclose\n", program, "-", "0")
			if c.slave.Stats().CRC7Errors > 0 {
				t.Fatalf("seed %d: the script is wrong: %+v", seed, c.slave.Stats())
			}
		}
		if out["board"] != out["exact"] {
			t.Fatalf("seed %d: %s", seed, firstDifference(h.String(), out["board"], out["exact"]))
		}
		if a, b := strings.Join(chips["board"].diary, "\n"), strings.Join(chips["exact"].diary, "\n"); a != b {
			t.Fatalf("seed %d: the chip was told other things", seed)
		}
		ahead += chips["board"].rounds
		exactly += chips["exact"].rounds
	}
	if ahead*2 > exactly {
		t.Errorf("%d round trips ahead, %d exactly", ahead, exactly)
	}
}

func firstDifference(script, a, b string) string {
	in, x, y := strings.Split(script, "\n"), strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d: %s, exactly: %s\nafter\n%s", i, x[i], y[i], strings.Join(in[max(0, i-8):min(i, len(in))], "\n"))
		}
	}
	return "different lengths"
}

// The worked traces of spec/host-bus.md 7, window by window as a vendor's driver clocks
// them, through the board layer.
func TestBoardPlaysTheWorkedTraces(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	c := newChip()
	c.regs[reg.GP2], c.regs[reg.ClocksEn] = 0, 4
	copy(c.mem[0x0c08:], []byte{0xc0, 0x0c, 0xc8, 0x0c, 0x40, 0x0c, 0x80, 0x0c})
	for _, how := range []string{"board", "exact", "threaded"} {
		got := run(t, how+" "+serve(t, "tcp", c)+`
bwrite ca001000ca
bread 1
bread 1
bread 1
bread 4
bread 2
bwrite c90014a00000010224
bread 1
bread 1
bwrite c900e824000000525c
bread 1
bread 1
bwrite ca001000
bread 7
bwrite c4800f00
bread 7
bwrite c8030c08000008
bread 1
bread 1
bread 1
bread 8
bwrite c70d0100000008
bread 1
bread 1
bwrite f3
bwrite 0105080000000000
bread 3
bwrite cfffffff
bread 3
breset
bwrite ca001000ca
bread 9
bclose
`, program, "-", "0")
		want := `board 0
bwrite 0
bread 0 ca
bread 0 00
bread 0 f3
bread 0 a0031000
bread 0 3495
bwrite 0
bread 0 c9
bread 0 00
bwrite 0
bread 0 c9
bread 0 00
bwrite 0
bread 0 ca00f3a0031000
bwrite 0
bread 0 c400f304000000
bwrite 0
bread 0 c8
bread 0 00
bread 0 f3
bread 0 c00cc80c400c800c
bwrite 0
bread 0 c7
bread 0 00
bwrite 0
bwrite 0
bread 0 00c300
bwrite 0
bread 0 00cf00
breset 0
bwrite 0
bread 0 ca00f3a00310003495
bclose 0
`
		if got != want {
			t.Errorf("%s: got\n%s", how, got)
		}
	}
	if v := binary.LittleEndian.Uint64(c.mem[0x0100:]); v != 0x00080501 {
		t.Errorf("memory at 0x0d0100: %#x", v)
	}
}

// The board's reset holds both lines low and raises enable first (spec/host-bus.md 1.4);
// its end leaves the chip in reset.
func TestBoardResets(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	l := &lines{}
	got := run(t, "board "+serve(t, "unix", l)+"\nboard again\nbread 2\nbclose\nbclose\nbread 1\n", program, "-", "0")
	if want := "board 0\nboard 0\nbread 0 a5a5\nbclose 0\nbclose 0\nbread -1\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	once := "ENABLE false,RESET false,ENABLE true,RESET true"
	if got, want := strings.Join(l.asked, ","), once+","+once+",RESET false,ENABLE false"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The interrupt comes at the end of a transfer, while sleeping and while polling; not
// while it is disabled, but then, and only if the line is still low.
func TestBoardInterrupt(t *testing.T) {
	for _, v := range []variant{sanitized, single} {
		program := build(t, "testdata/probe.c", v)
		got := run(t, "board "+serve(t, "unix", &lines{})+`
edges
bexchange 01
bsleep 50
edges
bexchange 02
bint 0
bexchange 01
bsleep 30
edges
bint 1
bpoll 1000
edges
bexchange 02
bint 0
bexchange 01
bsleep 30
bexchange 02
bint 1
bpoll 30
edges
bexchange 01
bread 1
bread 1
bpoll 100
edges
bclose
bpoll 0
`, program, "-", "0")
		got = strings.NewReplacer("bpoll 1", "bpoll 0").Replace(got) // it may have come with the transfer before
		want := `board 0
edges 0
bexchange 0 fe
edges 1
bexchange 0 fd
bexchange 0 fe
edges 1
bpoll 0
edges 2
bexchange 0 fd
bexchange 0 fe
bexchange 0 fd
bpoll 0
edges 2
bexchange 0 fe
bread 0 a5
bread 0 a5
bpoll 0
edges 3
bclose 0
bpoll -1
`
		if got != want {
			t.Errorf("%s: got\n%s", v.name, got)
		}
	}
	// The same on a thread.
	program := build(t, "testdata/probe.c", racy)
	got := run(t, "threaded "+serve(t, "unix", &lines{})+"\nbexchange 01\nawait 1\nbint 0\nbexchange 01\nbsleep 30\nedges\nbint 1\nawait 2\nbclose\n", program, "-", "0")
	if want := "board 0\nbexchange 0 fe\nawait 1\nbexchange 0 fe\nedges 1\nawait 1\nbclose 0\n"; got != want {
		t.Errorf("on a thread: got\n%s", got)
	}
}

// A server that goes away is an error in the next call, and in all after it.
func TestBoardSurvivesTheServer(t *testing.T) {
	program := build(t, "testdata/probe.c", sanitized)
	ok := frame(0x83, 0)
	addr := fake(t, says(true, hello, frame(0x84, 0), ok, frame(0x84, 0), ok, tx(5, 0xca)))
	got := run(t, "board "+addr+"\nbwrite ca001000ca\nbread 1\nbread 20\nbwrite c90014a00000010224\nbpoll 10\nbsleep 20\nbclose\n", program, "-", "0")
	want := fmt.Sprintf("board 0\nbwrite 0\nbread 0 ca\nbread %d\nbwrite %d\nbpoll %d\nbclose %d\n", errGone, errGone, errGone, errGone)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

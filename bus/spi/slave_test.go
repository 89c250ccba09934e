package spi

import (
	"bytes"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// slaveWith returns a slave with checksums on or off and what stands behind it.
func slaveWith(config uint32) (*Slave, *chip) {
	c := newChip()
	s := NewSlave(c)
	s.config = config
	return s, c
}

// tx clocks one window and returns what came.
func tx(s *Slave, w []byte) []byte {
	r := make([]byte, len(w))
	s.Transfer(time.Time{}, w, r)
	return r
}

func read(s *Slave, n int) []byte {
	r := make([]byte, n)
	s.Transfer(time.Time{}, nil, r)
	return r
}

func TestBD02_EchoAndStateStandBackToBack(t *testing.T) {
	for _, cmd := range []string{"C4800F00", "CA001000", "C3800B00000001", "C90014A000000102", "C80D000000000A", "C70D000000000A",
		"C10D0000000A", "C20D0000000A"} {
		s, _ := slaveWith(reg.SPIConfigHost)
		w := unhex(t, cmd)
		if got, want := tx(s, append(w, 0, 0))[len(w):], []byte{w[0], 0}; !bytes.Equal(got, want) {
			t.Errorf("%s: % X, want % X", cmd, got, want)
		}
	}
}

func TestBD03_FillerIsZero(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	w := append(unhex(t, "CA 00 10 00"), make([]byte, 200)...)
	w[100], w[101], w[102] = 0xf3, 0x5a, 0xff // stray bytes in the idle state
	if got := tx(s, w)[11:]; !bytes.Equal(got, make([]byte, len(got))) {
		t.Errorf("% X", got)
	}
}

func TestBD04_TokenFollowsTheState(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	if got := tx(s, append(unhex(t, "C8 0D 00 00 00 00 02"), 0, 0, 0))[9]; got != tokenLast {
		t.Errorf("%02X", got)
	}
}

func TestBD05_DataResponse(t *testing.T) {
	for _, c := range []struct {
		config uint32
		play   string
	}{
		{reg.SPIConfigAtReset, "> C7 0D 00 00 00 00 02 [crc]\n< C7 00\n> F3 11 22 00 00\n< C3 00 00 00"},
		{reg.SPIConfigHost, "> C7 0D 00 00 00 00 02\n< C7 00\n> F3 11 22\n< 00 C3 00 00"},
		// 600 bytes in packets of 256: an answer after each packet.
		{reg.SPIAlwaysOne, "> C7 0D 00 00 00 02 58\n< C7 00\n> F1 [256]\n< 00 C1 00\n> F2 [256]\n< 00 C2 00\n> F3 [88]\n< 00 C3 00"},
	} {
		s, _ := slaveWith(c.config)
		play(t, s, expand(c.play))
	}
}

// expand replaces [crc] by the CRC7 of the command before it and [n] by n bytes.
func expand(trace string) string {
	for {
		i := bytes.IndexByte([]byte(trace), '[')
		if i < 0 {
			return trace
		}
		j := i + bytes.IndexByte([]byte(trace[i:]), ']')
		var fill string
		if trace[i+1:j] == "crc" {
			k := bytes.LastIndexByte([]byte(trace[:i]), '>')
			var b []byte
			for _, f := range bytes.Fields([]byte(trace[k+1 : i])) {
				b = append(b, hexByte(f))
			}
			fill = string([]byte{"0123456789ABCDEF"[CRC7(b)>>4], "0123456789ABCDEF"[CRC7(b)&15]})
		} else {
			n := 0
			for _, c := range trace[i+1 : j] {
				n = n*10 + int(c-'0')
			}
			fill = string(bytes.Repeat([]byte("5A "), n))
		}
		trace = trace[:i] + fill + trace[j+1:]
	}
}

func hexByte(f []byte) byte {
	v := byte(0)
	for _, c := range f {
		v <<= 4
		if c <= '9' {
			v |= c - '0'
		} else {
			v |= c - 'A' + 10
		}
	}
	return v
}

func TestBD05_ResponseFollowsTheByteCountNotTheToken(t *testing.T) {
	s, _ := slaveWith(reg.SPIAlwaysOne | 2<<reg.SPIPacketShift)
	play(t, s, "> C7 0D 00 00 00 00 02\n< C7 00\n> F1 11 22\n< 00 C3 00")
}

func TestBD06_UnreadAnswersAreFlushed(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	tx(s, unhex(t, "C9 00 14 00 00 00 00 00"))
	play(t, s, "> CA 00 10 00\n< CA 00 F3 A0 03 10 00")
	if n := s.Stats().Flushed; n != 1 {
		t.Errorf("%d answers flushed", n)
	}
	// Also in the middle of a block.
	tx(s, unhex(t, "C8 0D 00 00 00 FF FF"))
	read(s, 100)
	play(t, s, "> CA 00 10 00\n< CA 00 F3 A0 03 10 00 00 00")
}

func TestBD07_CRC16OfAWriteIsIgnored(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigAtReset)
	play(t, s, expand("> C7 0D 00 00 00 00 02 [crc]\n< C7 00\n> F3 11 22 AB CD\n< C3 00"))
	if c.ram[0] != 0x11 || c.ram[1] != 0x22 {
		t.Errorf("% X", c.ram[:2])
	}
}

func TestBD08_BlocksOfAnyLengthAtAnyAddress(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigHost)
	m := NewMaster(wire{s: s}, MasterConfig{})
	m.crc, m.packet = false, 8192
	for n := 1; n < 40; n++ {
		for off := range 5 {
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(n*7 + i + off)
			}
			if err := m.WriteBlock(reg.SharedMemory+uint32(off), p); err != nil {
				t.Fatal(err)
			}
			if got := c.ram[off : off+n]; !bytes.Equal(got, p) {
				t.Fatalf("%d bytes at %d: % X, want % X", n, off, got, p)
			}
			got := make([]byte, n)
			if err := m.ReadBlock(reg.SharedMemory+uint32(off), got); err != nil || !bytes.Equal(got, p) {
				t.Fatalf("%d bytes at %d: % X, want % X (%v)", n, off, got, p, err)
			}
		}
	}
}

func TestBlocksWrapAtTheEndOfTheAddressSpace(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigHost)
	play(t, s, "> C7 FF FF FE 00 00 04\n< C7 00\n> F3 01 02 03 04\n< 00 C3 00")
	if c.other[0xfffffe] != 1 || c.other[0] != 3 || c.other[1] != 4 {
		t.Errorf("%v", c.other)
	}
	play(t, s, "> C8 FF FF FE 00 00 04\n< C8 00 F3 01 02 03 04")
}

func TestPacketsOfARead(t *testing.T) {
	for _, c := range []struct {
		n      int
		tokens []byte
	}{{256, []byte{0xf3}}, {257, []byte{0xf1, 0xf3}}, {512, []byte{0xf1, 0xf3}}, {700, []byte{0xf1, 0xf2, 0xf3}}} {
		s, chip := slaveWith(reg.SPIAlwaysOne | reg.SPICRC16) // packets of 256 bytes
		for i := range c.n {
			chip.ram[i] = byte(i * 3)
		}
		w := []byte{0xc8, 0x0d, 0, 0, 0, byte(c.n >> 8), byte(c.n)}
		r := tx(s, append(w, make([]byte, 3+c.n+8*len(c.tokens))...))[9:]
		var got []byte
		for i, token := range c.tokens {
			n := min(256, c.n-i*256)
			if r[0] != token {
				t.Fatalf("%d bytes: token %d is %02X, want %02X", c.n, i, r[0], token)
			}
			if sum := CRC16(r[1 : 1+n]); be.Uint16(r[1+n:]) != sum {
				t.Errorf("%d bytes: CRC16 of packet %d is % X, want %04X", c.n, i, r[1+n:3+n], sum)
			}
			got = append(got, r[1:1+n]...)
			r = r[3+n:]
		}
		if !bytes.Equal(got, chip.ram[:c.n]) {
			t.Errorf("%d bytes: wrong data", c.n)
		}
	}
}

func TestCommandWithAWrongCRC7(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigAtReset)
	// The state is repeated, for hosts that poll it until it is zero (2.10); the next command goes.
	play(t, s, "> C9 00 14 A0 00 00 01 02 25\n< C9 03 03 03 03 03 03 03 03 03 03 03 03 03")
	play(t, s, "> C9 00 14 A0 00 00 01 02 26\n< C9 03")
	play(t, s, "> CA 00 10 00 CA\n< CA 00 F3 A0 03 10 00 34 95 00")
	if len(c.writes) != 0 || s.Stats().CRC7Errors != 2 {
		t.Errorf("writes %v, %+v", c.writes, s.Stats())
	}
}

func TestUnsupportedCommands(t *testing.T) {
	for _, cmd := range []byte{0xc0, 0xcb, 0xcc, 0xcd, 0xce} {
		s, _ := slaveWith(reg.SPIConfigHost)
		if got, want := tx(s, []byte{cmd, 0, 0, 0}), []byte{0, cmd, 1, 1}; !bytes.Equal(got, want) {
			t.Errorf("%02X: % X, want % X", cmd, got, want)
		}
	}
}

// C3 and C4 without the clockless flag reach the SPI block, which another kind of host uses (2.2).
func TestSPIConfigThroughInternalCommands(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigAtReset)
	play(t, s, expand("> C4 00 24 00 [crc]\n< C4 00 F3 2E 00 00 00"))
	play(t, s, expand("> C3 00 24 00 00 00 52 [crc]\n< C3 00"))
	if s.Config() != 0x52 {
		t.Errorf("config %#x", s.Config())
	}
	play(t, s, "> C4 00 20 00\n< C4 00 F3 00 00 00 00 00")
	if len(c.writes) != 0 {
		t.Errorf("the memory saw %v", c.writes)
	}
}

func TestClocklessValuesHave8Bits(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigHost)
	c.regs[reg.ClocksEn] = 0xdeadbe04
	play(t, s, "> C4 80 0F 00\n< C4 00 F3 04 00 00 00")
}

func TestDMACommandsWith16BitSizes(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	play(t, s, "> C1 0D 00 10 00 03\n< C1 00\n> F3 01 02 03\n< 00 C3 00")
	play(t, s, "> C2 0D 00 10 00 03\n< C2 00 F3 01 02 03 00")
}

func TestBlocksOfNoBytes(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	play(t, s, "> C7 0D 00 00 00 00 00\n< C7 00 00\n> CA 00 10 00\n< CA 00 F3 A0 03 10 00")
	play(t, s, "> C8 0D 00 00 00 00 00\n< C8 00 00 00")
}

func TestRepeatAndTerminate(t *testing.T) {
	s, c := slaveWith(reg.SPIAlwaysOne)
	copy(c.ram, "abcdefgh")
	play(t, s, "> C8 0D 00 00 00 00 04\n< C8 00 F3 61 62 63 64\n> C6 00 00 00\n< 00 C6 00 F3 61 62 63 64 00")
	play(t, s, "> C5 00 00 00\n< 00 C5 00 00")
	// Terminate ends a write that waits for a token.
	play(t, s, "> C7 0D 00 00 00 00 02\n< C7 00\n> C5 00 00 00\n< 00 C5 00\n> F3 58 58\n< 00 00 00")
	if string(c.ram[:2]) != "ab" || s.Stats().Aborted != 1 {
		t.Errorf("%q, %+v", c.ram[:2], s.Stats())
	}
}

func TestRepeatWithoutAPacket(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	play(t, s, "> C6 00 00 00\n< 00 C6 00 00 00")
}

// CF ends whatever is going on and changes no settings (2.12).
func TestResetInEveryState(t *testing.T) {
	for name, before := range map[string]string{
		"idle":        "> 00",
		"answer":      "> CA 00 10 00",
		"read":        "> C8 0D 00 00 00 10 00\n< C8 00 F3 00 00",
		"token":       "> C7 0D 00 00 00 10 00\n< C7 00",
		"inside data": "> C7 0D 00 00 00 10 00\n< C7 00\n> F3 01 02 03",
		"error state": "> C0\n< C0 01 01",
	} {
		s, _ := slaveWith(reg.SPIConfigHost)
		play(t, s, before)
		play(t, s, "> CF FF FF FF\n< 00 CF 00 00")
		play(t, s, "> CA 00 10 00\n< CA 00 F3 A0 03 10 00")
		if s.Config() != reg.SPIConfigHost {
			t.Errorf("%s: config %#x", name, s.Config())
		}
	}
}

// The bytes of a reset that are data stay data: a whole packet, and windows of one byte.
func TestResetBytesAsData(t *testing.T) {
	s, c := slaveWith(reg.SPIConfigHost)
	play(t, s, "> C7 0D 00 00 00 00 04\n< C7 00\n> F3\n> CF FF FF FF\n< 00 C3 00")
	play(t, s, "> C7 0D 00 04 00 00 05\n< C7 00\n> F3\n> 01\n> CF\n> FF\n> FF\n> FF\n< 00 C3 00")
	if !bytes.Equal(c.ram[:9], unhex(t, "CF FF FF FF 01 CF FF FF FF")) {
		t.Errorf("% X", c.ram[:9])
	}
}

// Spec host-bus 2.13: a host that thinks CRC is on sends a checksum that looks like a command. The slave
// ignores it, and finds its way with the next command.
func TestStrayCRC7IsNoCommand(t *testing.T) {
	for _, cmd := range []string{"CA 00 10 00", "C4 80 0F 00", "CA 00 10 78"} {
		s, _ := slaveWith(reg.SPIConfigHost)
		w := unhex(t, cmd)
		r := tx(s, append(w, CRC7(w), 0, 0, 0, 0, 0, 0, 0))
		if got := r[4:7]; !bytes.Equal(got, []byte{w[0], 0, 0xf3}) {
			t.Errorf("%s: % X", cmd, r)
		}
		if s.Stats().StrayCRC != 1 || s.Stats().Commands != 1 {
			t.Errorf("%s: %+v", cmd, s.Stats())
		}
		play(t, s, "> CA 00 10 00\n< CA 00 F3 A0 03 10 00")
	}
	// After a write of GLB_RESET_0 a command follows at once, whatever its first byte.
	s, _ := slaveWith(reg.SPIConfigHost)
	s.stray = 0xca
	for v := range uint32(1 << 16) {
		w := be.AppendUint32([]byte{0xc9, 0, 0x14, 0}, v)
		if CRC7(w) == 0xca {
			tx(s, w)
			play(t, s, "> CA 00 10 00\n< CA 00 F3 A0 03 10 00")
			return
		}
	}
	t.Error("no value found")
}

func TestHostWithoutCRCMeetsSlaveWithCRC(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigAtReset)
	// The first dummy is taken as CRC7: echo one late, state 3 (2.13).
	play(t, s, "> CA 00 10 00\n< 00 CA 03")
}

func TestHardReset(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	tx(s, unhex(t, "C7 0D 00 00 00 10 00 00 00 F3 01 02"))
	s.HardReset()
	if s.Config() != reg.SPIConfigAtReset {
		t.Errorf("config %#x", s.Config())
	}
	play(t, s, "> CA 00 10 00 CA\n< CA 00 F3 A0 03 10 00 34 95")
}

func TestWindowsOfDifferentLengths(t *testing.T) {
	s, _ := slaveWith(reg.SPIConfigHost)
	r := make([]byte, 11)
	s.Transfer(time.Time{}, unhex(t, "CA 00 10 00"), r)
	if !bytes.Equal(r[4:], unhex(t, "CA 00 F3 A0 03 10 00")) {
		t.Errorf("% X", r)
	}
	s.Transfer(time.Time{}, nil, nil)
	s.Transfer(time.Time{}, append(unhex(t, "CA 00 10 00"), 0, 0), r[:2])
	play(t, s, "< F3 A0 03 10 00")
}

// A slave tells the same whatever the windows, for any bytes.
func FuzzSlave(f *testing.F) {
	f.Add(uint8(1), []byte{0xc8, 3, 0xc, 8, 0, 0, 8, 0xf4, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint8(7), []byte{0xc9, 0, 0xe8, 0x24, 0, 0, 0, 0x52, 0x5c, 0, 0, 0xc7, 0xd, 1, 0, 0, 0, 8, 0, 0, 0xf3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0})
	f.Add(uint8(3), []byte{0xc7, 0xd, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0, 0xf3, 1, 0xcf, 0xff, 0xff, 0xff, 0xca, 0, 0x10, 0})
	f.Add(uint8(2), []byte{0xc6, 0, 0, 0, 0x90, 0, 0xc5, 0, 0, 0, 0x9a, 0xc0, 0xce, 0, 0})
	f.Fuzz(func(t *testing.T, cut uint8, b []byte) {
		// Pieces are shorter than a reset, which means something as a window of its own.
		if len(b) == 4 || len(b) == 5 {
			b = append(b, 0, 0)
		}
		one, two := NewSlave(newChip()), NewSlave(newChip())
		whole := tx(one, b)
		var pieces []byte
		for n := int(cut%3) + 1; len(b) > 0; {
			k := min(n, len(b))
			pieces = append(pieces, tx(two, b[:k])...)
			b = b[k:]
		}
		if !bytes.Equal(whole, pieces) {
			t.Errorf("in one window % X\nin pieces     % X", whole, pieces)
		}
		// After anything, resets and dummies bring it back; a packet in progress takes what it takes.
		for range 3 {
			tx(one, []byte{cmdReset, 0xff, 0xff, 0xff, 0xaa})
			read(one, 8)
		}
		one.HardReset()
		play(t, one, "> CA 00 10 00 CA\n< CA 00 F3 A0 03 10 00 34 95 00")
	})
}

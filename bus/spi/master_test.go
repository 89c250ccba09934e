package spi

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// clock adds up what a master sleeps.
type clock struct{ slept time.Duration }

func (c *clock) sleep(d time.Duration) { c.slept += d }

// both runs a test with masters of both forms.
func both(t *testing.T, f func(t *testing.T, c MasterConfig)) {
	for name, multi := range map[string]bool{"one window": false, "a window a phase": true} {
		t.Run(name, func(t *testing.T) {
			f(t, MasterConfig{MultiWindow: multi, Sleep: func(time.Duration) {}})
		})
	}
}

func TestBH02_BH04_InitTurnsCRCOffAndSetsThePacketSize(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		s := NewSlave(newChip())
		m := NewMaster(wire{s: s}, c)
		if err := m.Init(); err != nil {
			t.Fatal(err)
		}
		if s.Config() != reg.SPIConfigHost || m.CRC() || s.Stats().CRC7Errors != 0 {
			t.Errorf("config %#x, %+v", s.Config(), s.Stats())
		}
		if m.Stats().Retries != 0 {
			t.Errorf("%+v", m.Stats())
		}
	})
}

func TestInitCanKeepCRC(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		c.CRC = true
		s := NewSlave(newChip())
		m := NewMaster(wire{s: s}, c)
		if err := m.Init(); err != nil {
			t.Fatal(err)
		}
		if want := uint32(reg.SPIConfigHost | reg.SPICRC7 | reg.SPICRC16); s.Config() != want || !m.CRC() {
			t.Errorf("config %#x, want %#x", s.Config(), want)
		}
		roundTrip(t, m, 5000)
		if err := m.SetCRC(false); err != nil || s.Config() != reg.SPIConfigHost {
			t.Errorf("config %#x, %v", s.Config(), err)
		}
		roundTrip(t, m, 5000)
		if err := m.SetCRC(true); err != nil || !m.CRC() {
			t.Error(err)
		}
		roundTrip(t, m, 5000)
	})
}

// roundTrip writes a block and reads it back.
func roundTrip(t *testing.T, m *Master, n int) {
	t.Helper()
	p, q := make([]byte, n), make([]byte, n)
	for i := range p {
		p[i] = byte(i * 31)
	}
	if err := m.WriteBlock(reg.SharedMemory, p); err != nil {
		t.Fatal(err)
	}
	if err := m.ReadBlock(reg.SharedMemory, q); err != nil || !bytes.Equal(p, q) {
		t.Fatalf("read back differs, %v", err)
	}
}

func TestBH03_ProbesCRCOff(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		s := NewSlave(newChip())
		s.config = reg.SPIConfigHost // left by a former session
		var time clock
		c.Sleep = time.sleep
		m := NewMaster(wire{s: s}, c)
		if err := m.Init(); err != nil {
			t.Fatal(err)
		}
		if m.CRC() || m.Stats().Retries != DefaultAttempts-1 || time.slept != 2*(DefaultAttempts-1)*retryDelay {
			t.Errorf("CRC %v, %+v, slept %v", m.CRC(), m.Stats(), time.slept)
		}
		roundTrip(t, m, 100)
	})
}

func TestBH05_NeverASingleByte(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, n := range []int{1, 2, 249, 248*2 + 1, 248 * 3} {
			var log []string
			chip := newChip()
			s := NewSlave(chip)
			s.config = reg.SPIConfigHost
			c.ChunkSize = 248
			m := NewMaster(wire{s, &log}, c)
			m.crc, m.packet = false, 8192
			roundTrip(t, m, n)
			for _, w := range log {
				if f := strings.Fields(w); f[0] == ">" && (f[1] == "C7" || f[1] == "C8") && f[7] == "00" && f[8] == "01" {
					t.Errorf("%d bytes: %s", n, w)
				}
			}
			if n == 1 && chip.ram[1] != 0 {
				t.Errorf("the byte behind is %02X", chip.ram[1])
			}
		}
	})
}

// script answers with what a test says, whatever the host sends: one byte a slot.
type script struct {
	answer []byte
	skip   int // slots of the command, where nothing is said
}

func (s *script) Tx(w, r []byte) error {
	for i := range max(len(w), len(r)) {
		b := byte(0)
		if s.skip > 0 {
			s.skip--
		} else if r != nil && len(s.answer) > 0 {
			b, s.answer = s.answer[0], s.answer[1:]
		}
		if r != nil {
			r[i] = b
		}
	}
	return nil
}

// ask reads a register from a scripted answer, in one attempt.
func ask(c MasterConfig, addr uint32, answer ...byte) (uint32, error) {
	c.Attempts = 1
	m := NewMaster(&script{answer: answer, skip: 4}, c)
	m.crc = false
	return m.ReadReg(addr)
}

func TestBH06_FillersBeforeEchoAndToken(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		answer := make([]byte, 10)
		answer = append(answer, 0xca, 0)
		answer = append(answer, make([]byte, 10)...)
		answer = append(answer, 0xf3, 1, 2, 3, 4)
		if v, err := ask(c, reg.ChipID, answer...); err != nil || v != 0x04030201 {
			t.Errorf("%#x, %v", v, err)
		}
		// One more in either place is too many.
		for _, at := range []int{0, 12} {
			more := append(append(append([]byte{}, answer[:at]...), 0), answer[at:]...)
			if v, err := ask(c, reg.ChipID, more...); err == nil {
				t.Errorf("11 fillers at %d: %#x", at, v)
			}
		}
	})
}

func TestBH07_ABlockReadWaitsLongerForItsToken(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		answer := append([]byte{0xc8, 0}, make([]byte, 99)...)
		answer = append(answer, 0xf3, 1, 2)
		c.Attempts = 1
		m := NewMaster(&script{answer: answer, skip: 7}, c)
		m.crc = false
		p := make([]byte, 2)
		if err := m.ReadBlock(0xd0000, p); err != nil || p[0] != 1 || p[1] != 2 {
			t.Errorf("% X, %v", p, err)
		}
	})
}

func TestErrorsOfAnAnswer(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, row := range []struct {
			name   string
			answer []byte
			reason Reason
			state  State
		}{
			{"silence", nil, ReasonEcho, 0},
			{"ones", bytes.Repeat([]byte{0xff}, 50), ReasonEcho, 0},
			{"another echo", []byte{0xc9, 0, 0xf3, 1, 2, 3, 4}, ReasonEcho, 0},
			{"CRC7 error", []byte{0xca, 3, 3, 3, 3}, ReasonState, StateCRC7},
			{"unsupported", []byte{0xca, 1, 0, 0xf3}, ReasonState, StateUnsupported},
			{"no token", []byte{0xca, 0}, ReasonToken, 0},
			{"wrong token", []byte{0xca, 0, 0, 0x35}, ReasonToken, 0},
		} {
			_, err := ask(c, reg.ChipID, row.answer...)
			var e *BusError
			if !errors.As(err, &e) {
				t.Errorf("%s: %v", row.name, err)
				continue
			}
			want := BusError{Op: OpReadReg, Addr: reg.ChipID, Reason: row.reason, State: row.state, Attempts: 1}
			if *e != want {
				t.Errorf("%s: %+v, want %+v", row.name, *e, want)
			}
		}
	})
}

func TestErrorsOfABlockWrite(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, row := range []struct {
			name   string
			answer []byte
			reason Reason
			state  State
		}{
			{"good", []byte{0xc7, 0, 0, 0xc3, 0}, 0, 0},
			{"good, without the filler", []byte{0xc7, 0, 0xc3, 0, 0}, 0, 0},
			{"good, with more fillers", []byte{0xc7, 0, 0, 0, 0, 0, 0xc3, 0}, 0, 0},
			{"never", []byte{0xc7, 0}, ReasonResponse, 0},
			{"not the last packet", []byte{0xc7, 0, 0, 0xc1, 0}, ReasonResponse, 0},
			{"data CRC16 error", []byte{0xc7, 0, 0, 0xc3, 4}, ReasonState, StateCRC16},
			{"refused", []byte{0xc7, 5}, ReasonState, StateInternal},
		} {
			c.Attempts = 1
			// What a chip says while data come is nothing.
			m := NewMaster(&phased{script{answer: row.answer}, []int{7, 2, 3}}, c)
			m.crc = false
			err := m.WriteBlock(0xd0000, []byte{1, 2})
			var e *BusError
			if row.reason == 0 {
				if err != nil {
					t.Errorf("%s: %v", row.name, err)
				}
			} else if !errors.As(err, &e) || e.Reason != row.reason || e.State != row.state || e.Op != OpWriteBlock {
				t.Errorf("%s: %v", row.name, err)
			}
		}
	})
}

// phased is a script that is silent for phases[0] slots, speaks for phases[1], is silent for phases[2],
// and then speaks.
type phased struct {
	script
	phases []int
}

func (p *phased) Tx(w, r []byte) error {
	for i := range max(len(w), len(r)) {
		silent := len(p.phases)%2 == 1
		if len(p.phases) > 0 {
			if p.phases[0]--; p.phases[0] == 0 {
				p.phases = p.phases[1:]
			}
		}
		b := byte(0)
		if !silent && len(p.answer) > 0 {
			b, p.answer = p.answer[0], p.answer[1:]
		}
		if r != nil {
			r[i] = b
		}
	}
	return nil
}

func TestBH08_EchoAndStateOfClocklessAccessesAreIgnored(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		if v, err := ask(c, reg.ClocksEn, 0x55, 0xaa, 0xf3, 4, 0, 0, 0); err != nil || v != 4 {
			t.Errorf("%#x, %v", v, err)
		}
		if v, err := ask(c, 0x0f, 0, 0xff, 0, 0, 0xf3, 4, 0, 0, 0); err != nil || v != 4 {
			t.Errorf("%#x, %v", v, err)
		}
		c.Attempts = 1
		m := NewMaster(&script{answer: []byte{0xff, 0xff}, skip: 7}, c)
		m.crc = false
		if err := m.WriteReg(reg.WakeClk, 2); err != nil {
			t.Error(err)
		}
	})
}

func TestLowAddressesAreClockless(t *testing.T) {
	var log []string
	s := NewSlave(newChip())
	s.config = reg.SPIConfigHost
	m := NewMaster(wire{s, &log}, MasterConfig{MultiWindow: true})
	m.crc = false
	m.ReadReg(0xff)
	m.ReadReg(0x100)
	m.WriteReg(0x30, 1)
	m.WriteReg(0x31, 1)
	want := "C4 80 FF 00,CA 00 01 00,C3 80 30 00 00 00 01,C9 00 00 31 00 00 00 01"
	var got []string
	for _, w := range log {
		if w[0] == '>' {
			got = append(got, w[2:])
		}
	}
	if g := strings.Join(got, ","); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestBH09_NoAnswerToTheGlobalReset(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		c.Attempts = 1
		m := NewMaster(&script{}, c)
		if err := m.WriteReg(reg.GlobalReset, 0); err != nil {
			t.Error(err)
		}
		// And the slave has no trouble with the command that follows.
		s := NewSlave(newChip())
		m = NewMaster(wire{s: s}, c)
		if err := m.WriteReg(reg.GlobalReset, 0); err != nil {
			t.Error(err)
		}
		if v, err := m.ReadReg(reg.ChipID); err != nil || v != reg.ChipID1500 {
			t.Errorf("%#x, %v", v, err)
		}
	})
}

// flaky is a wire that is deaf for some windows.
type flaky struct {
	Wire
	deaf int
}

func (f *flaky) Tx(w, r []byte) error {
	if f.deaf > 0 {
		f.deaf--
		clear(r)
		return nil
	}
	return f.Wire.Tx(w, r)
}

func TestRetriesWithResetsBetween(t *testing.T) {
	var c clock
	s := NewSlave(newChip())
	f := &flaky{Wire: wire{s: s}}
	m := NewMaster(f, MasterConfig{Sleep: c.sleep})
	if err := m.Init(); err != nil {
		t.Fatal(err)
	}
	f.deaf = 5
	if v, err := m.ReadReg(reg.ChipID); err != nil || v != reg.ChipID1500 {
		t.Fatalf("%#x, %v", v, err)
	}
	if m.Stats().Retries == 0 || c.slept == 0 || c.slept != 2*time.Duration(m.Stats().Retries)*retryDelay {
		t.Errorf("%+v, slept %v", m.Stats(), c.slept)
	}
	f.deaf = 1 << 30
	_, err := m.ReadReg(reg.ChipID)
	var e *BusError
	if !errors.As(err, &e) || e.Attempts != DefaultAttempts {
		t.Errorf("%v", err)
	}
	if want := "spi: read register CHIPID: no echo of the command in 10 attempts; check the wiring and reset the chip"; err.Error() != want {
		t.Errorf("%q", err)
	}
}

type brokenWire struct{ err error }

func (b brokenWire) Tx(w, r []byte) error { return b.err }

func TestABrokenWireIsNotTriedAgain(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		cause := errors.New("unplugged")
		c.Sleep = func(time.Duration) { t.Error("slept") }
		m := NewMaster(brokenWire{cause}, c)
		for _, err := range []error{m.Init(), m.WriteBlock(0xd0000, make([]byte, 9)), m.ReadBlock(0xd0000, make([]byte, 9)), m.Reset(), m.WriteReg(reg.GP1, 1)} {
			if !errors.Is(err, cause) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestBH10_ResetAfterWake(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, config := range []uint32{reg.SPIConfigAtReset, reg.SPIConfigHost} {
			s := NewSlave(newChip())
			s.config = config
			m := NewMaster(wire{s: s}, c)
			m.crc = config&reg.SPICRC7 != 0
			if err := m.Reset(); err != nil || s.Config() != config {
				t.Errorf("%v, config %#x", err, s.Config())
			}
		}
	})
}

// Blocks of many packets, and of many commands, in both directions.
func TestLongBlocks(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, chunk := range []int{0, 100, 255, 256, 257, 8192, 20000} {
			for _, crc := range []bool{false, true} {
				for code := uint32(0); code <= reg.SPIPacketMax; code++ {
					c.ChunkSize = chunk
					s := NewSlave(newChip())
					s.config = reg.SPIAlwaysOne | code<<reg.SPIPacketShift
					if crc {
						s.config |= reg.SPICRC7 | reg.SPICRC16
					}
					m := NewMaster(wire{s: s}, c)
					m.crc, m.packet = crc, packetSize(s.config)
					roundTrip(t, m, 20011)
					if m.Stats().Retries > 0 {
						t.Errorf("chunk %d, crc %v, code %d: %+v", chunk, crc, code, m.Stats())
					}
				}
			}
		}
	})
}

func TestMasterChecksCRC16(t *testing.T) {
	s := NewSlave(newChip())
	flip := false
	w := wireFunc(func(w, r []byte) error {
		s.Transfer(time.Time{}, w, r)
		if flip && len(r) > 0 {
			flip = false
			r[len(r)-4] ^= 0x10
		}
		return nil
	})
	m := NewMaster(w, MasterConfig{CRC: true, Sleep: func(time.Duration) {}})
	if err := m.Init(); err != nil {
		t.Fatal(err)
	}
	flip = true
	if v, err := m.ReadReg(reg.ChipID); err != nil || v != reg.ChipID1500 || m.Stats().Retries != 1 {
		t.Errorf("%#x, %v, %+v", v, err, m.Stats())
	}
}

type wireFunc func(w, r []byte) error

func (f wireFunc) Tx(w, r []byte) error { return f(w, r) }

// With CRC on, flipped bits cost attempts and nothing else: what was acknowledged is there.
func TestFlippedBitsWithCRC(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		const seed = 7
		rnd := rand.New(rand.NewPCG(seed, 0))
		chip := newChip()
		s := NewSlave(chip)
		noisy := false
		c.CRC = true
		m := NewMaster(wireFunc(func(w, r []byte) error {
			s.Transfer(time.Time{}, w, r)
			// From the device only: it accepts any CRC16, so data to it are not protected (2.4).
			if noisy && len(r) > 0 && rnd.IntN(10) == 0 {
				r[rnd.IntN(len(r))] ^= 1 << rnd.IntN(8)
			}
			return nil
		}), c)
		if err := m.Init(); err != nil {
			t.Fatal(err)
		}
		noisy = true
		failed := 0
		p := make([]byte, 300)
		for i := range 200 {
			for k := range p {
				chip.ram[k] = byte(i + k)
			}
			if err := m.ReadBlock(reg.SharedMemory, p); err != nil {
				failed++
				continue
			}
			if !bytes.Equal(p, chip.ram[:len(p)]) {
				t.Fatalf("seed %d, round %d: wrong data without an error", seed, i)
			}
		}
		if m.Stats().Retries == 0 || failed > 2 {
			t.Errorf("seed %d: %+v, %d failed", seed, m.Stats(), failed)
		}
	})
}

// A master against a device that says anything ends in bounded time, with a typed error or a result.
func FuzzMaster(f *testing.F) {
	f.Add(false, false, []byte{0xca, 0, 0xf3, 1, 2, 3, 4})
	f.Add(true, true, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0xc7, 0, 0xc3, 0})
	f.Fuzz(func(t *testing.T, multi, crc bool, answer []byte) {
		slots := 0
		i := 0
		m := NewMaster(wireFunc(func(w, r []byte) error {
			slots += max(len(w), len(r))
			for k := range r {
				r[k] = 0
				if len(answer) > 0 {
					r[k] = answer[i%len(answer)]
					i++
				}
			}
			return nil
		}), MasterConfig{MultiWindow: multi, Sleep: func(time.Duration) {}})
		m.crc = crc
		_, err1 := m.ReadReg(reg.ChipID)
		for _, err := range []error{err1, m.WriteReg(reg.GP1, 1), m.ReadBlock(0xd0000, make([]byte, 100)),
			m.WriteBlock(0xd0000, make([]byte, 100)), m.Reset(), m.Init()} {
			var e *BusError
			if err != nil && (!errors.As(err, &e) || err.Error() == "") {
				t.Fatalf("%T %v", err, err)
			}
		}
		if slots > 40000 {
			t.Errorf("%d slots", slots)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		s := NewSlave(newChip())
		w := wire{s: s}
		m := NewMaster(w, c)
		if err := m.Init(); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 1400)
		n := testing.AllocsPerRun(50, func() {
			if _, err := m.ReadReg(reg.ClocksEn); err != nil {
				t.Fatal(err)
			}
			if err := m.WriteBlock(reg.SharedMemory, p); err != nil {
				t.Fatal(err)
			}
			if err := m.ReadBlock(reg.SharedMemory, p); err != nil {
				t.Fatal(err)
			}
			if err := m.Reset(); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func benchmark(b *testing.B, bytes int, f func(m *Master, p []byte) error) {
	m := NewMaster(wire{s: NewSlave(newChip())}, MasterConfig{})
	if err := m.Init(); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 1400)
	for i := range p {
		p[i] = byte(i)
	}
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		if err := f(m, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadReg(b *testing.B) {
	benchmark(b, 4, func(m *Master, _ []byte) error { _, err := m.ReadReg(reg.State); return err })
}

func BenchmarkWriteBlock1400(b *testing.B) {
	benchmark(b, 1400, func(m *Master, p []byte) error { return m.WriteBlock(reg.SharedMemory, p) })
}

func BenchmarkReadBlock1400(b *testing.B) {
	benchmark(b, 1400, func(m *Master, p []byte) error { return m.ReadBlock(reg.SharedMemory, p) })
}

// What a longer access left in the buffers of the master never goes out with a shorter one.
func TestAccessesOfMixedLengths(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		const seed = 11
		rnd := rand.New(rand.NewPCG(seed, 0))
		for _, crc := range []bool{false, true} {
			chip := newChip()
			c.CRC = crc
			m := NewMaster(wire{s: NewSlave(chip)}, c)
			if err := m.Init(); err != nil {
				t.Fatal(err)
			}
			for i := range 500 {
				p := make([]byte, 1+rnd.IntN([]int{3, 40, 5000}[rnd.IntN(3)]))
				for k := range p {
					p[k] = byte(0xc0 + rnd.IntN(16)) // bytes that begin commands
				}
				at := rnd.IntN(100)
				var err error
				switch rnd.IntN(4) {
				case 0:
					err = m.WriteReg(reg.GP1, uint32(i))
				case 1:
					var v uint32
					if v, err = m.ReadReg(reg.ChipID); v != reg.ChipID1500 {
						t.Fatalf("seed %d, round %d: %#x", seed, i, v)
					}
				case 2:
					if err = m.WriteBlock(reg.SharedMemory+uint32(at), p); !bytes.Equal(chip.ram[at:at+len(p)], p) {
						t.Fatalf("seed %d, round %d: write of %d bytes differs", seed, i, len(p))
					}
				case 3:
					if err = m.ReadBlock(reg.SharedMemory+uint32(at), p); !bytes.Equal(chip.ram[at:at+len(p)], p) {
						t.Fatalf("seed %d, round %d: read of %d bytes differs", seed, i, len(p))
					}
				}
				if err != nil || m.Stats().Retries != 0 {
					t.Fatalf("seed %d, round %d: %v, %+v", seed, i, err, m.Stats())
				}
			}
		}
	})
}

package spi

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// A worked trace of spec host-bus, section 7: the windows of a host, and what the host called.
type worked struct {
	name  string
	crc   bool
	set   func(c *chip)
	trace string
	call  func(m *Master) error
}

func workedTraces() []worked {
	readID := func(m *Master) error {
		v, err := m.ReadReg(reg.ChipID)
		if v != 0x001003a0 {
			panic("wrong value")
		}
		return err
	}
	writeGP := func(m *Master) error { return m.WriteReg(reg.GP1, 0x102) }
	gp := func(c *chip) {
		for i, v := range []byte{0xc0, 0x0c, 0xc8, 0x0c, 0x40, 0x0c, 0x80, 0x0c} {
			c.other[0x30c08+uint32(i)] = v
		}
	}
	readGP := func(m *Master) error { return m.ReadBlock(0x30c08, make([]byte, 8)) }
	writeMem := func(m *Master) error { return m.WriteBlock(0xd0100, []byte{1, 5, 8, 0, 0xaa, 0xbb, 0xcc, 0xdd}) }
	clocks := func(c *chip) { c.regs[reg.ClocksEn] = 4 }
	readClocks := func(m *Master) error { _, err := m.ReadReg(reg.ClocksEn); return err }
	awake := func(m *Master) error { return m.WriteReg(reg.HostCortComm, 1) }
	reset := func(m *Master) error { return m.Reset() }
	return []worked{
		{"7.1 on", true, nil, "> CA 00 10 00 CA\n< CA\n< 00\n< F3\n< A0 03 10 00\n< 34 95", readID},
		{"7.1 off", false, nil, "> CA 00 10 00\n< CA\n< 00\n< F3\n< A0 03 10 00", readID},
		{"7.2 on", true, nil, "> C9 00 14 A0 00 00 01 02 24\n< C9\n< 00", writeGP},
		{"7.2 off", false, nil, "> C9 00 14 A0 00 00 01 02\n< C9\n< 00", writeGP},
		{"7.3 read on", true, clocks, "> C4 80 0F 00 C4\n< C4\n< 00\n< F3\n< 04 00 00 00", readClocks},
		{"7.3 read off", false, clocks, "> C4 80 0F 00\n< C4\n< 00\n< F3\n< 04 00 00 00", readClocks},
		{"7.3 write on", true, nil, "> C3 80 0B 00 00 00 01 9A\n< C3\n< 00", awake},
		{"7.3 write off", false, nil, "> C3 80 0B 00 00 00 01\n< C3\n< 00", awake},
		{"7.4 on", true, gp, "> C8 03 0C 08 00 00 08 F4\n< C8\n< 00\n< F3\n< C0 0C C8 0C 40 0C 80 0C\n< 91 B4", readGP},
		{"7.4 off", false, gp, "> C8 03 0C 08 00 00 08\n< C8\n< 00\n< F3\n< C0 0C C8 0C 40 0C 80 0C", readGP},
		// The vendor's hosts send 00 00 for the CRC16 of a write, our master the true value.
		{"7.5 on", true, nil, "> C7 0D 01 00 00 00 08 3A\n< C7\n< 00\n> F3\n> 01 05 08 00 AA BB CC DD\n> C7 32\n< C3 00", writeMem},
		{"7.5 off", false, nil, "> C7 0D 01 00 00 00 08\n< C7\n< 00\n> F3\n> 01 05 08 00 AA BB CC DD\n< 00 C3 00", writeMem},
		{"7.6 on", true, nil, "> CF FF FF FF AA\n< 00\n< CF\n< 00", reset},
		{"7.6 off", false, nil, "> CF FF FF FF\n< 00\n< CF\n< 00", reset},
		{"7.7 on", true, grant, hifSend(true), sendRequest},
		{"7.7 off", false, grant, hifSend(false), sendRequest},
		{"7.8", false, post, `
			> CA 00 10 70
			< CA
			< 00
			< F3
			< 31 00 00 00
			> C9 00 10 70 00 00 00 30
			< C9
			< 00
			> CA 00 10 84
			< CA
			< 00
			< F3
			< 00 08 0D 00
			> C8 0D 08 00 00 00 04
			< C8
			< 00
			< F3
			< 01 2C 0C 00
			> C8 0D 08 08 00 00 04
			< C8
			< 00
			< F3
			< 01 00 00 00
			> CA 00 10 70
			< CA
			< 00
			< F3
			< 30 00 00 00
			> C9 00 10 70 00 00 00 32
			< C9
			< 00`, receiveMessage},
	}
}

// grant makes the memory say what a device has said after it granted a buffer.
func grant(c *chip) { c.regs[reg.RcvCtrl4] = 0xd0100 }

// hifSend is 7.7: a request without payload.
func hifSend(crc bool) string {
	s := `
		> C9 00 10 8C 00 08 05 01 [E2]
		< C9
		< 00
		> C9 00 10 78 00 00 00 02 [A4]
		< C9
		< 00
		> CA 00 10 78 [C4]
		< CA
		< 00
		< F3
		< 00 00 00 00
		[< 84 C0]
		> CA 15 04 00 [6E]
		< CA
		< 00
		< F3
		< 00 01 0D 00
		[< C5 AC]
		> C7 0D 01 00 00 00 08 [3A]
		< C7
		< 00
		> F3
		> 01 05 08 00 00 00 00 00
		[> 02 08]
		< {00} C3 00
		> C9 00 10 6C 00 34 04 02 [44]
		< C9
		< 00`
	if crc {
		return strings.NewReplacer("[", "", "]", "", "{00} ", "").Replace(s)
	}
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if i := strings.IndexByte(line, '['); i >= 0 {
			line = line[:i]
		}
		out = append(out, line)
	}
	return strings.NewReplacer("{", "", "}", "").Replace(strings.Join(out, "\n"))
}

func sendRequest(m *Master) error {
	if err := m.WriteReg(reg.State, 0x00080501); err != nil {
		return err
	}
	if err := m.WriteReg(reg.RcvCtrl2, reg.RequestBuffer); err != nil {
		return err
	}
	if _, err := m.ReadReg(reg.RcvCtrl2); err != nil {
		return err
	}
	a, err := m.ReadReg(reg.RcvCtrl4)
	if err != nil {
		return err
	}
	if err := m.WriteBlock(a, []byte{1, 5, 8, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	return m.WriteReg(reg.RcvCtrl3, a<<reg.DoorbellShift|reg.Doorbell)
}

func post(c *chip) {
	c.regs[reg.RcvCtrl0], c.regs[reg.RcvCtrl1] = 0x31, 0xd0800
	copy(c.ram[0x800:], []byte{1, 0x2c, 0x0c, 0, 0, 0, 0, 0, 1, 0, 0, 0})
}

func receiveMessage(m *Master) error {
	v, err := m.ReadReg(reg.RcvCtrl0)
	if err != nil {
		return err
	}
	if err := m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending); err != nil {
		return err
	}
	a, err := m.ReadReg(reg.RcvCtrl1)
	if err != nil {
		return err
	}
	var p [4]byte
	if err := m.ReadBlock(a, p[:]); err != nil {
		return err
	}
	if err := m.ReadBlock(a+8, p[:]); err != nil {
		return err
	}
	if v, err = m.ReadReg(reg.RcvCtrl0); err != nil {
		return err
	}
	return m.WriteReg(reg.RcvCtrl0, v|reg.RcvDone)
}

// selfClearing is a chip that grants at once: bit 1 of RCV_CTRL_2 reads as 0.
type selfClearing struct{ *chip }

func (c selfClearing) WriteReg(now time.Time, a, v uint32) {
	if a == reg.RcvCtrl2 {
		v = 0
	}
	c.chip.WriteReg(now, a, v)
}

func newSlave(w worked) *Slave {
	c := newChip()
	if w.set != nil {
		w.set(c)
	}
	s := NewSlave(selfClearing{c})
	if !w.crc {
		s.config = reg.SPIConfigHost
	}
	return s
}

func TestSlavePlaysTheWorkedTraces(t *testing.T) {
	for _, w := range workedTraces() {
		t.Run(w.name, func(t *testing.T) { play(t, newSlave(w), w.trace) })
	}
}

func TestBD01_WindowsOfOneByte(t *testing.T) {
	for _, w := range workedTraces() {
		t.Run(w.name, func(t *testing.T) {
			var cut []string
			for _, line := range lines(w.trace) {
				for _, b := range strings.Fields(line[1:]) {
					cut = append(cut, line[:1]+b)
				}
			}
			play(t, newSlave(w), strings.Join(cut, "\n"))
		})
	}
}

func TestBD01_AllInOneWindow(t *testing.T) {
	for _, w := range workedTraces() {
		t.Run(w.name, func(t *testing.T) {
			var out, want, got []byte
			for _, line := range lines(w.trace) {
				b := unhex(t, line[1:])
				zero := make([]byte, len(b))
				if line[0] == '>' {
					out, want = append(out, b...), append(want, zero...)
				} else {
					out, want = append(out, zero...), append(want, b...)
				}
			}
			got = make([]byte, len(out))
			newSlave(w).Transfer(time.Time{}, out, got)
			if !slices.Equal(got, want) {
				t.Errorf("got  % X\nwant % X", got, want)
			}
		})
	}
}

func TestMasterMakesTheWorkedTraces(t *testing.T) {
	for _, w := range workedTraces() {
		t.Run(w.name, func(t *testing.T) {
			var log []string
			m := NewMaster(wire{newSlave(w), &log}, MasterConfig{MultiWindow: true})
			m.crc, m.packet = w.crc, 8192
			if err := w.call(m); err != nil {
				t.Fatal(err)
			}
			if want := lines(w.trace); !slices.Equal(log, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestSlotsOfAnAccess compares the bytes clocked by both forms of master with the table of 2.9.
func TestSlotsOfAnAccess(t *testing.T) {
	const n = 100
	for _, row := range []struct {
		name    string
		on, off uint64
		call    func(m *Master) error
	}{
		{"R clocked", 14, 11, func(m *Master) error { _, err := m.ReadReg(reg.ChipID); return err }},
		{"R clockless", 12, 11, func(m *Master) error { _, err := m.ReadReg(reg.ClocksEn); return err }},
		{"W clocked", 11, 10, func(m *Master) error { return m.WriteReg(reg.GP1, 1) }},
		{"W clockless", 10, 9, func(m *Master) error { return m.WriteReg(reg.WakeClk, 2) }},
		{"block read", n + 13, n + 10, func(m *Master) error { return m.ReadBlock(0xd0000, make([]byte, n)) }},
		{"block write", n + 15, n + 13, func(m *Master) error { return m.WriteBlock(0xd0000, make([]byte, n)) }},
		{"reset", 8, 7, func(m *Master) error { return m.Reset() }},
	} {
		for _, crc := range []bool{true, false} {
			for _, multi := range []bool{true, false} {
				s := NewSlave(newChip())
				want := row.on
				if !crc {
					s.config, want = reg.SPIConfigHost, row.off
				}
				m := NewMaster(wire{s: s}, MasterConfig{MultiWindow: multi})
				m.crc = crc
				if err := row.call(m); err != nil {
					t.Fatalf("%s crc=%v multi=%v: %v", row.name, crc, multi, err)
				}
				if got := s.Stats().Slots; got != want {
					t.Errorf("%s crc=%v multi=%v: %d slots, want %d", row.name, crc, multi, got, want)
				}
				if got := s.Stats().Windows; !multi && got != 1 {
					t.Errorf("%s crc=%v: %d windows, want 1", row.name, crc, got)
				}
			}
		}
	}
}

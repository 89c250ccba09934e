package spi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

func (a Access) brief() string {
	s := fmt.Sprintf("%v %s", a.Op, reg.String(a.Addr))
	switch a.Op {
	case OpReadReg, OpWriteReg:
		s += fmt.Sprintf(" %#x", a.Value)
	case OpReadBlock, OpWriteBlock:
		s += fmt.Sprintf(" [%d] % X", a.Size, a.Data)
	}
	if a.Reason != 0 {
		s += ": " + a.Reason.String()
	}
	return s
}

// A decoder between a master and a slave tells what the master did, whatever the windows.
func TestDecoderTellsWhatTheMasterDid(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, crc := range []bool{false, true} {
			c.CRC = crc
			chip := newChip()
			chip.regs[reg.ClocksEn] = 4
			s := NewSlave(chip)
			var d Decoder
			var got []string
			m := NewMaster(wireFunc(func(w, r []byte) error {
				s.Transfer(time.Time{}, w, r)
				d.Window(w, r, func(a Access) { got = append(got, a.brief()) })
				return nil
			}), c)
			if err := m.Init(); err != nil {
				t.Fatal(err)
			}
			m.ReadReg(reg.ClocksEn)
			m.WriteReg(reg.WakeClk, 2)
			m.WriteBlock(0xd0100, []byte{1, 2, 3})
			m.ReadBlock(0xd0100, make([]byte, 3))
			m.WriteReg(reg.GlobalReset, 0)
			m.Reset()
			config := uint32(reg.SPIConfigHost)
			if crc {
				config |= reg.SPICRC7 | reg.SPICRC16
			}
			want := []string{
				"read register SPI_CONFIG 0x2e",
				fmt.Sprintf("write register SPI_CONFIG %#x", config),
				"read register CHIPID 0x1003a0",
				"read register CLOCKS_EN 0x4",
				"write register WAKE_CLK 0x2",
				"write block 0xd0100 [3] 01 02 03",
				"read block 0xd0100 [3] 01 02 03",
				"write register GLB_RESET_0 0x0: no echo of the command",
				"reset 0x0",
			}
			if !slices.Equal(got, want) {
				t.Errorf("crc %v: got\n%s\nwant\n%s", crc, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

func TestDecoderFollowsPackets(t *testing.T) {
	both(t, func(t *testing.T, c MasterConfig) {
		for _, crc := range []uint32{0, reg.SPICRC7 | reg.SPICRC16} {
			s := NewSlave(newChip())
			s.config = reg.SPIAlwaysOne | crc // packets of 256 bytes
			d := Decoder{off: crc == 0, packet: 256}
			var got []string
			m := NewMaster(wireFunc(func(w, r []byte) error {
				s.Transfer(time.Time{}, w, r)
				d.Window(w, r, func(a Access) {
					got = append(got, fmt.Sprintf("%v %d %d %v %X", a.Op, a.Size, len(a.Data), a.Reason == 0, a.Data[len(a.Data)-1]))
				})
				return nil
			}), c)
			m.crc, m.packet = crc != 0, 256
			roundTrip(t, m, 700)
			last := byte(699 * 31 % 256)
			want := []string{fmt.Sprintf("write block 700 700 true %X", last), fmt.Sprintf("read block 700 700 true %X", last)}
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		}
	})
}

func TestDecoderTellsErrors(t *testing.T) {
	s := NewSlave(newChip())
	var d Decoder
	var got []string
	w := unhex(t, "C9 00 14 A0 00 00 01 02 26 00 00 00 CA 00 10 00 CA 00 00 00 00 00 00 00 00 00")
	r := tx(s, w)
	d.Window(w, r, func(a Access) { got = append(got, a.brief()) })
	want := []string{"write register GP_REG_1 0x102: error state", "read register CHIPID 0x1003a0"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0xca, 0, 0x10, 0, 0xca, 0, 0, 0, 0}, []byte{0, 0, 0, 0, 0, 0xca, 0, 0xf3, 1})
	f.Add([]byte{0xc7, 0, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0, 0xf3}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0xc7, 0})
	f.Fuzz(func(t *testing.T, w, r []byte) {
		var d Decoder
		n := 0
		for range 3 {
			d.Window(w, r, func(a Access) {
				n++
				if len(a.Data) > MaxDecoded {
					t.Fatalf("%d bytes", len(a.Data))
				}
				_ = a.brief()
			})
		}
		if n > 3*len(w) {
			t.Errorf("%d accesses in %d bytes", n, len(w))
		}
	})
}

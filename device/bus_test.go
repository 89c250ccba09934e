package device

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// Each known driver boots in its own order; see habits_test.go. What it finds after that is the same.
func TestBD09_BootInEveryKnownOrder(t *testing.T) {
	for _, h := range knownHosts {
		t.Run(h.name, func(t *testing.T) {
			b := newBench(t)
			s := overMemory(t, h, &owned{b: b})
			for range 2 {
				s.boot(s)
				if got := b.dev.HostVersion(); got != hif.Version(h.version) {
					t.Errorf("host version %v, want %v", got, hif.Version(h.version))
				}
				if s.tries > 0 || s.crc {
					t.Errorf("%d accesses had to be tried again, CRC %v", s.tries, s.crc)
				}
				b.h = newHost(b)
				if err := b.h.m.Init(); err != nil {
					t.Fatal(err)
				}
				checkVersionBlocks(t, b.h)
				send(b.h, hif.OpGetRSSI, hif.None{})
				await(b.h, time.Second, hif.OpRSSI, hif.ParseRSSI)
			}
		})
	}
}

// checkVersionBlocks follows the pointers as hosts do (host-bus 4.1, steps 19 to 21).
func checkVersionBlocks(t *testing.T, h *host) {
	t.Helper()
	gp := h.read(reg.GP2)
	if gp == 0 || gp > 0xffff {
		t.Fatalf("GP register 2 = %#x, want an offset of 16 bits", gp)
	}
	p, err := hif.ParsePointers(h.block(reg.DataMemory|gp, hif.PointersLen))
	if err != nil || p.OTARev != 0 {
		t.Errorf("pointers %+v, %v; want no OTA image", p, err)
	}
	r, err := hif.ParseRevision(h.block(reg.DataMemory|uint32(p.Rev), hif.RevisionLen))
	if err != nil || r.Firmware != hif.V19_7_7 || r.MinDriver != hif.V19_3_0 || !r.Understudy {
		t.Errorf("version block %+v, %v", r, err)
	}
	if raw := h.block(reg.DataMemory|uint32(p.Rev)+36, 4); string(raw) != "USTD" {
		t.Errorf("bytes 36 to 39 are %q, want the mark USTD", raw)
	}
	if w := hif.VersionWord(h.read(reg.Rev)); w.Low() != r.Firmware || w.High() != r.MinDriver {
		t.Errorf("version word %#x disagrees with the block", w)
	}
	if mac := h.block(reg.DataMemory|uint32(p.MAC), 6); !bytes.Equal(mac, devMAC[:]) {
		t.Errorf("MAC % x, want %v", mac, devMAC)
	}
	if mac := h.block(reg.DataMemory|uint32(p.OTPMAC), 6); !bytes.Equal(mac, devMAC[:]) {
		t.Errorf("OTP MAC % x, want %v", mac, devMAC)
	}
}

func TestNoOTP(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Profile = WINC1500(); c.Profile.NoOTP = true })
	b.h.boot()
	p, _ := hif.ParsePointers(b.h.block(reg.DataMemory|b.h.read(reg.GP2), hif.PointersLen))
	if p.OTPMAC != 0 {
		t.Errorf("OTP pointer %#x, want 0", p.OTPMAC)
	}
}

// The trace of host-bus 7.7, byte for byte as its hosts put it on the wire, CRC off; the address granted is ours.
func TestBD01_TraceInOneByteWindows(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	clock := func(out string, in int) string {
		w, err := hex.DecodeString(out)
		if err != nil {
			t.Fatal(err)
		}
		for i := range w {
			b.dev.Tx(b.now, w[i:i+1], nil)
		}
		var got []byte
		for range in {
			r := make([]byte, 1)
			b.dev.Tx(b.now, nil, r)
			got = append(got, r[0])
		}
		return hex.EncodeToString(got)
	}
	check := func(out, want string) {
		t.Helper()
		if got := clock(out, len(want)/2); got != want {
			t.Errorf("> %s < %s, want %s", out, got, want)
		}
	}
	check("c900108c00080501", "c900")
	check("c900107800000002", "c900")
	check("ca001078", "ca00f300000000")
	got := clock("ca150400", 7)
	a := got[10:12] + got[8:10] + got[6:8] // little-endian, as an address on the wire
	check("c7"+a+"000008", "c700")
	clock("f301050800deadbeef", 0)
	if got := clock("", 3); got != "00c300" {
		t.Errorf("write response %s, want 00c300 (BD-05)", got)
	}
	var addr uint32
	fmt.Sscanf(a, "%x", &addr)
	check(fmt.Sprintf("c900106c%08x", addr<<2|2), "c900")
	m, ok := b.h.fetch()
	if !ok || m.op != hif.OpConnInfo {
		t.Errorf("got %v, want CONN_INFO", m.op)
	}
}

func TestBD02_EchoAndStateWithoutFiller(t *testing.T) {
	b := newBench(t)
	r := make([]byte, 14)
	b.dev.Tx(b.now, append([]byte{0xca, 0x00, 0x10, 0x00, 0xca}, make([]byte, 9)...), r)
	want := []byte{0, 0, 0, 0, 0, 0xca, 0, 0xf3, 0xa0, 0x03, 0x10, 0, 0x34, 0x95}
	if !bytes.Equal(r, want) {
		t.Errorf("got % x\nwant % x", r, want)
	}
}

// Between the phases of a transaction and after it there is nothing but zeros, and the data token stands right behind
// the state.
func TestBD03_BD04_FillerAndToken(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	idle := make([]byte, 64)
	b.dev.Tx(b.now, nil, idle)
	if !bytes.Equal(idle, make([]byte, 64)) {
		t.Errorf("an idle bus says % x", idle)
	}
	for _, cmd := range []string{"ca001000", "c4800f00", "c8030c08000008"} {
		w, _ := hex.DecodeString(cmd)
		b.dev.Tx(b.now, w, nil)
		r := make([]byte, 64)
		b.dev.Tx(b.now, nil, r)
		if r[0] != w[0] || r[1] != 0 || r[2] != 0xf3 || !bytes.Equal(r[16:], make([]byte, 48)) {
			t.Errorf("%s: % x", cmd, r)
		}
	}
}

func TestBD06_UnreadAnswersAreFlushed(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	for _, w := range []string{"c9001400fffffbff", "ca001000", "c8030c08000008", "c90014a000000102"} {
		cmd, _ := hex.DecodeString(w)
		b.dev.Tx(b.now, cmd, nil) // and nobody reads the answer
		if v := b.h.read(reg.EfuseControl); v != reg.EfuseLoaded {
			t.Fatalf("after %s: %#x", w, v)
		}
	}
}

func TestBD07_CRC16OfWritesIsIgnored(t *testing.T) {
	b := newBench(t)
	w, _ := hex.DecodeString("c70d01000000083a" + "0000" + "f3" + "0102030405060708" + "ffff" + "0000")
	r := make([]byte, len(w))
	b.dev.Tx(b.now, w, r)
	if got := r[len(r)-2:]; got[0] != 0xc3 || got[1] != 0 { // CRC on: the very next slots
		t.Errorf("write response % x, want c3 00", got)
	}
}

// What a posted message is like is checked whenever the host of these tests fetches one; here with all that the device
// can say of itself.
func TestHM04_HM06_HeadersOfMessages(t *testing.T) {
	b, _, c := pair(t)
	for n := 1; n < 9; n++ {
		c.Write(b.now, make([]byte, n))
		b.run(time.Second)
		if r := b.h.recv(time.Second, recvOf(0, 1)); int(r.Status) != n {
			t.Errorf("%d bytes: %v", n, r.Status)
		}
	}
}

func TestBD08_BlocksOfAnyLengthAnywhere(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	for _, n := range []int{1, 2, 3, 5, 247, 248, 249, 2039, 2041, 4099, 9000} {
		for _, off := range []uint32{0, 1, 2, 3, 4095} {
			want := make([]byte, n)
			for i := range want {
				want[i] = byte(i*7 + n)
			}
			a := reg.SharedMemory + off
			if err := b.h.m.WriteBlock(a, want); err != nil {
				t.Fatal(err)
			}
			if got := b.h.block(a, n); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes at %#x came back differently", n, a)
			}
		}
	}
}

func TestBD10_BD11_SleepAndWake(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	for range 3 { // unbalanced is fine
		b.h.write(reg.HostCortComm, 1)
		b.h.write(reg.WakeClk, 2)
		if v := b.h.read(reg.ClocksEn); v&reg.ClocksRunning == 0 {
			t.Errorf("CLOCKS_EN = %#x after wake", v)
		}
		b.h.m.Reset()
	}
	if v := b.h.read(reg.CortHostComm); v&reg.CortBusy != 0 {
		t.Errorf("CORT_HOST_COMM = %#x", v)
	}
	b.h.write(reg.WakeClk, b.h.read(reg.WakeClk)&^reg.WakeClkHost)
	b.h.write(reg.HostCortComm, b.h.read(reg.HostCortComm)&^reg.HostAwake)
	if v := b.h.read(reg.ChipID); v != reg.ChipID1500 {
		t.Errorf("chip id %#x while asleep", v)
	}
}

func TestBD12_UnknownRegistersKeepTheirValue(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	for _, a := range []uint32{reg.GP1, reg.PinMux0, reg.GPIODirection, reg.GPIOOutput, reg.PullDisable, 0x1048, 0x161d00} {
		if v := b.h.read(a); a != reg.GP1 && a != reg.PinMux0 && v != 0 {
			t.Errorf("%#x reads %#x before it was written", a, v)
		}
		b.h.write(a, 0xa5a50000|a&0xffff)
		if v := b.h.read(a); v != 0xa5a50000|a&0xffff {
			t.Errorf("%#x reads %#x", a, v)
		}
	}
	for a := uint32(0x200000); a < 0x200000+8*maxStoredRegisters; a += 4 {
		b.h.write(a, 1)
	}
	if n := len(b.dev.regs.stored); n > maxStoredRegisters {
		t.Errorf("%d registers are kept, want at most %d", n, maxStoredRegisters)
	}
}

func TestBD14_NothingIsPostedBeforeTheFirstRequest(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	event(b.dev, hif.OpStateChanged, hif.StateChanged{})
	b.dev.Advance(b.now)
	if b.dev.IRQ() || b.h.read(reg.RcvCtrl0) != 0 {
		t.Fatal("a message was posted before the host asked for anything")
	}
	send(b.h, hif.OpSleep, hif.Sleep{})
	await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged)
}

func TestIRQNeedsTheEnableBit(t *testing.T) {
	b := newBench(t)
	falls := 0
	b.dev.cfg.OnIRQ = func() { falls++ }
	b.h.boot()
	b.h.write(reg.IntrEnable, 0)
	send(b.h, hif.OpGetRSSI, hif.None{})
	if b.dev.IRQ() || falls != 0 {
		t.Fatal("interrupt without being enabled")
	}
	b.h.write(reg.IntrEnable, reg.IntrHost)
	if !b.dev.IRQ() || falls != 1 {
		t.Fatalf("no interrupt when enabled late (fell %d times)", falls)
	}
}

func TestBD14_BD15_HM05_OneMessageAtATime(t *testing.T) {
	b := newBench(t)
	falls := 0
	b.dev.cfg.OnIRQ = func() { falls++ }
	b.h.boot()
	for range 3 {
		send(b.h, hif.OpGetRSSI, hif.None{})
	}
	send(b.h, hif.OpGetConnInfo, hif.None{})
	v := b.h.read(reg.RcvCtrl0)
	if falls != 1 || v&reg.RcvDone != 0 || v&reg.RcvPending == 0 {
		t.Fatalf("fell %d times, notice %#x", falls, v)
	}
	b.h.write(reg.RcvCtrl0, v&^reg.RcvPending)
	if b.dev.IRQ() || b.h.read(reg.RcvCtrl0) != v&^reg.RcvPending {
		t.Fatal("the line must rise and the size must stay when the message is taken")
	}
	first := b.h.read(reg.RcvCtrl1)
	b.run(time.Second)
	if falls != 1 || b.h.read(reg.RcvCtrl1) != first {
		t.Fatal("a second message came before RX done")
	}
	b.h.done()
	if falls != 2 || b.h.read(reg.RcvCtrl0)&(reg.RcvDone|reg.RcvPending) != reg.RcvPending {
		t.Fatalf("after RX done: fell %d times, notice %#x", falls, b.h.read(reg.RcvCtrl0))
	}
	for range 3 {
		if m, ok := b.h.fetch(); !ok || m.op.Code()&0x80 != 0 {
			t.Fatalf("message %v, %v", m.op, ok)
		}
	}
	if b.h.read(reg.RcvCtrl0) != 0 {
		t.Error("notice not zero when nothing is open")
	}
}

func TestBD16_HM13_AnyReadsUntilRXDoneAndAfter(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpGetConnInfo, hif.None{})
	send(b.h, hif.OpGetRSSI, hif.None{})
	v := hif.ParseNotice(b.h.read(reg.RcvCtrl0))
	a := b.h.read(reg.RcvCtrl1)
	b.h.write(reg.RcvCtrl0, hif.Notice{Size: v.Size}.Word())
	whole := b.h.block(a, v.Size)
	for _, r := range [][2]int{{40, 16}, {0, 4}, {8, 8}, {8, 8}, {55, 1}} {
		if got := b.h.block(a+uint32(r[0]), r[1]); !bytes.Equal(got, whole[r[0]:][:r[1]]) {
			t.Errorf("bytes %v differ", r)
		}
	}
	if err := b.h.m.WriteBlock(a, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	// Habit 5 of the third-party driver: RX done before the payload is read, and again after it.
	b.h.done()
	if got := b.h.block(a, v.Size); !bytes.Equal(got, whole) {
		t.Error("the message is gone after RX done")
	}
	b.h.done() // finds the next message, which was not taken yet
	if n := hif.ParseNotice(b.h.read(reg.RcvCtrl0)); !n.Pending {
		t.Error("the second RX done swallowed the next message")
	}
	if m, ok := b.h.fetch(); !ok || m.op != hif.OpRSSI {
		t.Errorf("next message %v, %v", m.op, ok)
	}
	b.h.done()
	if b.dev.Counters().StrayDone != 2 {
		t.Errorf("stray RX done: %d, want 2", b.dev.Counters().StrayDone)
	}
}

func TestBD17_HM07_RequestsWhileAMessageIsOpen(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpGetConnInfo, hif.None{})
	v := hif.ParseNotice(b.h.read(reg.RcvCtrl0))
	b.h.write(reg.RcvCtrl0, hif.Notice{Size: v.Size}.Word())
	a := b.h.read(reg.RcvCtrl1)
	whole := b.h.block(a, v.Size)
	for range 20 {
		send(b.h, hif.OpGetRSSI, hif.None{})
	}
	if got := b.h.block(a, v.Size); !bytes.Equal(got, whole) {
		t.Error("requests have changed the open message")
	}
	b.h.done()
	for range 20 {
		await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
	}
}

func TestHM03_GarbageInTheHeaderIsIgnored(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpGetRSSI, hif.None{}) // the host of the bench sends junk in bytes 4 to 7
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
}

func TestSecondRequestCancelsTheFirst(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	a := b.h.request(hif.OpGetRSSI, false, 8)
	if a == 0 || a >= 1<<24 || a%4 != 0 {
		t.Fatalf("granted %#x", a)
	}
	send(b.h, hif.OpGetRSSI, hif.None{})
	b.h.write(reg.RcvCtrl3, (a+bufferGap)<<reg.DoorbellShift|reg.Doorbell)
	c := b.dev.Counters()
	if c.Cancelled != 1 || c.NoGrant != 1 || c.Requests != 1 {
		t.Errorf("counters %+v", c)
	}
}

func TestMalformedAndUnknownAreCountedAndHarmless(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	b.h.deliver(hif.OpBind, false, make([]byte, hif.BindLen-1))
	b.h.deliver(hif.OpPing, false, nil)
	b.h.deliver(hif.MakeOp(hif.GroupMain, 3), false, nil)
	b.h.deliver(hif.MakeOp(hif.GroupWiFi, 0x50), false, make([]byte, 4)) // habit 8
	b.h.deliver(hif.MakeOp(200, 3), false, nil)
	a := b.h.request(hif.OpGetRSSI, false, 8)
	b.h.m.WriteBlock(a, []byte{1, 3, 4, 0, 0, 0, 0, 0}) // shorter than a header
	b.h.write(reg.RcvCtrl3, a<<2|2)
	a = b.h.request(hif.OpGetRSSI, false, 0xffff)
	b.h.m.WriteBlock(a, []byte{1, 3, 0xff, 0xff, 0, 0, 0, 0}) // longer than any buffer
	b.h.write(reg.RcvCtrl3, a<<2|2)
	c := b.dev.Counters()
	if c.Malformed != 4 || c.Unknown != 3 {
		t.Errorf("malformed %d, want 4; unknown %d, want 3", c.Malformed, c.Unknown)
	}
	send(b.h, hif.OpGetRSSI, hif.None{})
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
}

func TestOneByteTooManyIsLost(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	a := b.h.request(hif.OpGetRSSI, false, 8)
	b.h.m.WriteBlock(a+uint32(b.dev.in.size)-1, []byte{1, 2, 3})
	if b.dev.Counters().Overrun != 2 {
		t.Errorf("%d bytes counted as overrun, want 2", b.dev.Counters().Overrun)
	}
}

func TestRepliesAreBounded(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	b.h.hold = true
	for range 3 * maxReplies {
		send(b.h, hif.OpGetRSSI, hif.None{})
	}
	if n := b.dev.out.n; n > maxReplies {
		t.Errorf("%d messages queued", n)
	}
	if c := b.dev.Counters(); c.RepliesLost == 0 {
		t.Error("nothing counted as lost")
	}
}

func TestResetRestoresEverything(t *testing.T) {
	for name, reset := range map[string]func(b *bench){
		"reset line":  func(b *bench) { b.dev.Reset(b.now, true); b.dev.Reset(b.now, false) },
		"chip enable": func(b *bench) { b.dev.Enable(b.now, false); b.dev.Enable(b.now, true) },
		"both, as V77": func(b *bench) {
			b.dev.Enable(b.now, false)
			b.dev.Reset(b.now, true)
			b.dev.Enable(b.now, true)
			b.dev.Reset(b.now, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.h.boot()
			send(b.h, hif.OpGetRSSI, hif.None{})
			reset(b)
			if b.dev.IRQ() {
				t.Error("interrupt after reset")
			}
			b.h.m = spi.NewMaster(b, spi.MasterConfig{Sleep: func(d time.Duration) { b.run(d) }})
			if v := b.h.read(reg.SPIConfig); v != reg.SPIConfigAtReset {
				t.Errorf("SPI configuration %#x", v)
			}
			for a, want := range map[uint32]uint32{reg.GP1: 0, reg.GP2: 0, reg.Rev: 0, reg.RcvCtrl0: 0, reg.IntrEnable: 0,
				reg.BootROM: reg.BootROMFinished, reg.GlobalReset: reg.GlobalResetAtReset, reg.BootResetMux: 0} {
				if v := b.h.read(a); v != want {
					t.Errorf("%s reads %#x, want %#x", reg.String(a), v, want)
				}
			}
			b.h.boot()
			send(b.h, hif.OpGetRSSI, hif.None{})
			await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
		})
	}
}

func TestNoAnswerWithoutPower(t *testing.T) {
	b := newBench(t)
	b.dev.Enable(b.now, false)
	r := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	b.dev.Tx(b.now, []byte{0xca, 0, 0x10, 0, 0xca, 0, 0, 0}, r)
	if !bytes.Equal(r, make([]byte, 8)) {
		t.Errorf("got % x", r)
	}
}

func TestGlobalResetKeepsTheSPISettings(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	cfg := b.h.read(reg.SPIConfig)
	b.h.write(reg.GlobalReset, 0)
	b.run(50 * time.Millisecond)
	if b.h.read(reg.SPIConfig) != cfg || b.h.read(reg.BootROM) != reg.BootROMFinished || b.h.read(reg.GP2) != 0 {
		t.Error("global reset is not what it should be")
	}
	b.h.boot()
}

// Download mode: the CPU is halted, registers and memory stay available, requests get no grant (host-bus 4.3, 4.4).
func TestDownloadModeAndDeinit(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpGetRSSI, hif.None{})
	b.h.write(reg.BootResetMux, b.h.read(reg.BootResetMux)|1)
	b.h.write(reg.GlobalReset, b.h.read(reg.GlobalReset)|reg.CPURun) // a host that restarts the CPU
	b.h.write(reg.GlobalReset, b.h.read(reg.GlobalReset)&^reg.CPURun)
	if b.dev.IRQ() {
		t.Error("interrupt from a halted CPU")
	}
	b.h.write(reg.ROMIntr, 0)
	b.h.write(reg.State, hif.Request{Op: hif.OpGetRSSI, Len: 8}.Word())
	b.h.write(reg.RcvCtrl2, reg.RequestBuffer)
	if b.h.read(reg.RcvCtrl2)&reg.RequestBuffer == 0 {
		t.Error("a halted CPU has answered a request")
	}
	if err := b.h.m.WriteBlock(reg.SharedMemory, []byte("flash data")); err != nil {
		t.Fatal(err)
	}
	if got := b.h.block(reg.SharedMemory, 10); string(got) != "flash data" {
		t.Errorf("staging buffer holds %q", got)
	}
	b.h.write(reg.GlobalReset, b.h.read(reg.GlobalReset)|reg.CPURun)
	b.h.boot()
}

func TestConfigIsChecked(t *testing.T) {
	ok := Config{MAC: devMAC, Rand: newBench(t).dev.cfg.Rand}
	for name, change := range map[string]func(*Config){
		"no rand":       func(c *Config) { c.Rand = nil },
		"no MAC":        func(c *Config) { c.MAC = [6]byte{} },
		"group MAC":     func(c *Config) { c.MAC[0] |= 1 },
		"many sockets":  func(c *Config) { c.Profile = Unlimited(); c.Profile.TCPSockets = 127 },
		"long sends":    func(c *Config) { c.Profile = Unlimited(); c.Profile.SendBytes = 5000 },
		"many buffers":  func(c *Config) { c.Profile = Unlimited(); c.Profile.SendBuffers = 100 },
		"many networks": func(c *Config) { c.Profile = Unlimited(); c.Profile.Networks = 300 },
	} {
		c := ok
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(ok); err != nil {
		t.Error(err)
	}
}

package device

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/device/flash"
)

// access is how a host reaches registers and memory.
type access interface {
	read(a uint32) uint32
	write(a, v uint32)
	block(a uint32, n int) []byte
	writeBlock(a uint32, p []byte)
}

func (h *host) writeBlock(a uint32, p []byte) {
	h.b.t.Helper()
	if err := h.m.WriteBlock(a, p); err != nil {
		h.b.t.Fatalf("write %d bytes at %#x: %v", len(p), a, err)
	}
}

// flashHost drives the flash controller as a vendor driver does (host-bus 6.1, 6.2).
type flashHost struct {
	access
	unit      int  // of reads
	plus      int  // is added to the address of an erase
	dataFirst bool // the data of a page program go to the chip before write enable
	polls     int
}

// op is one operation, in the order of writes that all hosts have.
func (f *flashHost) op(read uint32, buf1 uint32, buf2 *uint32, dir, dma, cmd uint32) {
	f.write(reg.FlashDataCnt, read)
	f.write(reg.FlashBuf1, buf1)
	if buf2 != nil {
		f.write(reg.FlashBuf2, *buf2)
	}
	f.write(reg.FlashBufDir, dir)
	f.write(reg.FlashDMAAddr, dma)
	f.write(reg.FlashCmdCnt, cmd)
	for f.read(reg.FlashTrDone) != 1 {
		f.polls++
		if f.polls > 1000 {
			panic("TR_DONE never comes")
		}
	}
}

func (f *flashHost) id() uint32 {
	f.op(4, 0x9f, nil, 1, reg.RcvCtrl1, 0x81)
	return f.read(reg.RcvCtrl1)
}

func (f *flashHost) status() byte {
	f.op(4, 0x05, nil, 1, reg.RcvCtrl1, 0x81)
	return byte(f.read(reg.RcvCtrl1))
}

func (f *flashHost) simple(op uint32) { f.op(0, op, nil, 1, 0, 0x81) }

func (f *flashHost) wait() {
	f.status()
	for f.status()&flash.StatusBusy != 0 {
	}
}

func address(op uint32, a int) uint32 {
	return op | uint32(a)>>16&0xff<<8 | uint32(a)>>8&0xff<<16 | uint32(a)&0xff<<24
}

func (f *flashHost) readFlash(a, n int) []byte {
	var p []byte
	dummy := uint32(0xa5)
	for n > 0 {
		k := min(n, f.unit)
		f.op(uint32(k), address(0x0b, a), &dummy, 0x1f, reg.SharedMemory, 0x85)
		p = append(p, f.block(reg.SharedMemory, k)...)
		a, n = a+k, n-k
	}
	return p
}

func (f *flashHost) program(a int, p []byte) {
	if f.dataFirst {
		f.writeBlock(reg.SharedMemory, p)
	}
	f.simple(0x06)
	if !f.dataFirst {
		f.writeBlock(reg.SharedMemory, p)
	}
	f.op(0, address(0x02, a), nil, 0x0f, reg.SharedMemory, 0x84|uint32(len(p))<<8)
	f.wait()
	f.simple(0x04)
}

func (f *flashHost) writeFlash(a int, p []byte) {
	for len(p) > 0 {
		n := min(len(p), flash.PageSize-a%flash.PageSize)
		f.program(a, p[:n])
		a, p = a+n, p[n:]
	}
}

func (f *flashHost) erase(a, n int) {
	for at := a; at < a+n; at += flash.SectorSize {
		f.simple(0x06)
		f.status()
		f.op(0, address(0x20, at+f.plus), nil, 0x0f, 0, 0x84)
		f.status()
		for f.status()&flash.StatusBusy != 0 {
		}
	}
}

// pads connects the flash, or parks its pads (host-bus 3.3, 4.4).
func (f *flashHost) pads(connect bool) {
	v := f.read(reg.FlashPinMux) &^ reg.FlashPadsMask
	if connect {
		v |= reg.FlashPadsConnected
	} else {
		v |= reg.FlashPadsParked
	}
	f.write(reg.FlashPinMux, v)
}

func vendorFlash(a access) *flashHost { return &flashHost{access: a, unit: 32 << 10, plus: 10} }

func liteFlash(a access) *flashHost { return &flashHost{access: a, unit: 256, dataFirst: true} }

// cycle erases, programs and reads some of the flash, and reports whether all came back.
func (f *flashHost) cycle(t *testing.T) {
	t.Helper()
	f.pads(true)
	f.simple(0xab)
	if id := f.id(); 1<<(id>>16&0xff-0x11) != flash.Size8M/flash.Size2M*2 {
		t.Errorf("id %#x does not say 8 Mbit", id)
	}
	want := make([]byte, 70_000)
	for i := range want {
		want[i] = byte(i * i >> 3)
	}
	const at = 0x80000 + 100
	f.erase(0x80000, 0x12000)
	if got := f.readFlash(0x80000, 0x12000); !bytes.Equal(got, bytes.Repeat([]byte{0xff}, 0x12000)) {
		t.Error("not erased")
	}
	f.writeFlash(at, want)
	if got := f.readFlash(at, len(want)); !bytes.Equal(got, want) {
		t.Error("what was read is not what was written")
	}
	f.writeFlash(at, []byte{0x0f, 0xf0})
	if got := f.readFlash(at, 2); got[0] != want[0]&0x0f || got[1] != want[1]&0xf0 {
		t.Errorf("over %x: % x: a program only clears bits", want[:2], got)
	}
	f.simple(0xb9)
	f.pads(false)
}

// Every operation of host-bus 6.2 in the manner of the two families of hosts, with the firmware running and in download mode.
func TestBD13_BD18_FlashThroughRegisters(t *testing.T) {
	for name, make := range map[string]func(access) *flashHost{"vendor": vendorFlash, "lite": liteFlash} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.h.boot()
			make(b.h).cycle(t)
			b.h.write(reg.BootResetMux, b.h.read(reg.BootResetMux)|reg.MuxCPUByRegister)
			b.h.write(reg.GlobalReset, b.h.read(reg.GlobalReset)&^reg.CPURun)
			make(b.h).cycle(t)
		})
	}
}

// A host that erases at an unaligned offset erases the sectors that contain offset+10, offset+10+4096, … (6.2).
func TestBD18_EraseAtStepPlusTen(t *testing.T) {
	b := newBench(t)
	b.h.m.Init()
	f := vendorFlash(b.h)
	b.dev.flash.F.WriteAt(make([]byte, 3*flash.SectorSize), 0x80000)
	f.erase(0x80000+flash.SectorSize-5, 1)
	for i := range 3 {
		want := byte(0)
		if i == 1 {
			want = 0xff
		}
		if got := f.readFlash(0x80000+i*flash.SectorSize, 1); got[0] != want {
			t.Errorf("sector %d begins with %#x", i, got[0])
		}
	}
}

// Without write enable nothing changes, and reads in deep power-down find nothing; the boot ROM wakes the flash.
func TestFlashWriteEnableAndPowerDown(t *testing.T) {
	b := newBench(t)
	b.h.m.Init()
	f := vendorFlash(b.h)
	f.writeBlock(reg.SharedMemory, []byte{0})
	f.op(0, address(0x02, 0x80000), nil, 0x0f, reg.SharedMemory, 0x84|1<<8)
	if got := f.readFlash(0x80000, 1); got[0] != 0xff {
		t.Error("programmed without write enable")
	}
	f.simple(0x06)
	if s := f.status(); s != flash.StatusWriteEnabled {
		t.Errorf("status %#x after write enable", s)
	}
	f.simple(0x04)
	f.simple(0xb9)
	if id := f.id(); id != 0xffffffff {
		t.Errorf("id %#x in deep power-down", id)
	}
	b.h.boot()
	if id := f.id(); id != 0xffffffff {
		t.Errorf("id %#x: nobody has released the flash", id)
	}
	b.h.write(reg.GlobalReset, 0)
	if id := f.id(); id != 0xc21420c2 {
		t.Errorf("id %#x after a reset", id)
	}
}

func TestFlashIDSaysTheSize(t *testing.T) {
	for size, want := range map[int]uint32{flash.Size2M: 0x12, flash.Size4M: 0x13, flash.Size8M: 0x14} {
		b := newBench(t, func(c *Config) { c.Profile = WINC1500(); c.Profile.FlashSize = size })
		b.h.boot() // with 2 Mbit too: the profile says what runs
		if id := vendorFlash(b.h).id(); id>>16&0xff != want {
			t.Errorf("%d KiB: id %#x", size>>10, id)
		}
		checkVersionBlocks(t, b.h)
	}
	if _, err := New(Config{MAC: devMAC, Rand: rand.NewPCG(1, 2), Profile: func() Profile { p := WINC1500(); p.FlashSize = 5; return p }()}); err == nil {
		t.Error("a flash of 5 bytes was made")
	}
}

// The register of short reads is also the one with the address of a posted message: a host may do both.
func TestShortFlashReadWhileAMessageWaits(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	send(b.h, hif.OpGetRSSI, hif.None{})
	f := vendorFlash(b.h)
	if id := f.id(); id != 0xc21420c2 {
		t.Errorf("id %#x", id)
	}
	f.wait()
	await(b.h, 0, hif.OpRSSI, hif.ParseRSSI)
}

// What a host makes of the controller's registers never leaves the chip's memory.
func TestHostileFlashCommands(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	b.h.boot()
	addrs := []uint32{0, 0x1084, reg.SharedMemory, reg.SharedMemory + reg.StagingLen - 3, reg.DataMemoryEnd - 1, 0xffffff, 0xffffffff, inBase, outBase}
	for range 2000 {
		b.h.write(reg.FlashDataCnt, []uint32{0, 1, 4, 32 << 10, 33 << 10, 0xffffffff}[r.IntN(6)])
		b.h.write(reg.FlashBuf1, r.Uint32()&^0xff|[]uint32{0x9f, 5, 6, 4, 0x0b, 2, 0x20, 0xb9, 0xab, r.Uint32() & 0xff}[r.IntN(10)])
		b.h.write(reg.FlashBuf2, r.Uint32())
		b.h.write(reg.FlashDMAAddr, addrs[r.IntN(len(addrs))])
		b.h.write(reg.FlashCmdCnt, []uint32{0x81, 0x84, 0x85, 0xff, 0x84 | 0x100<<8, 0xffffffff, r.Uint32()}[r.IntN(7)])
		if b.h.read(reg.FlashTrDone) != 1 {
			t.Fatalf("seed %d: TR_DONE", seed)
		}
	}
	checkBounds(t, b)
}

// Control section, running and standby versions (host-bus 4.5, 6.4; hif-messages 4.3).
func TestFirmwareBootsFromTheControlSection(t *testing.T) {
	b := newBench(t)
	f := b.dev.flash.F
	two, _ := f.Region(flash.Firmware2)
	newer := WINC1500()
	newer.Firmware = hif.MakeVersion(19, 8, 1)
	image, err := flash.MakeImage(newer.FlashFormat().Block, []byte("new firmware"))
	if err != nil {
		t.Fatal(err)
	}
	two.WriteAt(image, 0)
	versions := func() (running, other string) {
		t.Helper()
		b.dev.Reset(b.now, true)
		b.dev.Reset(b.now, false)
		b.h = newHost(b)
		b.h.boot()
		p, err := hif.ParsePointers(b.h.block(reg.DataMemory|b.h.read(reg.GP2), hif.PointersLen))
		if err != nil {
			t.Fatal(err)
		}
		r, _ := hif.ParseRevision(b.h.block(reg.DataMemory|uint32(p.Rev), hif.RevisionLen))
		if w := hif.VersionWord(b.h.read(reg.Rev)); w.Low() != r.Firmware || w.High() != r.MinDriver {
			t.Errorf("version word %#x disagrees with the block %+v", w, r)
		}
		if p.OTARev == 0 {
			return r.Firmware.String(), "none"
		}
		o, _ := hif.ParseRevision(b.h.block(reg.DataMemory|uint32(p.OTARev), hif.RevisionLen))
		return r.Firmware.String(), o.Firmware.String()
	}
	check := func(what, running, other string) {
		t.Helper()
		if r, o := versions(); r != running || o != other {
			t.Errorf("%s: %s runs, standby %s; want %s and %s", what, r, o, running, other)
		}
	}
	check("not marked valid", "19.7.7", "none")
	c, _ := f.Control()
	c.Rollback.Mark = flash.Valid
	c, _ = f.SetControl(c)
	check("marked valid", "19.7.7", "19.8.1")
	c, _ = f.SetControl(c.Switched())
	check("switched", "19.8.1", "19.7.7")
	two.WriteAt([]byte{0}, 70) // the running image is damaged: the other one runs
	check("damaged", "19.7.7", "none")

	foreign := bytes.Repeat([]byte{0x42}, 1000)
	two.Erase(0, 1)
	two.WriteAt(foreign, 0)
	check("foreign, version not known", "19.7.7", "19.7.7")
	c.Working.Version = 0x13301361
	f.SetControl(c)
	check("foreign, version from the control section", "19.6.1", "19.7.7")

	one, _ := f.Region(flash.Firmware1)
	one.Erase(0, 1)
	two.Erase(0, 1)
	b.dev.Reset(b.now, true)
	b.dev.Reset(b.now, false)
	b.h = newHost(b)
	b.h.m.Init()
	b.h.write(reg.State, 0x13301377)
	b.h.write(reg.BootROM, reg.StartFirmware)
	if b.h.read(reg.State) == reg.FirmwareReady {
		t.Error("firmware runs without an image")
	}
	if s := b.dev.Snapshot(); s.Power != "boot ROM" || len(s.Stuck) != 1 || !strings.Contains(s.Stuck[0], "no valid firmware image") {
		t.Errorf("%q %q", s.Power, s.Stuck)
	}
}

// Credentials outlive the device: they are in its flash (hif-messages 2.4).
func TestStoredNetworksOutliveAPowerCycle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "winc.img")
	start := func() (*bench, *flash.Flash) {
		f, err := flash.OpenFile(path, WINC1500().FlashFormat())
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, func(c *Config) { c.Flash = f }).withAP(secret)
		b.h.boot()
		return b, f
	}
	b, f := start()
	c := hif.Connect{SSID: ssid, Channel: hif.AllChannels, Store: hif.StoreCredentials}
	c.Security, c.Passphrase = hif.SecurityPSK, secret
	b.h.deliver(hif.OpConnect, true, c.Append(nil))
	await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	f.Close()

	b, f = start()
	send(b.h, hif.OpDefaultConnect, hif.None{})
	if m := await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
		t.Errorf("default connect after a power cycle: %v %v", m.State, m.Error)
	}
	if n := f.Stats().Programs; n != 0 {
		t.Errorf("%d pages programmed for what was stored already", n)
	}
	send(b.h, hif.OpDeleteAPID, hif.DeleteAPID{All: true})
	f.Close()

	b, f = start()
	defer f.Close()
	send(b.h, hif.OpDefaultConnect, hif.None{})
	if m := await(b.h, 0, hif.OpDefaultConnected, hif.ParseDefaultConnected); m.Error != hif.DefaultConnectListEmpty {
		t.Errorf("after delete and a power cycle: %d", m.Error)
	}
}

// A host that erases the region has erased the list (driver-api 2.11, connection parameters).
func TestErasedConnectionParameters(t *testing.T) {
	b := newBench(t).withAP("")
	b.h.boot()
	c := hif.Connect{SSID: ssid, Channel: hif.AllChannels, Store: hif.StoreCredentials}
	c.Security = hif.SecurityOpen
	b.h.deliver(hif.OpConnect, false, c.Append(nil))
	await(b.h, 20*time.Second, hif.OpStateChanged, hif.ParseStateChanged)
	if s := b.dev.Snapshot().Stored; len(s) != 1 {
		t.Errorf("stored %v", s)
	}
	vendorFlash(b.h).erase(0x9000, 0x1000)
	b.h.write(reg.GlobalReset, 0)
	b.h.boot()
	if s := b.dev.Snapshot().Stored; len(s) != 0 {
		t.Errorf("stored after the region was erased: %v", s)
	}
}

func TestGPIO(t *testing.T) {
	b := newBench(t)
	b.h.boot()
	for _, tc := range []struct {
		dir, out, pulls, driven, levels, want uint32
	}{
		{0x78, 0x28, 0xffffffff, 0, 0, 0x28},                   // outputs read back
		{0, 0xffffffff, 0xffffffff, 0, 0, 0},                   // open inputs without pull-ups
		{0, 0, 0xffffffff, 0xf0, 0x50, 0x50},                   // driven inputs
		{0, 0, 0, 0, 0, 0x01fff878},                            // open inputs with pull-ups: 3 to 6 and 11 to 24
		{0, 0, 1<<3 | 1<<12 | 1<<16, 0, 0, 0x01fff078 &^ 0x48}, // disabled for GPIO 3, 6 and 11
		{0, 0, 0, 1 << 4, 0, 0x01fff868},                       // driven low against a pull-up
		{1 << 18, 0, 0xffffffff &^ (1 << 23), 0, 1 << 18, 0},   // an output with a pull-up
	} {
		b.h.write(reg.GPIODirection, tc.dir)
		b.h.write(reg.GPIOOutput, tc.out)
		b.h.write(reg.PullDisable, tc.pulls)
		b.dev.DriveGPIO(tc.driven, tc.levels)
		if got := b.h.read(reg.GPIOInput); got != tc.want {
			t.Errorf("%+v: %#x", tc, got)
		}
	}
}

package device

import (
	"time"

	"github.com/understudy-net/understudy/bus/reg"
)

// The known drivers, as host-bus 1.2, 2.10 to 2.12, 4 and 8, hif-messages 0 and 1.5, and the table of third-party habits in
// dependencies.md describe them.
var knownHosts = []habits{
	{
		name: "19.4.4", version: 0x13441344,
		answers: answersChecked, skip1400: true, single: 0xf3, packetCode: 5, attempts: 10, piece: 2040, resetAfter: true,
		boot: bootStock, dhcpLen: 16, recvLen: 8,
	},
	{
		name: "19.5.2 (W101)", version: 0x13521352,
		answers: answersForgiven, single: 0xf3, packetCode: 5, attempts: 10, piece: 248, resetAfter: true,
		boot: bootW101, dhcpLen: 20, recvLen: 8, lazy: 64, extra: initW101,
	},
	{
		name: "19.5.4", version: 0x13301354,
		answers: answersChecked, skip1400: true, single: 0xf3, packetCode: 5, attempts: 10, piece: 2040, resetAfter: true,
		boot: bootStock, dhcpLen: 24, recvLen: 8,
	},
	{
		name: "19.6.1", version: 0x13301361,
		answers: answersChecked, skip1400: true, single: 0xf3, packetCode: 5, attempts: 10, piece: 2040, resetAfter: true, maxLen: 1596,
		boot: boot1961, newConnect: true, dhcpLen: 24, recvLen: 8, extra: initFiles,
	},
	{
		name: "19.7.7", version: 0x13301377,
		answers: answersChecked, skip1400: true, single: 0xf3, packetCode: 5, attempts: 10, piece: 2040, plainWake: true, resetAfter: true,
		maxLen: 1596, boot: bootStock, newConnect: true, dhcpLen: 24, recvLen: 12, oneRead: true, extra: initFiles,
	},
	{
		name: "LITE", version: 0x13301377,
		answers: answersStrict, single: 0xf3, packetCode: 5, plainWake: true, resetAfter: true, wakeInside: true, maxLen: 1596,
		boot: bootLite, newConnect: true, dhcpLen: 24, recvLen: 12, oneRead: true, extra: initFiles,
	},
	{
		// Habits 1 (exact answers), 2 (packets of 1024), 3 (token F1), 4 (windows), 5 (RX done twice), 6 (sessions of RECV),
		// 7 (RECV for UDP), 8 (SSL_CREATE to group WIFI), 9 (152 bytes of credentials), 10 (resolves everything), 11 (BOOTROM read
		// once), 12 (stale notices), 13 (no refusals: nothing here floods it), 14 (size at most 3 above the length: isr).
		name: "third-party Go driver", version: 0x13301377,
		frame: frameGroups, answers: answersExact, skip1400: true, single: 0xf1, packetCode: 2, attempts: 10, piece: 2040, cutWrites: true,
		plainWake: true, alwaysWake: true, maxLen: 1595, boot: bootGo, newConnect: true, dhcpLen: 24, recvLen: 8, oneRead: true,
		doneFirst: true, stray: true, freshRecv: true, resolveAll: true, claim152: true, extra: initGo,
	},
	{
		name: "whole accesses in one window", version: 0x13301377,
		frame: frameWhole, answers: answersChecked, single: 0xf3, packetCode: 5, attempts: 10, piece: 2040, plainWake: true, resetAfter: true,
		boot: bootStock, newConnect: true, dhcpLen: 24, recvLen: 12, oneRead: true,
	},
}

// hardReset drives the two lines as host-bus 1.4 has it; hosts that have no RESET_N wired leave it out.
func (s *scripted) hardReset() {
	s.port.SetEnable(false)
	s.port.SetReset(true)
	s.sleep(100 * time.Millisecond)
	s.port.SetEnable(true)
	s.sleep(10 * time.Millisecond)
	s.port.SetReset(false)
	s.sleep(11 * time.Millisecond)
	s.crc, s.packet, s.mode, s.reading, s.pending, s.masked, s.inbox = true, 1024, 0, nil, 0, false, nil
	if s.edges != nil {
		s.edges()
	}
}

// spiInit is nm_spi_init: finds out whether CRC is on, switches it off, sets the packet size (2.5).
func (s *scripted) spiInit() {
	s.t.Helper()
	s.crc = true
	v, err := s.tryRead(reg.SPIConfig)
	if err != nil {
		s.crc = false
		v = s.read(reg.SPIConfig)
	}
	if s.crc {
		s.write(reg.SPIConfig, v&^0x7c|s.packetCode<<4)
		s.crc = false
	}
	s.read(reg.ChipID)
	s.write(reg.SPIConfig, s.read(reg.SPIConfig)&^0x70|s.packetCode<<4)
	s.packet = 256 << s.packetCode
}

func (s *scripted) tryRead(a uint32) (v uint32, err error) {
	err = s.try(func() (err error) {
		v, err = s.readReg(a)
		return err
	})
	return v, err
}

// chipID is nmi_get_chipid.
func (s *scripted) chipID() {
	s.t.Helper()
	s.family(s.read(reg.ChipID))
	s.read(reg.RFRevID)
}

func (s *scripted) family(id uint32) {
	s.t.Helper()
	if f := id & 0xff0; f != 0x3a0 && f != 0x2b0 && f != 0x2a0 {
		s.t.Fatalf("%s: chip id %#x", s.name, id)
	}
	if (id&^0xf0000|0x50000)>>16 != 0x15 {
		s.t.Fatalf("%s: chip id %#x is of another family", s.name, id)
	}
}

// waitROM is wait_for_bootrom, steps 8 to 10.
func (s *scripted) waitROM() {
	s.t.Helper()
	for i := 0; s.read(reg.EfuseControl)>>31 == 0; i++ {
		if i == 5000 {
			s.t.Fatalf("%s: efuse never loaded [BD-09]", s.name)
		}
		s.sleep(time.Millisecond)
	}
	if s.read(reg.WaitForHost)&1 == 0 {
		s.sleep(time.Millisecond)
		for i := 0; s.read(reg.BootROM) != 0x10add09e; i++ {
			if i == 2000 || s.answers == answersExact { // which reads it once and then only waits
				s.t.Fatalf("%s: boot ROM does not finish [BD-09]", s.name)
			}
			s.sleep(time.Millisecond)
		}
	}
}

// start is steps 11 to 18.
func (s *scripted) start() {
	s.t.Helper()
	s.write(reg.State, s.version)
	const config = 0x102
	s.write(reg.GP1, config)
	for i := 0; s.read(reg.GP1) != config; i++ {
		if i == 100 {
			s.t.Fatalf("%s: GP register 1 does not keep its value [BD-12]", s.name)
		}
		s.write(reg.GP1, config)
	}
	s.write(reg.BootROM, 0xef522f61)
	wait := 2 * time.Millisecond
	if s.answers == answersExact {
		wait = time.Second
	}
	for i := 0; ; i++ {
		s.sleep(wait)
		if s.read(reg.State) == 0x02532636 {
			break
		}
		if i == 2000 {
			s.t.Fatalf("%s: firmware does not start [BD-09]", s.name)
		}
	}
	s.write(reg.State, 0)
	s.interrupts()
}

// interrupts is enable_interrupts, steps 17 and 18.
func (s *scripted) interrupts() {
	s.t.Helper()
	s.write(reg.PinMux0, s.read(reg.PinMux0)|0x100)
	s.write(reg.IntrEnable, s.read(reg.IntrEnable)|0x10000)
}

// checkVersion is steps 19 to 21.
func (s *scripted) checkVersion() {
	s.t.Helper()
	p := s.read(reg.GP2)
	if p == 0 {
		s.t.Fatalf("%s: no pointer to the GP structure [BD-09]", s.name)
	}
	gp := s.block(0x30000|p, 8)
	b := s.block(0x30000|uint32(le.Uint16(gp[4:])), 40)
	release := func(b []byte) uint32 { return uint32(b[0])<<8 | uint32(b[1])&15<<4 | uint32(b[2])&15 }
	firmware, least, driver := release(b[4:]), release(b[7:]), s.version&0xffff
	if firmware == 0 || least == 0 || driver < least || driver > firmware {
		s.t.Fatalf("%s: firmware %#x wants a driver of %#x or later", s.name, firmware, least)
	}
	if w := s.read(reg.Rev); w != least<<16|firmware {
		s.t.Errorf("%s: version word %#x, block says %#x and %#x", s.name, w, firmware, least)
	}
	if mac := s.block(0x30000|uint32(le.Uint16(gp)), 6); [6]byte(mac) != devMAC {
		s.t.Errorf("%s: MAC % x", s.name, mac)
	}
}

// bootStock is the order of 19.5.4 and of 19.7.7.
func bootStock(s *scripted) {
	s.hardReset()
	s.spiInit()
	s.chipID()
	s.waitROM()
	s.start()
	s.checkVersion()
}

// boot1961 has logging enabled: it reads the chip id before the SPI is set up, with CRC on.
func boot1961(s *scripted) {
	s.hardReset()
	s.chipID()
	s.spiInit()
	s.waitROM()
	s.start()
	s.checkVersion()
}

// bootW101 resets twice, and reads the chip id before the SPI is set up.
func bootW101(s *scripted) {
	s.hardReset()
	s.port.SetReset(true)
	s.sleep(100 * time.Millisecond)
	s.port.SetReset(false)
	s.sleep(101 * time.Millisecond)
	s.chipID()
	s.spiInit()
	s.waitROM()
	s.start()
	s.checkVersion()
}

// bootLite sets the SPI blindly and restarts the CPU.
func bootLite(s *scripted) {
	s.hardReset()
	s.write(reg.SPIConfig, 0x52)
	s.crc, s.packet = false, 8192
	s.read(reg.RFRevID)
	s.family(s.read(reg.ChipID))
	s.write(reg.BootROM, 0)
	s.write(reg.State, 0)
	s.write(reg.Rev, 0)
	s.write(reg.BootResetMux, s.read(reg.BootResetMux)|1)
	if v := s.read(reg.GlobalReset); v&(1<<10) == 0 {
		s.write(reg.GlobalReset, v|1<<10)
	}
	s.waitROM()
	s.start()
	s.checkVersion()
}

// bootGo sets packets of 1024 bytes and checks no version.
func bootGo(s *scripted) {
	s.hardReset()
	s.write(reg.SPIConfig, s.read(reg.SPIConfig)&2|0x50)
	s.crc = false
	s.write(reg.SPIConfig, s.read(reg.SPIConfig)&2|0x20)
	s.packet = 1024
	s.chipID()
	s.waitROM()
	s.start()
}

// initW101 is what the Arduino wrapper does after the boot: cipher suites, and pads as LEDs.
func initW101(s *scripted) {
	s.send(5, 5, []byte{0xd3, 0, 0, 0}, nil, 0)
	for _, n := range []uint32{15, 16, 18, 4, 5, 6} {
		s.wake()
		s.write(reg.GPIODirection, s.read(reg.GPIODirection)|1<<n)
		s.doze()
		s.wake()
		s.write(reg.GPIOOutput, s.read(reg.GPIOOutput)|1<<n)
		s.doze()
	}
}

// initFiles asks for the host file, as every OTA init since 19.6.1 does.
func initFiles(s *scripted) { s.send(4, 113, nil, nil, 0) }

// initGo creates a TLS socket in the wrong group (habit 8).
func initGo(s *scripted) { s.send(1, 0x50, []byte{0, 0, 0, 0}, nil, 0) }

// The ways into download mode (4.3), and how each drives the flash.
type downloader struct {
	name string
	habits
	running bool // enters from a running session too; the others trust a hard reset
	enter   func(s *scripted)
	flash   func(access) *flashHost
}

func downloaders() []downloader {
	byName := map[string]habits{}
	for _, h := range knownHosts {
		byName[h.name] = h
	}
	return []downloader{
		{"W101", byName["19.5.2 (W101)"], true, downloadW101, vendorFlash},
		{"19.7.7", byName["19.7.7"], false, downloadStock, vendorFlash},
		{"LITE", byName["LITE"], false, downloadLite, liteFlash},
		{"third-party Go driver", byName["third-party Go driver"], false, downloadGo, vendorFlash},
	}
}

func (s *scripted) cpuHalt() {
	s.t.Helper()
	s.write(reg.BootResetMux, s.read(reg.BootResetMux)|1)
	if v := s.read(reg.GlobalReset); v&(1<<10) != 0 {
		s.write(reg.GlobalReset, v&^(1<<10))
		s.read(reg.GlobalReset)
	}
}

// downloadW101 wakes the chip and resets it, and finds the SPI again in whatever mode it is.
func downloadW101(s *scripted) {
	s.chipID()
	s.mode = 1
	s.wake()
	s.mode = 0
	s.write(reg.GlobalReset, 0)
	s.sleep(50 * time.Millisecond)
	s.cpuHalt()
	s.spiInit()
	s.write(reg.ROMIntr, 0)
	s.interrupts()
}

func downloadStock(s *scripted) {
	s.chipID()
	s.cpuHalt()
	s.spiInit()
	s.write(reg.ROMIntr, 0)
	s.interrupts()
}

func downloadLite(s *scripted) {
	s.write(reg.SPIConfig, 0x52)
	s.crc, s.packet = false, 8192
	s.chipID()
	s.write(reg.BootResetMux, s.read(reg.BootResetMux)|1)
	if v := s.read(reg.GlobalReset); v&(1<<10) != 0 {
		s.write(reg.GlobalReset, v&^(1<<10))
	}
	s.write(reg.ROMIntr, 0)
}

func downloadGo(s *scripted) {
	init := func() {
		v, err := s.tryRead(reg.SPIConfig)
		if err != nil {
			s.t.Fatal(err)
		}
		s.write(reg.SPIConfig, v&2|0x50)
		s.crc = false
		s.write(reg.SPIConfig, s.read(reg.SPIConfig)&2|0x20)
		s.packet = 1024
	}
	init()
	s.chipID()
	s.cpuHalt()
	init()
	s.write(reg.ROMIntr, 0)
}

// deinit is nm_drv_deinit: the CPU stops, the flash goes into deep power-down (4.4).
func (s *scripted) deinit() {
	s.write(reg.GlobalReset, s.read(reg.GlobalReset)&^(1<<10))
	if s.skip1400 {
		s.softReset()
	}
	f := vendorFlash(s)
	if !s.skip1400 {
		f.pads(true)
	}
	f.simple(0xb9)
	f.pads(false)
}

package driver_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/driver"
)

func TestBH01_HardResetTimings(t *testing.T) {
	c := newChip(t)
	d := driver.New(c, c.config())
	if len(c.log) != 0 || d.Status() != driver.StateBusy {
		t.Fatal("New touches the chip")
	}
	check(t, d.Tasks())
	want := []string{
		"0s enable high=false", "0s reset low=true", "100ms enable high=true", "110ms reset low=false",
	}
	if !slices.Equal(c.log[:4], want) {
		t.Errorf("lines:\n%s", strings.Join(c.log, "\n"))
	}
}

func TestBH02_ChecksumsOnUntilSwitchedOff(t *testing.T) {
	b := newBench(t)
	if v := b.slave.Config(); v&(reg.SPICRC7|reg.SPICRC16) != 0 || v>>reg.SPIPacketShift&7 != reg.SPIPacketMax {
		t.Errorf("SPI configuration %#x after start-up [BH-04]", v)
	}
	if s := b.slave.Stats(); s.CRC7Errors != 0 {
		t.Errorf("%d commands without the checksum that the chip expects", s.CRC7Errors)
	}
}

func TestBH03_ChecksumsLeftOffByAFormerSession(t *testing.T) {
	b := newBench(t)
	// Reset is not wired: the chip keeps its settings.
	wired := b.chip
	d := driver.New(noReset{wired}, wired.config())
	wired.regs[reg.BootROM] = 0
	check(t, d.Tasks())
	if d.Status() != driver.StateReady {
		t.Error(d.Status(), d.Err())
	}
}

type noReset struct{ *chip }

func (noReset) SetReset(bool) error  { return nil }
func (noReset) SetEnable(bool) error { return nil }

func TestBH11_BootPollsHavePauses(t *testing.T) {
	c := newChip(t)
	c.bootTime = 200 * time.Millisecond
	d := driver.New(c, c.config())
	check(t, d.Tasks())
	if n := c.slave.Stats().Windows; n > 400 {
		t.Errorf("%d windows for a boot of 200 ms: the polls do not pause", n)
	}
}

func TestBootTellsReleaseAndConfiguration(t *testing.T) {
	b := newBench(t)
	if last := b.log[4]; !strings.HasSuffix(last, "start, version word 0x13301377, config 0x102") {
		t.Error(last)
	}
	if b.regs[reg.IntrEnable]&reg.IntrHost == 0 || b.regs[reg.PinMux0]&reg.PinMuxIRQN == 0 {
		t.Error("the interrupt is not enabled")
	}
	if b.regs[reg.State] != 0 {
		t.Errorf("NMI_STATE is %#x after start-up", b.regs[reg.State])
	}
	mac, err := b.c.MAC()
	check(t, err)
	factory, err := b.c.FactoryMAC()
	check(t, err)
	if mac != chipMAC || factory != chipMAC || mac.String() != "f8:f0:05:01:02:03" {
		t.Error(mac, factory)
	}
	if v, err := b.c.Firmware(); err != nil || v.String() != "19.7.7" {
		t.Error(v, err)
	}
	if _, err := b.c.StandbyFirmware(); !errors.Is(err, driver.ErrRequest) {
		t.Error("standby firmware:", err)
	}
	if b.c.ChipID() != 0x1503a0 || b.c.DriverVersion().String() != "19.7.7" {
		t.Errorf("chip id %#x, driver %v", b.c.ChipID(), b.c.DriverVersion())
	}
}

func TestLIF01_NotReadyBeforeStartUp(t *testing.T) {
	c := newChip(t)
	d := driver.New(c, c.config())
	if s := d.Status(); s != driver.StateBusy {
		t.Error(s)
	}
	_, err := d.Open()
	wantErr(t, "Open", err, driver.ErrNotReady)
}

func TestLIF02_ReadyAfterStartUp(t *testing.T) {
	b := newBench(t)
	if s := b.d.Status(); s != driver.StateReady || b.d.Err() != nil {
		t.Error(s, b.d.Err())
	}
}

func TestLIF03_WrongChipFamily(t *testing.T) {
	for _, id := range []uint32{0, 0x1000f0, 0x12345678} {
		c := newChip(t)
		c.id = id
		d := driver.New(c, c.config())
		wantErr(t, "Tasks", d.Tasks(), driver.ErrDeviceNotFound)
		wantErr(t, "Err", d.Err(), driver.ErrDeviceNotFound)
		if d.Status() != driver.StateError {
			t.Error(d.Status())
		}
		_, err := d.Open()
		wantErr(t, "Open", err, driver.ErrNotReady)
		wantErr(t, "Open", err, driver.ErrDeviceNotFound)
	}
}

func TestLIF03_NoChipAtAll(t *testing.T) {
	c := newChip(t)
	c.dead = true
	d := driver.New(c, c.config())
	wantErr(t, "Tasks", d.Tasks(), driver.ErrDeviceNotFound)
}

func TestVersionMismatchIsDeviceFailure(t *testing.T) {
	for _, v := range []hif.Revision{
		{},
		{Firmware: hif.V19_6_1, MinDriver: hif.V19_3_0},
		{Firmware: 0x2000, MinDriver: 0x1400},
	} {
		c := newChip(t)
		c.revision = v
		d := driver.New(c, c.config())
		err := d.Tasks()
		wantErr(t, v.Firmware.String(), err, driver.ErrDeviceFailure)
		wantErr(t, v.Firmware.String(), err, driver.ErrVersion)
	}
}

func TestFirmwareThatNeverStartsIsDeviceFailure(t *testing.T) {
	c := newChip(t)
	c.bootTime = time.Hour
	d := driver.New(c, c.config())
	wantErr(t, "Tasks", d.Tasks(), driver.ErrDeviceFailure)
	c.bootTime = 0
	check(t, d.Restart())
	if d.Status() != driver.StateReady {
		t.Error("Restart:", d.Status())
	}
}

func TestLIF04_OpenTwice(t *testing.T) {
	b := newBench(t)
	c, err := b.d.Open()
	if err != nil || c != b.c {
		t.Error(c, err)
	}
}

func TestLIF06_ClosedClient(t *testing.T) {
	b := newBench(t)
	check(t, b.c.Close())
	b.take()
	for name, err := range statusCalls(b.c) {
		wantErr(t, name, err, driver.ErrNotOpen)
	}
	if c := b.c; c.LinkUp() || c.DHCP() || c.Addr().IsValid() || c.ScanCount() != 0 || c.Scanning() || c.ChipID() != 0 ||
		c.IPConfig() != (driver.IPConfig{}) {
		t.Error("a value survives Close")
	}
	if ops := b.ops(); len(ops) != 0 {
		t.Error("the device was told", ops)
	}
}

func TestLIF07_InvalidHandle(t *testing.T) {
	for _, c := range []*driver.Client{nil, {}} {
		for name, err := range statusCalls(c) {
			if !errors.Is(err, driver.ErrInvalid) {
				t.Errorf("%s: %v, want INVALID_ARG", name, err)
			}
		}
		wantErr(t, "OnSocket", c.OnSocket(nil), driver.ErrInvalid)
		wantErr(t, "OnResolve", c.OnResolve(nil), driver.ErrInvalid)
		if c.LinkUp() || c.DHCP() || c.Addr().IsValid() { // LNK-05
			t.Error("an invalid handle has values")
		}
	}
}

// statusCalls makes each status-returning call with valid arguments.
func statusCalls(c *driver.Client) map[string]error {
	m := map[string]error{
		"UseDHCP":    c.UseDHCP(nil),
		"SetAddr":    c.SetAddr(prefix("10.0.0.2/24")),
		"SetDNS":     c.SetDNS(addr("10.0.0.1")),
		"SetGateway": c.SetGateway(addr("10.0.0.1")),
		"OnIP":       c.OnIP(nil),
		"Connect":    c.Connect(driver.BSS{SSID: "a"}, driver.OpenAuth, nil),
		"Reconnect":  c.Reconnect(nil),
		"Disconnect": c.Disconnect(),
		"Echo":       c.Echo(addr("10.0.0.1"), 0, nil),
		"Resolve":    c.Resolve("a.example"),
		"Scan":       c.Scan(driver.ScanReq{}, nil),
		"ScanNext":   c.ScanNext(nil),
		"ScanReset":  c.ScanReset(nil),
		"SetScan":    c.SetScan(driver.ScanParams{}),
		"SetRSSI":    c.SetScanRSSI(-50),
		"SetChans":   c.SetChannels(driver.ChannelsEurope),
		"SetMatch":   c.SetScanMatch(driver.ScanFirst),
		"SetName":    c.SetName("name"),
		"SetTime":    c.SetTime(time.Unix(0, 0)),
		"Time":       c.Time(nil),
		"AskAssoc":   c.AskAssoc(nil),
		"Close":      c.Close(),
	}
	_, m["ScanResult"] = c.ScanResult()
	_, m["SSID"] = c.SSID(nil)
	_, m["Peer"] = c.Peer(nil)
	_, m["AuthType"] = c.AuthType(nil)
	_, m["RSSI"] = c.RSSI(nil)
	_, m["Firmware"] = c.Firmware()
	_, m["Standby"] = c.StandbyFirmware()
	_, m["MAC"] = c.MAC()
	_, m["FactoryMAC"] = c.FactoryMAC()
	_, m["Socket"] = c.Socket(driver.Stream, driver.Plain)
	return m
}

func TestLIF09_AllSocketsAfterRestart(t *testing.T) {
	b := newBench(t)
	old := fill(t, b.c)
	check(t, b.d.Close())
	if b.d.Status() != driver.StateUninitialised || !b.reset || b.enable {
		t.Error("Close leaves the chip running:", b.d.Status())
	}
	wantErr(t, "Tasks after Close", b.d.Tasks(), driver.ErrClosed)
	check(t, b.d.Restart())
	c, err := b.d.Open()
	check(t, err)
	if c == b.c {
		t.Error("the client of before the restart is open again")
	}
	fill(t, c)
	for _, s := range old {
		wantErr(t, "old socket", s.Send(nil), driver.ErrClosed)
	}
}

func fill(t *testing.T, c *driver.Client) (all []driver.Socket) {
	t.Helper()
	for i := range driver.MaxTCPSockets + driver.MaxUDPSockets {
		typ := driver.Stream
		if i >= driver.MaxTCPSockets {
			typ = driver.Datagram
		}
		s, err := c.Socket(typ, driver.Plain)
		if err != nil {
			t.Fatal(i, err)
		}
		all = append(all, s)
	}
	return all
}

// Every phase in a chip-select window of its own, as wires without full duplex
// need it.
func TestSeparateWindows(t *testing.T) {
	c := newChip(t)
	cfg := c.config()
	cfg.SeparateWindows = true
	var lines []string
	cfg.Trace = func(l string) { lines = append(lines, l) }
	b := &bench{chip: c, d: driver.New(c, cfg)}
	b.tasks()
	var err error
	b.c, err = b.d.Open()
	check(t, err)
	b.take()
	b.online()
	got := b.events()
	s, session := b.connected()
	check(t, s.Send([]byte("hello")))
	check(t, s.Recv(make([]byte, 10), 0))
	b.recvReply(hif.OpRecv, int8(s.ID()), session, "world")
	wantLines(t, "events", got, "0 CONNECT", `0 RECV "world"`)
	for _, want := range []string{"→ WIFI/CONN 56 bytes", "← WIFI/CON_STATE_CHANGED 12 bytes", "→ IP/SEND 93 bytes", "← IP/RECV 29 bytes"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in the trace:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

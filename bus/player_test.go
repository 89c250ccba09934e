package bus

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

var _ Port = (*Player)(nil)

// A host that reads a message in pieces, late, not at all, twice: the message is told when it is known, or when the host
// is through with it, and once.
func TestMessagesInPieces(t *testing.T) {
	c := newChip()
	var lines []string
	tap := NewTap(c, TapConfig{Line: func(s string) { lines = append(lines, s) }})
	m := spi.NewMaster(tap, spi.MasterConfig{})
	must(t, m.Init())
	msg := hif.AppendMessage(nil, hif.OpRecv, hif.RecvReply{Status: 5, Offset: 16, Sock: 2, Session: 7, Data: []byte("hello")})
	copy(c.mem[0x800:], msg)
	post := func() {
		c.regs[reg.RcvCtrl1] = 0xd0800
		m.ReadReg(reg.RcvCtrl1)
	}
	read := func(at, n int) { must(t, m.ReadBlock(0xd0800+uint32(at), make([]byte, n))) }
	done := func() { must(t, m.WriteReg(reg.RcvCtrl0, reg.RcvDone)) }
	told := func(want string) {
		t.Helper()
		got := ""
		for _, l := range lines {
			if strings.HasPrefix(l, "<D") || strings.HasPrefix(l, "H>") {
				got += l
			}
		}
		if lines = nil; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	const all = `<D IP/RECV (21) {Status:5 Offset:16 Sock:2 Session:7 Data:"hello"}`
	post()
	read(0, 4)
	read(24, 5)
	told("")
	read(8, 16)
	told(all)
	read(8, 16)
	done()
	done()
	told("")
	post()
	read(0, 4)
	read(8, 16)
	done()
	told(`<D IP/RECV (21) {Status:5 Offset:16 Sock:2 Session:7}`)
	post()
	read(0, 4)
	done()
	told(`<D IP/RECV (21) ! hif: message shorter than its layout: ""`)
	post()
	done()
	told("")
	post()
	read(900, 4) // elsewhere
	read(0, 28)  // all but the last byte
	tap.SetReset(true)
	told("")

	// A host writes control and data apart and leaves a gap (W101), rings for another address, rings twice.
	tap.SetReset(false)
	m = spi.NewMaster(tap, spi.MasterConfig{})
	must(t, m.Init())
	out := hif.AppendMessage(nil, hif.OpClose, hif.Close{Sock: 3, Session: 9})
	c.regs[reg.RcvCtrl4] = 0xd0100
	m.ReadReg(reg.RcvCtrl4)
	must(t, m.WriteBlock(0xd0108, out[8:]))
	must(t, m.WriteBlock(0xd0100, out[:8]))
	must(t, m.WriteReg(reg.RcvCtrl3, 0xd0100<<2|reg.Doorbell))
	must(t, m.WriteReg(reg.RcvCtrl3, 0xd0100<<2|reg.Doorbell))
	told("H> IP/CLOSE (4) {Sock:3 Session:9}")
	m.ReadReg(reg.RcvCtrl4)
	must(t, m.WriteBlock(0xd0100, out))
	must(t, m.WriteReg(reg.RcvCtrl3, 0xd0200<<2|reg.Doorbell))
	told("")
}

// falling is a chip whose line falls while a window is clocked.
type falling struct{ *chip }

func (f falling) Tx(w, r []byte) error {
	f.irq()
	return f.chip.Tx(w, r)
}

// An edge that a window causes is told behind it.
func TestEdgesAreToldBehindTheirCause(t *testing.T) {
	var lines []string
	tap := NewTap(falling{newChip()}, TapConfig{Line: func(s string) { lines = append(lines, s) }})
	tap.OnIRQ(func() {})
	must(t, tap.Tx([]byte{0xca, 0, 0x10, 0, 0xca, 0, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 14)))
	if got := strings.Join(lines, ", "); got != "R CHIPID = 0x1003a0, IRQ falls" {
		t.Error(got)
	}
}

// Each message that has a name has its fields printed, or is known to have none.
func TestEveryMessageHasAParser(t *testing.T) {
	without := map[hif.Op]bool{}
	for _, op := range []hif.Op{
		hif.OpRestart, hif.OpGetRSSI, hif.OpGetConnInfo, hif.OpStopProvision, hif.OpEnableSNTP, hif.OpDisableSNTP,
		hif.OpMemoryRecover, hif.OpGetSysTime, hif.OpDefaultConnect, hif.OpDisconnect, hif.OpDisableWPS, hif.OpDisableMonitor,
		hif.OpDHCPFailure, hif.OpDisableAP, hif.OpDisableP2P, hif.OpEnableDHCP, hif.OpDisableDHCP, // no payload
		hif.OpNotifyCheck, hif.OpSwitchFirmware, hif.OpRollback, hif.OpSwitchCortus, hif.OpRollbackCortus, hif.OpAbortUpdate,
		hif.OpGetFileStatus, hif.OpEraseFile,
		hif.OpWPSScan, hif.OpStartWPS, hif.OpIPConfigured, hif.OpRestartAP, hif.OpP2PInternal, hif.OpP2PRepost, // on no bus
		hif.OpClientControl, hif.OpClientInfo, hif.OpServerInit, hif.OpSSLSetCSListIP, hif.OpNotifySchedule, hif.OpOTATest,
		hif.OpCertVerify, // no struct
	} {
		without[op] = true
	}
	for g := hif.GroupWiFi; g <= hif.GroupSSL; g++ {
		for code := range uint8(128) {
			op := hif.MakeOp(g, code)
			if strings.HasSuffix(op.String(), fmt.Sprintf("/%d", code)) {
				continue
			}
			if known := hostParser(op) != nil || deviceParser(op) != nil; known == without[op] {
				t.Errorf("%v: has a parser: %v", op, known)
			}
		}
	}
}

func TestMessageText(t *testing.T) {
	for _, test := range []struct {
		op      hif.Op
		toHost  bool
		payload []byte
		want    string
	}{
		{hif.OpBind, false, hif.Bind{Sock: 7, Session: 1}.Append(nil), "H> IP/BIND (12) {Sock:7 Session:1}"},
		{hif.OpSetMAC, false, hif.SetMAC{MAC: [6]byte{2, 0, 0x5e, 1, 2, 3}}.Append(nil), "H> WIFI/SET_MAC_ADDRESS (8) {MAC:02:00:5e:01:02:03}"},
		{hif.OpRSSI, true, hif.RSSI{RSSI: -40}.Append(nil), "<D WIFI/CURRENT_RSSI (4) {RSSI:-40}"},
		{hif.OpDisconnect, false, nil, "H> WIFI/DISCONNECT (0)"},
		{hif.OpBind, false, []byte{2}, "H> IP/BIND (1) ! hif: message shorter than its layout: 02"},
		{hif.MakeOp(hif.GroupSigma, 99), true, []byte("some text\r\n"), `<D SIGMA/99 (11) "some text\r\n"`},
		{hif.MakeOp(9, 1), true, make([]byte, 40), "<D group(9)/1 (40) " + strings.TrimSpace(strings.Repeat("00 ", 32)) + "+8"},
	} {
		if got := MessageText(test.op, test.toHost, len(test.payload), test.payload); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// Lines that are no transcript are named by their number.
func TestBrokenTranscripts(t *testing.T) {
	for text, want := range map[string]string{
		"nonsense":                            "line 1: no line",
		"\n# fine\nR CHIPID = 0x1\nR X = 0x1": "line 4: no line",
		"R CHIPID = 1":                        "line 1: no line",
		"R CHIPID = 0x123456789":              "line 1: no line",
		"R CHIPID =":                          "line 1: no line",
		"R CHIPID":                            "line 1: no line",
		"RESET":                               "line 1: no line",
		"RESET up":                            "line 1: no line",
		"IRQ rises":                           "line 1: no line",
		"R 0x30000 [4] 01 02 03":              "line 1: not all bytes",
		"R 0x30000 [2] 01 020":                "line 1: not all bytes",
		"R 0x30000 [-1] 01":                   "line 1: no line",
		"R 0x30000 [99999999] 01":             "line 1: no line",
		"R 0x30000 [x] 01":                    "line 1: no line",
		"W 0x30000 [40] 01 02 ...  IP/X":      "line 1: not all bytes",
		"R CHIPID = 0x0  ! no answer":         "line 1: a read that failed",
		strings.Repeat("#", maxLine+1):        "token too long",
	} {
		if _, err := NewPlayer(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := NewPlayer(broken{}); !errors.Is(err, errLine) {
		t.Error(err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errLine }

// All that a tap can write about a host that does no HIF: lines, resets, writes without answer, interrupts.
func TestPlayer(t *testing.T) {
	const text = `
   0.000000  RESET low
   0.100000  RESET high
IRQ falls
W WAKE_CLK = 0x2
R c:0x7 = 0x15
SPI reset
W GLB_RESET_0 = 0x0  ! no echo of the command
R 0x30001 [3] 01 02 03
IRQ falls
W RCV_CTRL_0 = 0x0                                  taken
ENABLE low
`
	p, err := NewPlayer(strings.NewReader(text))
	must(t, err)
	edges := 0
	p.OnIRQ(func() {
		edges++
		p.IRQ() // no lock is held
	})
	must(t, p.SetReset(true))
	must(t, p.SetReset(false))
	if low, err := p.IRQ(); !low || err != nil || edges != 1 {
		t.Fatal(low, err, edges)
	}
	m := spi.NewMaster(p, spi.MasterConfig{CRC: true, Sleep: func(time.Duration) {}})
	must(t, m.WriteReg(reg.WakeClk, 2))
	if v, err := m.ReadReg(reg.Clockless | 7); v != 0x15 || err != nil {
		t.Fatalf("%#x, %v", v, err)
	}
	must(t, m.Reset())
	must(t, p.Tx([]byte{0xc9, 0, 0x14, 0, 0, 0, 0, 0, 0x66}, nil)) // and the answer is not read
	b := make([]byte, 3)
	if err := m.ReadBlock(0x30001, b); err != nil || string(b) != "\x01\x02\x03" {
		t.Fatal(b, err)
	}
	if edges != 2 {
		t.Fatalf("%d edges", edges)
	}
	must(t, m.WriteReg(reg.RcvCtrl0, 0))
	if low, _ := p.IRQ(); low {
		t.Error("the line is low although the message is taken")
	}
	if err := p.Done(); err == nil || !strings.Contains(err.Error(), `line 12: the host never does "ENABLE low"`) {
		t.Error(err)
	}
	must(t, p.SetEnable(false))
	must(t, p.Done())
	var d *DeviationError
	if err := p.SetEnable(true); !errors.As(err, &d) || d.Line != 0 || d.Got != "ENABLE high" {
		t.Error(err)
	}
	for _, err := range []error{p.Tx([]byte{0}, nil), p.SetReset(true), p.Done()} {
		if err != error(d) {
			t.Error(err)
		}
	}
	if _, err := p.IRQ(); err != error(d) {
		t.Error(err)
	}
}

// FuzzTranscript: any text is a transcript or an error, and any bytes on its bus are played or a deviation.
func FuzzTranscript(f *testing.F) {
	f.Add("R CHIPID = 0x1003a0\nW 0xd0000 [2] 01 02\nIRQ falls\nRESET low\n", []byte{0xca, 0, 0x10, 0, 0xca, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add("0.1 R 0x30000 [4] 01 02 03 04\nSPI reset", []byte{0xc8, 3, 0, 0, 0, 0, 4, 0})
	f.Fuzz(func(t *testing.T, text string, w []byte) {
		p, err := NewPlayer(strings.NewReader(text))
		if err != nil {
			return
		}
		p.Tx(w, make([]byte, len(w)))
		p.SetReset(true)
		p.Tx(w, nil)
		p.Done()
	})
}

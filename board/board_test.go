package board

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/conntest"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/conn/v3/spi/spitest"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]Spec{
		"spi:/dev/spidev0.0,irq=GPIO25,reset=GPIO27,en=GPIO22":     {0, 0, "GPIO25", "GPIO27", "GPIO22", DefaultSpeed},
		"spi:/dev/spidev1.2,reset=a,irq=gpiochip0/25":              {1, 2, "gpiochip0/25", "a", "", DefaultSpeed},
		"spi:/dev/spidev10.0,speed=20MHz,reset=a,irq=b":            {10, 0, "b", "a", "", 20 * physic.MegaHertz},
		"spi:/dev/spidev0.1,irq=x,reset=y,speed=1500kHz,en=z":      {0, 1, "x", "y", "z", 1500 * physic.KiloHertz},
		"spi:/dev/spidev0.0,irq=a=b,reset=PIN 7,en=_,speed=48MHz ": {},
	} {
		got, err := Parse(s)
		if want == (Spec{}) {
			if err == nil {
				t.Errorf("%s: %+v", s, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", s, got, err, want)
		}
	}
	const dev = "spi:/dev/spidev0.0,"
	for s, want := range map[string]string{
		"":                                      `does not begin with "spi:"`,
		"unix:/tmp/x":                           `does not begin with "spi:"`,
		"spi:":                                  `"" is no spidev`,
		"spi:/dev/spidev0,irq=a,reset=b":        "is no spidev",
		"spi:/dev/spidev0.,irq=a,reset=b":       "is no spidev",
		"spi:/dev/spidev-1.0,irq=a,reset=b":     "is no spidev",
		"spi:/dev/spidev00.0,irq=a,reset=b":     "is no spidev",
		"spi:/dev/spidev0.0.1,irq=a,reset=b":    "is no spidev",
		"spi:/dev/i2c-1,irq=a,reset=b":          "is no spidev",
		dev + "irq=a":                           "no reset= pin",
		dev + "reset=a":                         "no irq= pin",
		dev + "irq=a,reset=a":                   "two functions",
		dev + "irq=a,reset=b,en=a":              "two functions",
		dev + "irq=a,reset=b,en=b":              "two functions",
		dev + "irq=a,reset=b,irq=c":             "irq= comes twice",
		dev + "irq=a,reset=b,":                  `option "" has no value`,
		dev + "irq=a,reset=b,en=":               `option "en=" has no value`,
		dev + "irq=a,reset=b,cs=c":              `unknown option "cs=c"`,
		dev + "irq=a,reset=b,speed=fast":        `speed "fast" is not`,
		dev + "irq=a,reset=b,speed=49MHz":       `speed "49MHz" is not`,
		dev + "irq=a,reset=b,speed=-1MHz":       `speed "-1MHz" is not`,
		dev + "irq=a,reset=b,speed=1mHz":        `speed "1mHz" is not`,
		"spi:/dev/spidev0.0;irq=a;reset=b;en=c": "is no spidev",
	} {
		if spec, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want spi:") {
			t.Errorf("%q: %+v, %v, want %q", s, spec, err, want)
		}
	}
}

// Without the hardware the error says what is missing.
func TestOpenSaysWhatIsMissing(t *testing.T) {
	_, err := Open("spi:/dev/spidev250.250,irq=GPIO25,reset=GPIO27")
	want := "spidev"
	if runtime.GOOS != "linux" {
		want = "Linux"
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	if _, err := Open("spi:"); err == nil {
		t.Error("no error")
	}
}

// wires is SPI that leads to a bus, with a buffer as spidev has one.
type wires struct {
	to    bus.Port
	limit int
	fail  error

	mu   sync.Mutex
	cuts int
}

func (w *wires) String() string                                            { return "wires" }
func (w *wires) Duplex() conn.Duplex                                       { return conn.Full }
func (w *wires) MaxTxSize() int                                            { return w.limit }
func (w *wires) TxPackets([]spi.Packet) error                              { return errors.New("not used") }
func (w *wires) Close() error                                              { return nil }
func (w *wires) LimitSpeed(physic.Frequency) error                         { return nil }
func (w *wires) count(n int)                                               { w.mu.Lock(); w.cuts += n; w.mu.Unlock() }
func (w *wires) Connect(physic.Frequency, spi.Mode, int) (spi.Conn, error) { return w, nil }

func (w *wires) Tx(out, in []byte) error {
	n := max(len(out), len(in))
	switch { // as periph's spidev has it
	case n == 0:
		return errors.New("empty transfer")
	case len(out) > 0 && len(in) > 0 && len(out) != len(in):
		return errors.New("different lengths")
	case w.limit > 0 && n > w.limit:
		return fmt.Errorf("%d bytes, the limit is %d", n, w.limit)
	case w.fail != nil:
		return w.fail
	}
	w.count(1)
	if len(out) == 0 {
		out = nil
	}
	if len(in) == 0 {
		in = nil
	}
	return w.to.Tx(out, in)
}

// output is a pin that drives a line of a bus.
type output struct {
	gpiotest.Pin
	set func(high bool) error
}

func (o *output) Out(l gpio.Level) error {
	o.Pin.Out(l)
	return o.set(bool(l))
}

// input is the interrupt line of a bus.
type input struct {
	gpiotest.Pin
	level func() (asserted bool, err error)
}

func (i *input) Read() gpio.Level {
	low, _ := i.level()
	return gpio.Level(!low)
}

// solder connects SPI and pins to a bus.
func solder(t *testing.T, c conn.Conn, to bus.Port) *Port {
	t.Helper()
	edges := make(chan gpio.Level, 1)
	to.OnIRQ(func() {
		select {
		case edges <- gpio.Low:
		default:
		}
	})
	p, err := New(c, Pins{
		IRQ:    &input{Pin: gpiotest.Pin{N: "IRQ", EdgesChan: edges}, level: to.IRQ},
		Reset:  &output{Pin: gpiotest.Pin{N: "RESET"}, set: func(high bool) error { return to.SetReset(!high) }},
		Enable: &output{Pin: gpiotest.Pin{N: "EN"}, set: to.SetEnable},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// The driver on spidev's limits joins a network and fetches a page, from a device behind the wires.
func TestDriverOverPins(t *testing.T) {
	page := bytes.Repeat([]byte("a page of some length. "), 2000)
	for _, limit := range []int{0, 100} { // 0: as spidev has it by default
		w := &wires{limit: limit}
		b := understudytest.NewConfig(t, understudytest.Config{
			Driver: driver.Config{ResetHold: time.Millisecond, ResetSettle: time.Millisecond},
			Bus: func(p bus.Port) bus.Port {
				w.to = p
				return solder(t, w, p)
			},
		})
		b.AddHost("www.test").HandleHTTP(80, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(page) }))
		if err := b.Join(); err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Transport: &http.Transport{DialContext: b.Net.DialContext, DisableKeepAlives: true}}
		resp, err := c.Get("http://www.test/")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, page) {
			t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
		}
		b.Close()
	}
}

// boot is the part of the recorded session in which the driver boots.
func boot(t *testing.T) *bus.Player {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "bus", "testdata", "session.txt"))
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(text), "W NMI_STATE = 0x80b02")
	if !ok {
		t.Fatal("the transcript has another form")
	}
	p, err := bus.NewPlayer(strings.NewReader(head))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ready pumps a driver through its boot, without a wait.
func ready(t *testing.T, p bus.Port) {
	t.Helper()
	d := driver.New(p, driver.Config{Sleep: func(time.Duration) {}})
	for range 3 {
		if err := d.Tasks(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Open(); err != nil {
			t.Fatal(err)
		}
	}
}

// Our transcript, through pins, is recorded by periph and played back by periph.
func TestPeriphRecordsAndPlaysOurTranscript(t *testing.T) {
	const limit = 32 // so that windows are cut
	player := boot(t)
	var low []bool // the interrupt line, after each transfer
	record := &spitest.Record{Port: &wires{to: player, limit: limit}}
	c, err := record.Connect(DefaultSpeed, spi.Mode0, 8)
	if err != nil {
		t.Fatal(err)
	}
	ready(t, solder(t, limited{c, limit, func() {
		l, _ := player.IRQ()
		low = append(low, l)
	}}, player))
	if err := player.Done(); err != nil {
		t.Fatal(err)
	}
	if len(record.Ops) < 30 || len(low) != len(record.Ops) {
		t.Fatalf("%d transfers, %d levels", len(record.Ops), len(low))
	}

	// The device is gone: periph answers from its record, and complains about a driver that does something else.
	playback := &spitest.Playback{Playback: conntest.Playback{Ops: record.Ops, DontPanic: true, D: conn.Full}}
	if c, err = playback.Connect(DefaultSpeed, spi.Mode0, 8); err != nil {
		t.Fatal(err)
	}
	reset, enable := &gpiotest.Pin{N: "RESET", L: gpio.High}, &gpiotest.Pin{N: "EN"}
	n := 0
	irq := &input{Pin: gpiotest.Pin{N: "IRQ", EdgesChan: make(chan gpio.Level)}, level: func() (bool, error) { return n > 0 && low[n-1], nil }}
	p, err := New(limited{c, limit, func() { n++ }}, Pins{IRQ: irq, Reset: reset, Enable: enable})
	if err != nil {
		t.Fatal(err)
	}
	p.closing.Do(func() { // the watcher would look at n
		close(p.stop)
		irq.EdgesChan <- gpio.High
		p.watcher.Wait()
	})
	ready(t, p)
	if err := playback.Close(); err != nil {
		t.Error(err)
	}
	if n != len(record.Ops) || reset.L != gpio.High || enable.L != gpio.High {
		t.Errorf("%d of %d transfers, RESET_N %v, CHIP_EN %v", n, len(record.Ops), reset.L, enable.L)
	}
}

// limited is a connection with the limit that periph's fakes do not have, and a look after each transfer.
type limited struct {
	spi.Conn
	limit int
	after func()
}

func (l limited) MaxTxSize() int { return l.limit }

func (l limited) Tx(w, r []byte) error {
	err := l.Conn.Tx(w, r)
	l.after()
	return err
}

// mirror answers what it is sent.
type mirror struct{ bus.Port }

func (mirror) Tx(w, r []byte) error {
	for i := range r {
		r[i] = 0xff
	}
	copy(r, w)
	return nil
}

func TestWindowsAreCut(t *testing.T) {
	for _, test := range []struct{ n, limit, cuts int }{
		{1, 10, 1}, {10, 10, 1}, {11, 10, 2}, {25, 10, 3}, {8215, 4096, 3}, {8215, 0, 3},
	} {
		w := &wires{to: mirror{}, limit: test.limit}
		p := &Port{spi: w, max: w.limit}
		if p.max == 0 {
			p.max = spidevBuffer
		}
		out, in := make([]byte, test.n), make([]byte, test.n)
		for i := range out {
			out[i] = byte(i + i/256)
		}
		if err := p.Tx(out, in); err != nil || !bytes.Equal(out, in) || w.cuts != test.cuts {
			t.Errorf("%+v: %v, %d transfers", test, err, w.cuts)
		}
		if err := p.Tx(out, nil); err != nil || w.cuts != 2*test.cuts {
			t.Errorf("%+v, write: %v, %d transfers", test, err, w.cuts)
		}
		if err := p.Tx(nil, in); err != nil || w.cuts != 3*test.cuts || in[test.n-1] != 0xff {
			t.Errorf("%+v, read: %v, %d transfers", test, err, w.cuts)
		}
	}
	p := &Port{spi: &wires{to: mirror{}}, max: 10}
	if err := p.Tx(nil, nil); err != nil {
		t.Error(err)
	}
	if err := p.Tx(make([]byte, 3), make([]byte, 4)); err == nil {
		t.Error("different lengths: no error")
	}
	p.spi = &wires{fail: net.ErrClosed}
	if err := p.Tx(make([]byte, 30), nil); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// Edges are told as they come; a line that stays low is told again and again, so that a lost edge does not matter.
func TestInterrupts(t *testing.T) {
	irq := &gpiotest.Pin{N: "IRQ", EdgesChan: make(chan gpio.Level)}
	p, err := New(&wires{to: mirror{}}, Pins{IRQ: irq, Reset: &gpiotest.Pin{}})
	if err != nil {
		t.Fatal(err)
	}
	if irq.P != gpio.PullUp {
		t.Error("no pull-up:", irq.P)
	}
	told := make(chan bool)
	p.OnIRQ(func() { told <- true })
	irq.EdgesChan <- gpio.Low
	<-told
	if low, err := p.IRQ(); !low || err != nil {
		t.Error(low, err)
	}
	<-told // of the level, without another edge
	p.OnIRQ(nil)
	irq.EdgesChan <- gpio.High
	for low := true; low; time.Sleep(time.Millisecond) { // the fake takes a moment
		if low, err = p.IRQ(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.SetEnable(true), p.SetEnable(false), p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
}

func TestNewChecks(t *testing.T) {
	pin := &gpiotest.Pin{EdgesChan: make(chan gpio.Level)}
	for _, test := range []struct {
		c    conn.Conn
		pins Pins
	}{
		{nil, Pins{IRQ: pin, Reset: pin}},
		{&wires{}, Pins{Reset: pin}},
		{&wires{}, Pins{IRQ: pin}},
		{&spitest.Playback{Playback: conntest.Playback{D: conn.Half}}, Pins{IRQ: pin, Reset: pin}},
		{&wires{}, Pins{IRQ: &gpiotest.Pin{}, Reset: pin}}, // it cannot do edges
	} {
		if p, err := New(test.c, test.pins); err == nil {
			t.Errorf("%+v", p)
		}
	}
	bad := &output{set: func(bool) error { return net.ErrClosed }}
	p, err := New(&wires{}, Pins{IRQ: pin, Reset: bad, Enable: bad})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SetReset(true); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := p.SetEnable(true); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

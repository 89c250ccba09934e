package bus_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

var update = flag.Bool("update", false, "record the transcripts of testdata again")

const session = "testdata/session.txt"

// play is what the host of the transcript does: it boots, joins, resolves a name, connects, sends and receives. pass lets
// time pass.
func play(d *driver.Driver, pass func(time.Duration)) (err error) {
	until := func(what string, ok *bool) {
		for i := 0; err == nil && !*ok; i++ {
			if err = d.Tasks(); err == nil && i == 10000 {
				err = fmt.Errorf("%s: nothing happens", what)
			}
			pass(time.Millisecond)
		}
	}
	do := func(e error) {
		if err == nil {
			err = e
		}
	}
	if err := d.Tasks(); err != nil {
		return err
	}
	c, err := d.Open()
	if err != nil {
		return err
	}
	var addr, host driver.Addr
	var leased, resolved, connected, sent, received bool
	buf := make([]byte, 100)
	do(c.OnResolve(func(_ string, a driver.Addr) { host, resolved = a, true }))
	do(c.OnSocket(func(s driver.Socket, m driver.Msg) {
		switch m := m.(type) {
		case driver.ConnectMsg:
			connected = true
			do(m.Err)
		case driver.SendMsg:
			sent = true
			do(m.Err)
		case driver.RecvMsg:
			received = true
			do(m.Err)
			if string(m.Data) != "HELLO" {
				do(fmt.Errorf("received %q", m.Data))
			}
		}
	}))
	do(c.UseDHCP(func(a driver.Addr) { addr, leased = a, true }))
	do(c.Connect(driver.BSS{SSID: understudytest.SSID}, driver.WPA(understudytest.Passphrase), func(e driver.ConnEvent) { do(e.Err) }))
	until("join", &leased)
	if addr != understudytest.FirstLease {
		do(fmt.Errorf("leased %v", addr))
	}
	do(c.Resolve("echo.test"))
	until("resolve", &resolved)
	s, e := c.Socket(driver.Stream, driver.Plain)
	do(e)
	do(s.Connect(netip.AddrPortFrom(host, 7)))
	until("connect", &connected)
	do(s.Recv(buf, 0))
	do(s.Send([]byte("hello")))
	until("send", &sent)
	until("receive", &received)
	do(s.Close())
	do(d.Tasks())
	return err
}

// record plays on a bench and returns what a tap wrote.
func record(t *testing.T) string {
	var out strings.Builder
	b := understudytest.VirtualConfig(t, understudytest.Config{
		Seed: 1, NoBoot: true,
		Bus: func(p bus.Port) bus.Port {
			return bus.NewTap(p, bus.TapConfig{Bytes: spi.MaxDecoded, Line: func(s string) { out.WriteString(s + "\n") }})
		},
	})
	h := b.AddHost("echo.test")
	b.Go(func() {
		l, err := h.Listen("tcp", ":7")
		if err != nil {
			t.Error(err)
			return
		}
		c, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 100)
		n, _ := c.Read(buf)
		c.Write(bytes.ToUpper(buf[:n]))
		io.Copy(io.Discard, c)
		c.Close()
	})
	var err error
	if stalled := b.Run(func() { err = play(b.Driver, b.Sleep) }); stalled != nil || err != nil {
		t.Fatal(stalled, err, "\n", out.String())
	}
	return out.String()
}

// replay plays against a transcript.
func replay(t *testing.T, transcript string, c driver.Config) (*bus.Player, error) {
	t.Helper()
	p, err := bus.NewPlayer(strings.NewReader(transcript))
	if err != nil {
		t.Fatal(err)
	}
	c.Sleep = func(time.Duration) {}
	d := driver.New(p, c)
	return p, play(d, func(time.Duration) {})
}

// Our driver does today what it did when the transcript was recorded: boot, join, resolve, connect, send and receive,
// access by access. When the driver has changed on purpose, record again with -update and read the difference.
func TestRecordedSession(t *testing.T) {
	if *update {
		text := "# Our driver boots, joins a network, resolves a name, connects, sends and receives.\n" +
			"# Recorded from a bench by go test ./bus -run TestRecordedSession -update\n\n" + record(t)
		if err := os.WriteFile(session, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(session)
	if err != nil {
		t.Fatal(err)
	}
	for _, separate := range []bool{false, true} {
		p, err := replay(t, string(text), driver.Config{SeparateWindows: separate})
		if err != nil {
			t.Errorf("separate windows %v: %v", separate, err)
		}
		if err := p.Done(); err != nil {
			t.Errorf("separate windows %v: %v", separate, err)
		}
	}
	for _, want := range []string{
		"\nW BOOTROM = 0xef522f61\n", "\nH> WIFI/CONN (", `SSID:"understudy"`, "\n<D WIFI/CON_STATE_CHANGED (4) {State:connected Error:ok}\n",
		"\n<D WIFI/DHCP_CONF (", "\nH> IP/DNS_RESOLVE (", `Name:"echo.test"`, "\nIRQ falls\n",
		"RX done\n", "doorbell 0x",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the transcript has no %q", want)
		}
	}
}

// What a tap writes, a player plays, with times before the lines and the bytes of windows between them as well.
func TestTapAndPlayerAgree(t *testing.T) {
	text := record(t)
	var timed strings.Builder
	for i, l := range strings.Split(text, "\n") {
		fmt.Fprintf(&timed, "%11.6f  %s\n\n   0.000001  > 01 02 03  < CA 00\n# %d\n", float64(i)/1000, l, i)
	}
	for _, text := range []string{text, timed.String()} {
		p, err := replay(t, text, driver.Config{})
		if err == nil {
			err = p.Done()
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// A host that does something else is told where it left the transcript, and so is the test.
func TestPlayerFindsDeviations(t *testing.T) {
	text := record(t)
	for _, test := range []struct{ old, new, want string }{
		{"W BOOTROM = 0xef522f61", "W BOOTROM = 0xef522f62", `the host does "W BOOTROM = 0xef522f61", recorded was "W BOOTROM = 0xef522f62`},
		{"R RFREVID = ", "R REVID = ", `the host does "R RFREVID", recorded was "R REVID = `},
		{"ENABLE high", "ENABLE low", `the host does "ENABLE high", recorded was "ENABLE low"`},
		{"RESET low\n", "", `the host does "RESET low", recorded was`},
		{"W 0xd8000 [18] 02 4A", "W 0xd8000 [18] 02 4B", `the host does "W 0xd8000 [18] 02 4A 12 00`},
		{"W 0xd8000 [18] ", "W 0xd8000 [17] ", `the host does "W 0xd8000 [18] 02 4A 12 00`},
		{"R CHIPID = 0x1003a0", "R CHIPID = 0x9999", "chip id 0x9999"}, // no deviation, but it was not the chip
	} {
		changed := strings.ReplaceAll(text, test.old, test.new)
		if changed == text {
			t.Errorf("nothing to replace: %q", test.old)
		}
		p, err := replay(t, changed, driver.Config{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.new, err)
		}
		var d *bus.DeviationError
		if errors.As(err, &d) && (d.Line == 0 || p.Done() != error(d)) {
			t.Errorf("%q: %+v, %v", test.new, d, p.Done())
		}
	}
	// Too short, and too long.
	lines := strings.SplitAfter(strings.TrimSpace(text), "\n")
	if _, err := replay(t, strings.Join(lines[:len(lines)-10], ""), driver.Config{}); err == nil || !strings.Contains(err.Error(), "at its end") {
		t.Error(err)
	}
	p, err := replay(t, text+"R CHIPID = 0x1\n", driver.Config{})
	if err != nil {
		t.Error(err)
	}
	if err := p.Done(); err == nil || !strings.Contains(err.Error(), `the host never does "R CHIPID = 0x1"`) {
		t.Error(err)
	}
}

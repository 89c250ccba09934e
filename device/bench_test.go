package device

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
)

// machine is what a world owns.
type machine interface {
	Advance(now time.Time)
	Deadline() time.Time
}

// bench is a small world of virtual time: an air, an access point with hosts behind it, and a device with its host.
type bench struct {
	t        testing.TB
	now      time.Time
	machines []machine
	air      *air.Air
	dev      *Device
	h        *host

	ap    *wifi.AccessPoint
	peers []*peer
}

var (
	devMAC  = wire.MAC{0x02, 0x5e, 0, 0, 0xab, 0xcd}
	apMAC   = wire.MAC{0x02, 0xa0, 0, 0, 0, 1}
	peerMAC = wire.MAC{0x02, 0xbb, 0, 0, 0, 1}

	peerIP   = netip.MustParseAddr("192.168.1.1")
	staticIP = netip.MustParseAddr("192.168.1.50")
)

const (
	ssid   = "bench"
	secret = "correct horse"
)

// newBench makes a device with the profile, not booted, and nobody else.
func newBench(t testing.TB, change ...func(*Config)) *bench {
	b := &bench{t: t, now: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	b.air = air.New(air.Config{Rand: rand.NewPCG(1, 2), Delay: air.TypicalDelay})
	c := Config{MAC: devMAC, Rand: rand.NewPCG(3, 4), Air: b.air}
	for _, f := range change {
		f(&c)
	}
	var err error
	if b.dev, err = New(c); err != nil {
		t.Fatal(err)
	}
	b.machines = []machine{b.air, b.dev}
	b.h = newHost(b)
	return b
}

// withAP adds an access point, open if the passphrase is empty.
func (b *bench) withAP(passphrase string) *bench {
	b.t.Helper()
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: b.air, MAC: apMAC, Rand: rand.NewPCG(5, 6), SSID: ssid, Channel: 6, Passphrase: passphrase,
		Output: func(now time.Time, eth []byte) {
			for _, p := range b.peers {
				p.s.Input(now, eth)
			}
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ap.Start(b.now)
	b.ap = ap
	b.machines = append(b.machines, ap)
	return b
}

// peer is a host behind the access point.
type peer struct {
	b      *bench
	s      *stack.Stack
	events []stack.Event
}

// withPeer adds a host with a static address.
func (b *bench) withPeer(ip netip.Addr) *peer {
	b.t.Helper()
	p := &peer{b: b}
	mac := peerMAC
	mac[5] = byte(len(b.peers) + 1)
	s, err := stack.New(stack.Config{
		MAC: mac, Rand: rand.NewPCG(7, uint64(len(b.peers))), ACD: stack.ACD{Off: true},
		Output: func(now time.Time, frame []byte) { b.ap.Send(now, frame) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	p.s = s
	if err := s.SetAddr(b.now, netip.PrefixFrom(ip, 24), netip.Addr{}); err != nil {
		b.t.Fatal(err)
	}
	b.peers = append(b.peers, p)
	b.machines = append(b.machines, &stack.Host{Stack: s, Handle: func(now time.Time, e stack.Event) {
		p.events = append(p.events, e)
	}})
	return p
}

// step advances what is due, and time if nothing is; it reports false when nothing is left before limit.
func (b *bench) step(limit time.Time) bool {
	var next time.Time
	ran := false
	for _, m := range b.machines {
		d := m.Deadline()
		if d.IsZero() {
			continue
		}
		if !d.After(b.now) {
			m.Advance(b.now)
			ran = true
			continue
		}
		next = earlier(next, d)
	}
	if ran {
		return true
	}
	if next.IsZero() || next.After(limit) {
		b.now = limit
		return false
	}
	b.now = next
	return true
}

// run lets d pass.
func (b *bench) run(d time.Duration) {
	limit := b.now.Add(d)
	for i := 0; b.now.Before(limit); i++ {
		if !b.step(limit) {
			return
		}
		if i > 10_000_000 {
			b.t.Fatal("the machines do not come to rest")
		}
	}
}

// until lets time pass until done says so, at most d.
func (b *bench) until(d time.Duration, what string, done func() bool) {
	b.t.Helper()
	limit := b.now.Add(d)
	for !done() {
		if !b.step(limit) && !done() {
			b.t.Fatalf("%v later still not: %s\n%s", d, what, b.h.log())
		}
	}
}

// Tx makes the bench a spi.Wire.
func (b *bench) Tx(w, r []byte) error {
	b.dev.Tx(b.now, w, r)
	return nil
}

// host is a scripted driver over the SPI master, in the manner of 19.7.7 unless told otherwise.
type host struct {
	mode    uint32 // further bits of GP register 1
	b       *bench
	m       *spi.Master
	version uint32
	inbox   []message
	lines   []string
	hold    bool // do not fetch messages by itself
}

type message struct {
	op      hif.Op
	payload []byte
}

func newHost(b *bench) *host {
	h := &host{b: b, version: 0x13301377}
	h.m = spi.NewMaster(b, spi.MasterConfig{Sleep: func(d time.Duration) { b.run(d) }})
	return h
}

func (h *host) logf(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
	if len(h.lines) > 60 {
		h.lines = h.lines[1:]
	}
}

func (h *host) log() (s string) {
	for _, l := range h.lines {
		s += l + "\n"
	}
	return s
}

func (h *host) read(a uint32) uint32 {
	h.b.t.Helper()
	v, err := h.m.ReadReg(a)
	if err != nil {
		h.b.t.Fatalf("read %#x: %v", a, err)
	}
	return v
}

func (h *host) write(a, v uint32) {
	h.b.t.Helper()
	if err := h.m.WriteReg(a, v); err != nil {
		h.b.t.Fatalf("write %#x: %v", a, err)
	}
}

func (h *host) block(a uint32, n int) []byte {
	h.b.t.Helper()
	p := make([]byte, n)
	if err := h.m.ReadBlock(a, p); err != nil {
		h.b.t.Fatalf("read %d bytes at %#x: %v", n, a, err)
	}
	return p
}

// boot is the sequence of host-bus 4.1 from SPI init to the interrupt enable.
func (h *host) boot() *host {
	h.b.t.Helper()
	if err := h.m.Init(); err != nil {
		h.b.t.Fatal(err)
	}
	for h.read(reg.EfuseControl)&reg.EfuseLoaded == 0 {
	}
	if h.read(reg.BootROM) != reg.BootROMFinished {
		h.b.t.Fatal("boot ROM not ready at the first read")
	}
	h.write(reg.State, h.version)
	h.write(reg.GP1, 0x102|h.mode)
	if h.read(reg.GP1) != 0x102|h.mode {
		h.b.t.Fatal("GP register 1 does not keep its value")
	}
	h.write(reg.BootROM, reg.StartFirmware)
	if h.read(reg.State) != reg.FirmwareReady {
		h.b.t.Fatal("firmware does not start")
	}
	h.write(reg.State, 0)
	h.write(reg.PinMux0, h.read(reg.PinMux0)|reg.PinMuxIRQN)
	h.write(reg.IntrEnable, h.read(reg.IntrEnable)|reg.IntrHost)
	return h
}

// request asks for a buffer; 0 is a refusal.
func (h *host) request(op hif.Op, data bool, n int) uint32 {
	h.b.t.Helper()
	h.write(reg.State, hif.Request{Op: op, Data: data, Len: n}.Word())
	h.write(reg.RcvCtrl2, reg.RequestBuffer)
	if h.read(reg.RcvCtrl2)&reg.RequestBuffer != 0 {
		h.b.t.Fatal("no answer to a request for a buffer")
	}
	return h.read(reg.RcvCtrl4)
}

// deliver writes a message and rings.
func (h *host) deliver(op hif.Op, data bool, payload []byte) bool {
	h.b.t.Helper()
	msg := hif.Header{Op: op, Len: hif.HeaderLen + len(payload)}.Append(nil)
	copy(msg[4:], "junk") // stack garbage, as hosts send
	msg = append(msg, payload...)
	a := h.request(op, data, len(msg))
	if a == 0 {
		return false
	}
	if err := h.m.WriteBlock(a, msg); err != nil {
		h.b.t.Fatal(err)
	}
	h.logf("%v H> %v % x", h.b.now.Format("05.000"), op, payload[:min(len(payload), 24)])
	h.write(reg.RcvCtrl3, a<<reg.DoorbellShift|reg.Doorbell)
	return true
}

// send hands over a control message.
func send[P hif.Payload](h *host, op hif.Op, p P) {
	h.b.t.Helper()
	if !h.deliver(op, false, p.Append(nil)) {
		h.b.t.Fatalf("%v: control message refused [HM-08]", op)
	}
}

// fetch takes the posted message, if there is one.
func (h *host) fetch() (message, bool) {
	h.b.t.Helper()
	if !h.b.dev.IRQ() {
		return message{}, false
	}
	v := hif.ParseNotice(h.read(reg.RcvCtrl0))
	if !v.Pending {
		h.b.t.Fatal("interrupt without a message")
	}
	h.write(reg.RcvCtrl0, hif.Notice{Size: v.Size}.Word())
	if h.b.dev.IRQ() {
		h.b.t.Fatal("interrupt still asserted after the message was taken")
	}
	a := h.read(reg.RcvCtrl1)
	b := h.block(a, v.Size)
	hd, err := hif.ParseHeader(b)
	if err != nil || hd.Len > v.Size || v.Size-hd.Len > 3 || !hd.Op.Group().Deliverable() {
		h.b.t.Fatalf("posted message %v of %d bytes in a notice of %d: %v", hd.Op, hd.Len, v.Size, err)
	}
	h.done()
	m := message{hd.Op, b[hif.HeaderLen:hd.Len]}
	h.logf("%v <D %v % x", h.b.now.Format("05.000"), m.op, m.payload[:min(len(m.payload), 24)])
	return m, true
}

// done is RX done.
func (h *host) done() { h.write(reg.RcvCtrl0, h.read(reg.RcvCtrl0)|reg.RcvDone) }

// pump fetches all there is.
func (h *host) pump() {
	for !h.hold {
		m, ok := h.fetch()
		if !ok {
			return
		}
		h.inbox = append(h.inbox, m)
	}
}

// take removes the first message with the opcode from the inbox.
func (h *host) take(op hif.Op) ([]byte, bool) {
	for i, m := range h.inbox {
		if m.op == op {
			h.inbox = append(h.inbox[:i:i], h.inbox[i+1:]...)
			return m.payload, true
		}
	}
	return nil, false
}

// await lets time pass until a message with the opcode has come, and parses it.
func await[M any](h *host, d time.Duration, op hif.Op, parse func([]byte) (M, error)) M {
	h.b.t.Helper()
	var b []byte
	h.b.until(d, "message "+op.String(), func() (ok bool) {
		h.pump()
		b, ok = h.take(op)
		return ok
	})
	m, err := parse(b)
	if err != nil {
		h.b.t.Fatalf("%v: %v", op, err)
	}
	return m
}

// quiet checks that no message with the opcode comes within d.
func (h *host) quiet(d time.Duration, op hif.Op) {
	h.b.t.Helper()
	limit := h.b.now.Add(d)
	for {
		h.pump()
		if b, ok := h.take(op); ok {
			h.b.t.Fatalf("unexpected %v % x\n%s", op, b, h.log())
		}
		if !h.b.step(limit) {
			return
		}
	}
}

func none([]byte) (struct{}, error) { return struct{}{}, nil }

// join joins the bench's network and waits for the state.
func (h *host) join(passphrase string) {
	h.b.t.Helper()
	c := hif.Connect{SSID: ssid, Channel: hif.AllChannels}
	c.Security = hif.SecurityOpen
	if passphrase != "" {
		c.Security, c.Passphrase = hif.SecurityPSK, passphrase
	}
	h.deliver(hif.OpConnect, passphrase != "", c.Append(nil))
	if m := await(h, 30*time.Second, hif.OpStateChanged, hif.ParseStateChanged); m.State != hif.Connected {
		h.b.t.Fatalf("join: %v %v", m.State, m.Error)
	}
}

// static gives the station its address before it joins.
func (h *host) static() {
	h.b.t.Helper()
	send(h, hif.OpDisableDHCP, hif.None{})
	send(h, hif.OpStaticIP, hif.IPConfig{IP: staticIP.As4(), Gateway: peerIP.As4(), DNS: peerIP.As4(), Mask: [4]byte{255, 255, 255, 0}})
}

// online is a booted device in an open network with a static address, and a peer in it.
func online(t testing.TB, change ...func(*Config)) (*bench, *peer) {
	t.Helper()
	b := newBench(t, change...).withAP("")
	p := b.withPeer(peerIP)
	b.h.boot()
	b.h.static()
	b.h.join("")
	return b, p
}

// linkDown loses everything, linkUp nothing.
func linkDown() air.Link { return air.Link{Down: true} }
func linkUp() air.Link   { return air.Link{} }

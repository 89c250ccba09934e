package device

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// disturbed is a known host with faults between it and its device.
func disturbed(t *testing.T, name string, seed uint64) (*bench, *scripted, *bus.Faults) {
	t.Helper()
	h := knownHosts[slices.IndexFunc(knownHosts, func(h habits) bool { return h.name == name })]
	b := newBench(t).withAP("")
	b.withServer()
	o := &owned{b: b}
	f, err := bus.NewFaults(b.dev.Port(o, nil), bus.FaultConfig{Rand: rand.NewPCG(seed, 0)})
	if err != nil {
		t.Fatal(err)
	}
	s := overMemory(t, h, o)
	var falls int
	s.edges = func() int { n := falls; falls = 0; return n }
	f.OnIRQ(func() { falls++ })
	p := &forgiving{Port: f}
	s.port, s.failed = p, &p.failed
	return b, s, f
}

// forgiving lets the host go on after a window that fails, and counts it: the access that it belongs to has failed.
type forgiving struct {
	bus.Port
	failed int
}

func (f *forgiving) Tx(w, r []byte) error {
	err := f.Port.Tx(w, r)
	if errors.Is(err, bus.ErrFault) {
		f.failed++
		clear(r)
		return nil
	}
	return err
}

var seeds = []uint64{1, 2, 3, 4, 5}

// With CRC7 on a command that was disturbed does nothing: a register never holds what was not written to it, and the host's
// retries get every value through. Spec host-bus 2.3, 2.6, 2.12.
func TestBitErrorsWithCRC(t *testing.T) {
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			b, s, f := disturbed(t, "19.7.7", seed)
			s.hardReset()
			f.Set(bus.FaultConfig{FlipOut: 0.004, FlipIn: 0.004, FailTx: 0.002})
			for i := range uint32(500) {
				s.write(reg.GP1, i)
				if v := b.dev.regs.stored[reg.GP1]; v != i {
					t.Fatalf("the register holds %#x after %#x was written", v, i)
				}
			}
			for a := range b.dev.regs.stored {
				if a != reg.GP1 {
					t.Errorf("%#x was written", a)
				}
			}
			if s.tries == 0 || b.dev.Snapshot().SPI.CRC7Errors == 0 {
				t.Errorf("%d tries, %+v", s.tries, b.dev.Snapshot().SPI)
			}
		})
	}
}

// With CRC off, as all hosts run, anything can happen to either side while bits flip; a reset brings both back, and the device
// stays within its bounds.
func TestBitErrorsWithoutCRC(t *testing.T) {
	for _, name := range []string{"19.5.2 (W101)", "19.7.7", "third-party Go driver"} {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				b, s, f := disturbed(t, name, seed)
				s.boot(s)
				s.join("")
				r := rand.New(rand.NewPCG(seed, 1))
				f.Set(bus.FaultConfig{FlipOut: 0.001, FlipIn: 0.002, FailTx: 0.002})
				for range 400 {
					s.blindly(r)
				}
				if st := f.Stats(); st.FlippedIn == 0 || st.FlippedOut == 0 || st.FailedTx == 0 {
					t.Errorf("no faults: %+v", st)
				}
				f.Set(bus.FaultConfig{})
				s.tries, s.dead, s.held = 0, false, nil
				s.session("")
				checkBounds(t, b)
			})
		}
	}
}

// blindly does something that may fail, as a driver that passes errors on.
func (s *scripted) blindly(r *rand.Rand) {
	tryWrite := func(a, v uint32) { s.try(func() error { return s.writeReg(a, v) }) }
	switch r.IntN(4) {
	case 0: // a whole request
		n := uint32(8 + r.IntN(100))
		tryWrite(reg.State, uint32(1+r.IntN(2))|uint32(r.IntN(128))<<8|n<<16)
		tryWrite(reg.RcvCtrl2, 2)
		a, err := s.tryRead(reg.RcvCtrl4)
		if err != nil || a == 0 {
			return
		}
		body := make([]byte, n)
		copy(body, []byte{1, 3, byte(n), 0})
		s.try(func() error { return s.writeBlockOnce(a, body) })
		tryWrite(reg.RcvCtrl3, a<<2|2)
	case 1: // a message
		v, err := s.tryRead(reg.RcvCtrl0)
		if err != nil || v&1 == 0 {
			return
		}
		tryWrite(reg.RcvCtrl0, v&^1)
		if a, err := s.tryRead(reg.RcvCtrl1); err == nil {
			s.try(func() error { _, err := s.readBlock(a, int(v>>2&0xfff)+1); return err })
		}
		tryWrite(reg.RcvCtrl0, v|2)
	case 2:
		s.tryRead([]uint32{reg.ChipID, reg.ClocksEn, reg.GP2, reg.FlashTrDone}[r.IntN(4)])
	case 3:
		s.sleep(time.Duration(r.IntN(50)) * time.Millisecond)
	}
}

// An edge that is lost is lost for ever: the message waits, and Snapshot says for whom. A host that looks at the register by
// itself finds it. Spec host-bus 1.3.
func TestLostInterrupts(t *testing.T) {
	b, s, f := disturbed(t, "19.7.7", 1)
	s.boot(s)
	s.join("")
	f.Set(bus.FaultConfig{LoseIRQ: 1})
	s.must(s.send(1, 3, nil, nil, 0), "GET_RSSI")
	if _, ok := s.wait(time.Minute, hif.OpRSSI); ok {
		t.Fatal("a message came although its edge was lost")
	}
	if st := b.dev.Snapshot().Stuck; len(st) != 1 || !strings.HasPrefix(st[0], "host: WIFI/CURRENT_RSSI is posted and was not fetched") {
		t.Errorf("%q", st)
	}
	f.Set(bus.FaultConfig{})
	if !s.isr() { // looks without having been told
		t.Error("no message in the register")
	}
	s.await(0, hif.OpRSSI)
	if st := b.dev.Snapshot().Stuck; len(st) != 0 {
		t.Errorf("%q", st)
	}

	// Half of the edges: a host that looks now and then loses nothing but time.
	f.Set(bus.FaultConfig{LoseIRQ: 0.5})
	s.edges = nil
	s.port = polling{s.port}
	s.dial(0, 1, netip.AddrPortFrom(peerIP, echoPort))
	s.transfer(0, 1, 5000)
}

// polling is a host without an interrupt line: it looks at the register each time.
type polling struct{ bus.Port }

func (polling) IRQ() (bool, error) { return true, nil }

// A line stuck low: each look finds either a message or nothing, and everything goes on. Stuck high: as lost interrupts.
func TestStuckInterruptLine(t *testing.T) {
	for _, name := range []string{"19.5.2 (W101)", "19.7.7", "third-party Go driver"} {
		t.Run(name, func(t *testing.T) {
			_, s, f := disturbed(t, name, 1)
			f.Set(bus.FaultConfig{StickIRQ: bus.StuckLow})
			s.edges = nil
			s.session("")
		})
	}
	b, s, f := disturbed(t, "19.7.7", 1)
	f.Set(bus.FaultConfig{StickIRQ: bus.StuckIdle})
	s.edges = nil
	s.boot(s)
	s.must(s.send(1, 3, nil, nil, 0), "GET_RSSI")
	if _, ok := s.wait(time.Second, hif.OpRSSI); ok || !b.dev.IRQ() {
		t.Error("a stuck line has told of a message")
	}
	f.Set(bus.FaultConfig{})
	s.await(0, hif.OpRSSI)
}

// Windows that take their time: no poll and no time-out of either side runs out.
func TestSlowBus(t *testing.T) {
	for _, name := range []string{"19.5.2 (W101)", "19.7.7", "third-party Go driver"} {
		t.Run(name, func(t *testing.T) {
			b, s, f := disturbed(t, name, 1)
			took := func() time.Duration {
				start := b.now
				s.session("")
				return b.now.Sub(start)
			}
			fast := took()
			f.Set(bus.FaultConfig{Slow: s.sleep, Delay: 2 * time.Millisecond})
			if slow := took(); slow < fast+time.Second {
				t.Errorf("the session took %v, on a fast bus %v", slow, fast)
			}
		})
	}
}

// A peer that takes nothing closes its window, then all buffers are taken, then data messages are refused and only those; once
// the peer reads on, every byte arrives. Spec hif-messages 1.6 [HM-08].
func TestHM08_RefusedBuffers(t *testing.T) {
	for _, name := range []string{"19.5.2 (W101)", "19.7.7"} {
		t.Run(name, func(t *testing.T) {
			b, s, _ := disturbed(t, name, 1)
			s.lazy, b.h.hold = 0, true
			p := &peer{b: b, s: b.peers[0].s}
			lis := p.listen(90)
			s.boot(s)
			s.join("")
			s.dial(0, 1, netip.AddrPortFrom(peerIP, 90))
			c := p.accept(lis)
			data := func(i int) []byte {
				d := make([]byte, 1400)
				for j := range d {
					d[j] = byte(i + j)
				}
				return d
			}
			sent := 0
			for ; s.sendData(0x45, 0, 1, data(sent)); sent++ {
				s.sleep(10 * time.Millisecond)
				if sent > 2000 {
					t.Fatal("nothing is ever refused")
				}
			}
			if c := b.dev.Counters(); c.Refused == 0 {
				t.Errorf("counters %+v", c)
			}
			if st := b.dev.Snapshot().Stuck; !slices.ContainsFunc(st, func(l string) bool {
				return strings.Contains(l, "all 8 send buffers wait for room in sockets; data messages are refused")
			}) || !slices.ContainsFunc(st, func(l string) bool { return strings.Contains(l, "the peer of socket 0 takes no data") }) {
				t.Errorf("%q", st)
			}
			for range 50 {
				s.must(s.send(1, 3, nil, nil, 0), "a control message")
				s.await(time.Second, hif.OpRSSI)
			}
			s.sleep(10 * time.Minute)
			got := p.read(c, sent*1400)
			for i := range sent {
				if d := got[i*1400:][:1400]; string(d) != string(data(i)) {
					t.Fatalf("SEND %d arrived changed", i)
				}
			}
			for range sent {
				s.await(10*time.Second, hif.OpSend)
			}
			if !s.sendData(0x45, 0, 1, data(0)) {
				t.Error("refused although all has been taken")
			}
			s.await(10*time.Second, hif.OpSend)
			if st := b.dev.Snapshot().Stuck; len(st) != 0 {
				t.Errorf("%q", st)
			}
		})
	}
}

// A host that leaves a message open and reads no other for ten minutes, while data, datagrams and connections come. The device
// keeps what it must within its bounds, renews its lease, and goes on when the host does.
func TestHostThatStopsReading(t *testing.T) {
	b, s, _ := disturbed(t, "19.5.4", 1)
	s.boot(s)
	s.join("")
	s.dial(0, 1, netip.AddrPortFrom(peerIP, echoPort))
	for range 20 {
		s.sendData(0x45, 0, 1, make([]byte, 1400))
	}
	s.must(s.send(2, 0x46, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0}, nil, 0), "RECV")
	s.sleep(time.Second)
	v := s.read(reg.RcvCtrl0)
	if v&1 == 0 {
		t.Fatal("no message to leave open")
	}
	s.write(reg.RcvCtrl0, v&^1) // takes a message, and then nothing
	a := s.read(reg.RcvCtrl1)
	before := s.block(a, int(v>>2&0xfff))
	for range 600 {
		s.sleep(time.Second)
		s.sendData(0x45, 0, 1, make([]byte, 100))
	}
	if after := s.block(a, int(v>>2&0xfff)); string(after) != string(before) {
		t.Error("the open message has changed [BD-16]")
	}
	st := b.dev.Snapshot()
	if len(st.Stuck) == 0 || !strings.Contains(st.Stuck[0], "was fetched and RX done has not come") || !st.Addr.IsValid() {
		t.Errorf("%v %q", st.Addr, st.Stuck)
	}
	s.write(reg.RcvCtrl0, s.read(reg.RcvCtrl0)|2)
	got := 0
	for {
		m, ok := s.wait(10*time.Second, hif.OpRecv, hif.OpSend)
		if !ok {
			break
		}
		if m.op == hif.OpRecv {
			got += len(m.payload) - 16
			s.must(s.send(2, 0x46, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0}, nil, 0), "RECV")
		}
	}
	if got < 20*1400 {
		t.Errorf("%d bytes came back", got)
	}
	if st := b.dev.Snapshot(); len(st.Stuck) != 0 {
		t.Errorf("%q", st.Stuck)
	}
	checkBounds(t, b)
}

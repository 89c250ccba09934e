package remote

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
)

// chip is a port with a slave behind it, which remembers what was done to it.
type chip struct {
	mu    sync.Mutex
	slave *spi.Slave
	regs  map[uint32]uint32
	mem   [64 << 10]byte
	lines []string
	low   bool // interrupt line
	irq   func()
	fail  error // what Tx says
}

func newChip() *chip {
	c := &chip{regs: map[uint32]uint32{reg.ChipID: reg.ChipID1500}}
	c.slave = spi.NewSlave(c)
	return c
}

func (c *chip) ReadReg(_ time.Time, a uint32) uint32     { return c.regs[a] }
func (c *chip) WriteReg(_ time.Time, a, v uint32)        { c.regs[a] = v }
func (c *chip) ReadMem(_ time.Time, a uint32, p []byte)  { copy(p, c.mem[a&0x7fff:]) }
func (c *chip) WriteMem(_ time.Time, a uint32, p []byte) { copy(c.mem[a&0x7fff:], p) }

func (c *chip) Tx(w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slave.Transfer(time.Time{}, w, r)
	return c.fail
}

func (c *chip) note(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, s)
	return nil
}

func (c *chip) SetReset(low bool) error {
	if low {
		return c.note("reset low")
	}
	return c.note("reset high")
}

func (c *chip) SetEnable(high bool) error {
	if high {
		return c.note("enable high")
	}
	return errors.New("no such line")
}

func (c *chip) IRQ() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.low, nil
}

func (c *chip) OnIRQ(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.irq = fn
}

// fall lets the interrupt line fall; the function is called with the lock held, as a device may do.
func (c *chip) fall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.low = true
	if c.irq != nil {
		c.irq()
	}
}

// pipes is a listener whose connections are pipes, so that it works in a bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

// inBubble runs a test with a server in a bubble. The bubble fails if a goroutine is left behind.
func inBubble(t *testing.T, f func(t *testing.T, c *chip, l *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, l := newChip(), newPipes()
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, l, c) }()
		f(t, c, l)
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if c.irq != nil {
			t.Error("OnIRQ still set")
		}
	})
}

func dial(t *testing.T, l *pipes) *Client {
	t.Helper()
	c, err := NewClient(t.Context(), l.dial())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var _ bus.Port = (*Client)(nil)

func TestMasterOverTheSocket(t *testing.T) {
	for _, multi := range []bool{false, true} {
		inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
			c := dial(t, l)
			defer c.Close()
			useMaster(t, c, spi.MasterConfig{MultiWindow: multi, ChunkSize: 8192})
		})
	}
}

// useMaster boots the protocol and moves data through a port.
func useMaster(t *testing.T, p bus.Port, c spi.MasterConfig) {
	t.Helper()
	m := spi.NewMaster(p, c)
	if err := m.Init(); err != nil {
		t.Fatal(err)
	}
	if v, err := m.ReadReg(reg.ChipID); err != nil || v != reg.ChipID1500 {
		t.Errorf("%#x, %v", v, err)
	}
	w, r := make([]byte, 20000), make([]byte, 20000)
	for i := range w {
		w[i] = byte(i * 13 >> 3)
	}
	if err := m.WriteBlock(0, w); err != nil {
		t.Fatal(err)
	}
	if err := m.ReadBlock(0, r); err != nil || !bytes.Equal(w, r) {
		t.Errorf("read back differs: %v", err)
	}
	if n := m.Stats().Retries; n != 0 {
		t.Errorf("%d retries", n)
	}
}

func TestWindowsOfAllForms(t *testing.T) {
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		c := dial(t, l)
		defer c.Close()
		chip.slave.HardReset()
		// Write only, with zeros at the end of the command; then read only; then both.
		if err := c.Tx([]byte{0xc9, 0, 0xe8, 0x24, 0, 0, 0, 0x52, 0x5c}, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Tx([]byte{0xca, 0, 0x10, 0}, nil); err != nil {
			t.Fatal(err)
		}
		r := bytes.Repeat([]byte{0x55}, 8)
		if err := c.Tx(nil, r); err != nil || !bytes.Equal(r, []byte{0xca, 0, 0xf3, 0xa0, 3, 0x10, 0, 0}) {
			t.Errorf("% x, %v", r, err)
		}
		w := []byte{0xca, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		r = bytes.Repeat([]byte{0x55}, 12)
		if err := c.Tx(w, r); err != nil || !bytes.Equal(r, []byte{0, 0, 0, 0, 0xca, 0, 0xf3, 0xa0, 3, 0x10, 0, 0}) {
			t.Errorf("% x, %v", r, err)
		}
		r = []byte{1, 2, 3}
		if err := c.Tx(nil, r); err != nil || !bytes.Equal(r, []byte{0, 0, 0}) {
			t.Errorf("% x, %v", r, err)
		}
		if err := c.Tx(nil, nil); err != nil {
			t.Error(err)
		}
		if err := c.Tx(make([]byte, 2), make([]byte, 3)); err == nil {
			t.Error("a window of two lengths")
		}
		if err := c.Tx(make([]byte, MaxTransfer+1), nil); !errors.Is(err, ErrTooLong) {
			t.Error(err)
		}
		if err := c.Tx(make([]byte, MaxTransfer), make([]byte, MaxTransfer)); err != nil {
			t.Error(err)
		}
	})
}

func TestLines(t *testing.T) {
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		c := dial(t, l)
		defer c.Close()
		if err := errors.Join(c.SetEnable(true), c.SetReset(true), c.SetReset(false)); err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(chip.lines, ", "), "enable high, reset low, reset high"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if err := c.SetEnable(false); err == nil || err.Error() != "remote: no such line" {
			t.Errorf("error of the port: %v", err)
		}
		if low, err := c.IRQ(); low || err != nil {
			t.Errorf("%v, %v", low, err)
		}
		edges := make(chan bool, 10)
		c.OnIRQ(func() { edges <- true })
		chip.fall()
		<-edges
		if low, err := c.IRQ(); !low || err != nil {
			t.Errorf("%v, %v", low, err)
		}
		c.OnIRQ(nil)
		chip.fall()
		synctest.Wait()
		if len(edges) > 0 {
			t.Error("edge after OnIRQ(nil)")
		}
	})
}

// A line that fell before the client came is told at once.
func TestEdgeBeforeTheClient(t *testing.T) {
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		chip.fall()
		conn := l.dial()
		defer conn.Close()
		in := greet(t, conn)
		if f, err := in.next(0); err != nil || f.kind != kindEdge {
			t.Errorf("%v, %v", f.kind, err)
		}
	})
}

// greet says hello by hand.
func greet(t *testing.T, conn net.Conn) *reader {
	t.Helper()
	if _, err := conn.Write(appendHello(nil, kindHello)); err != nil {
		t.Fatal(err)
	}
	in := newReader(conn)
	if f, err := in.next(maxText); err != nil || f.kind != kindHello|answer {
		t.Fatalf("%v, %v", f.kind, err)
	}
	return in
}

func TestErrorOfAWriteComesWithALaterCall(t *testing.T) {
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		c := dial(t, l)
		defer c.Close()
		chip.mu.Lock()
		chip.fail = errors.New("pulled out")
		chip.mu.Unlock()
		if err := c.Tx([]byte{1}, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		chip.mu.Lock()
		chip.fail = nil
		chip.mu.Unlock()
		if err := c.Tx(nil, make([]byte, 1)); err == nil || err.Error() != "remote: pulled out" {
			t.Error(err)
		}
		if err := c.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

func TestTheNextClientIsToldThatTheBusIsBusy(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
		first := dial(t, l)
		_, err := NewClient(t.Context(), l.dial())
		if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "another host") {
			t.Errorf("%v", err)
		}
		if err := first.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		first.Close()
		synctest.Wait()
		second := dial(t, l)
		defer second.Close()
		if err := second.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// A host can come in the moment in which another one leaves: the server has not heard of the end yet.
func TestAHostComesWhileAnotherLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
		first := dial(t, l)
		time.AfterFunc(changeTime/2, func() { first.Close() })
		second := dial(t, l)
		defer second.Close()
		if err := second.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// Clients that are refused and do not go away cost a bounded number of connections and goroutines.
func TestManyRefusedClients(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
		first := dial(t, l)
		defer first.Close()
		var closed int
		var conns []net.Conn
		for range 3 * maxArriving {
			conns = append(conns, l.dial())
		}
		synctest.Wait()
		for _, c := range conns {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); err == io.EOF {
				closed++
			}
		}
		if closed != 2*maxArriving {
			t.Errorf("%d closed at once, want %d", closed, 2*maxArriving)
		}
		time.Sleep(2 * lingerTime)
		if err := first.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		for _, c := range conns {
			c.Close()
		}
	})
}

func TestClientsThatAreNone(t *testing.T) {
	hello := func(edit func(b []byte)) []byte {
		b := appendHello(nil, kindHello)
		edit(b)
		return b
	}
	for name, b := range map[string][]byte{
		"HTTP":                []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"another magic":       hello(func(b []byte) { b[8] = 'X' }),
		"another version":     hello(func(b []byte) { b[12] = 9 }),
		"another first frame": appendFrame(nil, kindIRQ, flagAnswer),
		"short hello":         appendFrame(nil, kindHello, flagAnswer, 'U', 'S'),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
				conn := l.dial()
				defer conn.Close()
				go conn.Write(b) // nobody may read all of it
				f, err := newReader(conn).next(maxText)
				if err != nil || f.kind != kindRefuse || reason(f.payload[0]) != reasonVersion {
					t.Errorf("%v % x, %v", f.kind, f.payload, err)
				}
				conn.Close()
				synctest.Wait()
				c := dial(t, l) // and the bus is free
				c.Close()
			})
		})
	}
}

func TestAClientThatSaysNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
		conn := l.dial()
		defer conn.Close()
		began := time.Now()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		if d := time.Since(began); d != helloTimeout {
			t.Errorf("after %v", d)
		}
	})
}

func TestFramesThatMakeNoSense(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown kind":             appendFrame(nil, 99, 0),
		"answer":                   appendFrame(nil, kindTx|answer, 0, 0, 0, 0, 0),
		"unknown flag":             appendFrame(nil, kindIRQ, 2),
		"second hello":             appendHello(nil, kindHello),
		"TX without slots":         appendFrame(nil, kindTx, flagAnswer, 1),
		"TX with too many bytes":   appendFrame(nil, kindTx, flagAnswer, 1, 0, 0, 0, 1, 2),
		"TX with too many slots":   appendFrame(nil, kindTx, flagAnswer, 1, 0, 4, 0),
		"TX of 4 GiB":              appendFrame(nil, kindTx, flagAnswer, 0xff, 0xff, 0xff, 0xff),
		"RESET without a level":    appendFrame(nil, kindReset, flagAnswer),
		"ENABLE with a level of 2": appendFrame(nil, kindEnable, flagAnswer, 2),
		"IRQ with a payload":       appendFrame(nil, kindIRQ, flagAnswer, 1),
		"frame of 4 GiB":           {byte(kindTx), 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
		"reserved bytes":           {byte(kindIRQ), 1, 1, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *chip, l *pipes) {
				conn := l.dial()
				defer conn.Close()
				in := greet(t, conn)
				go conn.Write(b)
				f, err := in.next(maxText)
				if err != nil || f.kind != kindRefuse || reason(f.payload[0]) != reasonFrame {
					t.Errorf("%v % x, %v", f.kind, f.payload, err)
				}
				conn.Close()
				synctest.Wait()
				c := dial(t, l)
				if err := c.Tx(nil, make([]byte, 1)); err != nil {
					t.Error(err)
				}
				c.Close()
			})
		})
	}
}

// A client that asks and does not take the answers is dropped; the device and the next client live on.
func TestAClientThatDoesNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		conn := l.dial()
		defer conn.Close()
		greet(t, conn)
		chip.fall() // never blocks
		chip.fall()
		go conn.Write(appendFrame(nil, kindIRQ, flagAnswer))
		time.Sleep(2 * writeTimeout)
		c := dial(t, l)
		if err := c.Tx(nil, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

func TestTheServerGoesAwayInTheMiddleOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() {
			in := newReader(b)
			in.next(helloLen)
			b.Write(appendFrame(nil, kindHello|answer, 0, Version, 0, 0, 0, 0, 0, 1, 0))
			in.next(maxPayload)
			b.Close() // instead of an answer
		}()
		c, err := NewClient(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Tx(nil, make([]byte, 4)); !errors.Is(err, ErrGone) {
			t.Errorf("%v", err)
		}
		if err := c.Tx([]byte{1}, nil); !errors.Is(err, ErrGone) {
			t.Errorf("%v", err)
		}
		if _, err := c.IRQ(); !errors.Is(err, ErrGone) {
			t.Errorf("%v", err)
		}
		c.Close()
	})
}

func TestCloseInTheMiddleOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() {
			in := newReader(b)
			in.next(helloLen)
			b.Write(appendFrame(nil, kindHello|answer, 0, Version, 0, 0, 0, 0, 0, 1, 0))
			io.Copy(io.Discard, b) // and never answers
		}()
		c, err := NewClient(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			c.Close()
		}()
		if err := c.Tx(nil, make([]byte, 4)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if err := c.SetReset(true); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// Servers that are none: the client says so, and does not hang, grow or panic.
func TestServersThatAreNone(t *testing.T) {
	good := appendFrame(nil, kindHello|answer, 0, Version, 0, 0, 0, 0, 0, 1, 0)
	for name, row := range map[string]struct {
		say   []byte
		atNew bool // the greeting fails, else the call
	}{
		"text":                   {[]byte("220 mail.example ESMTP\r\n"), true},
		"nothing":                {nil, true},
		"another version":        {appendFrame(nil, kindHello|answer, 0, 9, 0, 0, 0, 0, 0, 1, 0), true},
		"refusal without reason": {appendFrame(nil, kindRefuse, 0), true},
		"short greeting":         {appendFrame(nil, kindHello|answer, 0, Version, 0), true},
		"another answer":         {append(good, appendFrame(nil, kindIRQ|answer, 0, 1)...), false},
		"answer too long":        {append(good, appendFrame(nil, kindTx|answer, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5)...), false},
		"offset beyond the end":  {append(good, appendFrame(nil, kindTx|answer, 0, 0xff, 0xff, 0xff, 0xff, 1)...), false},
		"answer too short":       {append(good, appendFrame(nil, kindTx|answer, 0, 0, 0)...), false},
		"frame of 4 GiB":         {append(good, byte(kindEdge), 0, 0, 0, 0xff, 0xff, 0xff, 0xff), false},
		"late refusal":           {append(good, appendFrame(nil, kindRefuse, 0, byte(reasonFrame), 'x')...), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				go io.Copy(io.Discard, b)
				go func() {
					if row.say == nil {
						b.Close()
					}
					if row.atNew {
						b.Write(row.say)
						return
					}
					b.Write(good)
					time.Sleep(time.Second) // until the call
					b.Write(row.say[len(good):])
				}()
				c, err := NewClient(t.Context(), a)
				if row.atNew {
					if !errors.Is(err, ErrRefused) && !errors.Is(err, ErrGone) {
						t.Errorf("%v", err)
					}
					a.Close()
					b.Close()
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Tx(nil, make([]byte, 4)); !errors.Is(err, ErrGone) {
					t.Errorf("%v", err)
				}
				c.Close()
				b.Close()
			})
		})
	}
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		go io.Copy(io.Discard, b) // reads the hello and says nothing
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := NewClient(ctx, a); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestServeEndsWithItsListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		served := make(chan error, 1)
		go func() { served <- Serve(t.Context(), l, newChip()) }()
		c := dial(t, l)
		l.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if err := c.Tx(nil, make([]byte, 1)); !errors.Is(err, ErrGone) {
			t.Errorf("%v", err)
		}
		c.Close()
	})
}

// Calls from many goroutines, with edges in between.
func TestConcurrentCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		c := dial(t, l)
		defer c.Close()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 50 {
					if err := c.Tx(make([]byte, 10), make([]byte, 10)); err != nil {
						t.Error(err)
					}
					if err := c.SetReset(i%2 == 0); err != nil {
						t.Error(err)
					}
					if _, err := c.IRQ(); err != nil {
						t.Error(err)
					}
					chip.fall()
					if err := c.Tx([]byte{0}, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// serveUnix starts a server on a real socket.
func serveUnix(t testing.TB, p bus.Port) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bus.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("no Unix sockets here: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, p) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return path
}

func TestOverAUnixSocket(t *testing.T) {
	path := serveUnix(t, newChip())
	c, err := Dial(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), "unix", path); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	useMaster(t, c, spi.MasterConfig{})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, newChip()) }()
	c, err := Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	useMaster(t, c, spi.MasterConfig{})
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := c.Tx(nil, make([]byte, 1)); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	c.Close()
	if _, err := Dial(t.Context(), "tcp", l.Addr().String()); err == nil {
		t.Error("dialled a server that is gone")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(appendHello(nil, kindHello))
	f.Add(appendFrame(appendFrame(nil, kindTx, flagAnswer, 4, 0, 0, 0, 1), kindIRQ, flagAnswer))
	f.Add([]byte{2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newReader(bytes.NewReader(b))
		s := newSession(newChip(), nil)
		for {
			fr, err := in.next(maxPayload)
			if err != nil {
				break
			}
			if again, err := newReader(bytes.NewReader(appendFrame(nil, fr.kind, fr.flags, fr.payload...))).next(maxPayload); err != nil ||
				again.kind != fr.kind || again.flags != fr.flags || !bytes.Equal(again.payload, fr.payload) {
				t.Fatalf("%+v, %v", again, err)
			}
			s.out = s.out[:0]
			if s.handle(fr) != nil {
				break
			}
			if len(s.out) > maxPayload+frameHeader {
				t.Fatalf("answer of %d bytes", len(s.out))
			}
		}
		if cap(in.buf) > 2*maxPayload {
			t.Errorf("a buffer of %d bytes", cap(in.buf))
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add(uint8(kindTx), appendFrame(nil, kindTx|answer, 0, 1, 0, 0, 0, 7))
	f.Add(uint8(kindIRQ), appendFrame(nil, kindIRQ|answer, flagError, 'x'))
	f.Fuzz(func(t *testing.T, k uint8, b []byte) {
		fr, err := newReader(bytes.NewReader(b)).next(maxPayload)
		if err != nil {
			return
		}
		w := &call{kind: kind(k), r: make([]byte, 16)}
		if fr.kind == w.kind|answer {
			w.fill(fr)
		}
	})
}

func BenchmarkReadRegUnix(b *testing.B) {
	benchmark(b, 4, func(m *spi.Master, _ []byte) error { _, err := m.ReadReg(reg.ChipID); return err })
}

func BenchmarkWriteBlock1400Unix(b *testing.B) {
	benchmark(b, 1400, func(m *spi.Master, p []byte) error { return m.WriteBlock(0, p) })
}

func BenchmarkReadBlock1400Unix(b *testing.B) {
	benchmark(b, 1400, func(m *spi.Master, p []byte) error { return m.ReadBlock(0, p) })
}

func benchmark(b *testing.B, n int, f func(m *spi.Master, p []byte) error) {
	c, err := Dial(b.Context(), "unix", serveUnix(b, newChip()))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	m := spi.NewMaster(c, spi.MasterConfig{})
	if err := m.Init(); err != nil {
		b.Fatal(err)
	}
	p := bytes.Repeat([]byte{0x5a}, 1400)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if err := f(m, p); err != nil {
			b.Fatal(err)
		}
	}
}

// The example of docs/bus-socket.md, byte for byte.
func TestExampleOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/bus-socket.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "## Example")
	_, example, _ = strings.Cut(example, "```\n")
	example, _, _ = strings.Cut(example, "```")
	inBubble(t, func(t *testing.T, chip *chip, l *pipes) {
		conn := l.dial()
		defer conn.Close()
		n := 0
		for line := range strings.Lines(example) {
			b := hexAtStart(line[1:])
			n++
			if line[0] == '>' {
				if _, err := conn.Write(b); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if b[0] == byte(kindEdge) {
				chip.fall()
			}
			got := make([]byte, len(b))
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("line %d: % x (%v), the page says % x", n, got, err, b)
			}
		}
		if n != 11 {
			t.Errorf("%d lines", n)
		}
	})
}

// hexAtStart reads the bytes at the start of a line, up to the remark.
func hexAtStart(s string) []byte {
	var out []byte
	for f := range strings.FieldsSeq(s) {
		b, err := hex.DecodeString(f)
		if err != nil || len(f) != 2 {
			break
		}
		out = append(out, b...)
	}
	return out
}

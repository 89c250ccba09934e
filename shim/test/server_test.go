package shim_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/remote"
)

// Codes of shim.h.
const (
	errArgument = -1
	errAddress  = -2
	errConnect  = -3
	errBusy     = -4
	errRefused  = -5
	errTimeout  = -6
	errGone     = -7
	errProtocol = -8
	errBus      = -9
)

var le = binary.LittleEndian

// frame makes a frame of docs/bus-socket.md.
func frame(kind, flags byte, payload ...byte) []byte {
	b := le.AppendUint32([]byte{kind, flags, 0, 0}, uint32(len(payload)))
	return append(b, payload...)
}

var (
	hello = frame(0x81, 0, 1, 0, 0, 0, 0, 0, 4, 0) // 262144 slots
	edge  = frame(0xc0, 0)
)

// fake is a server that does what a test says: script is run for each connection.
func fake(t *testing.T, script func(c net.Conn, in *bufio.Reader)) (addr string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "bus"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				script(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "unix:" + l.Addr().String()
}

// request reads a request.
func request(in *bufio.Reader) (kind byte, payload []byte, err error) {
	h := make([]byte, 8)
	if _, err := io.ReadFull(in, h); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, le.Uint32(h[4:]))
	_, err = io.ReadFull(in, payload)
	return h[0], payload, err
}

// says answers each request with the next of some pieces and then waits for the
// client to go; with hangUp it goes first.
func says(hangUp bool, pieces ...[]byte) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, in *bufio.Reader) {
		for _, p := range pieces {
			if _, _, err := request(in); err != nil {
				return
			}
			c.Write(p)
		}
		if !hangUp {
			io.Copy(io.Discard, in)
		}
	}
}

func join(b ...[]byte) []byte {
	var all []byte
	for _, x := range b {
		all = append(all, x...)
	}
	return all
}

// tx is an answer to TX.
func tx(off uint32, data ...byte) []byte {
	return frame(0x82, 0, append(le.AppendUint32(nil, off), data...)...)
}

// A server that is wrong, slow or gone gives a code, in time, and the same for all later
// calls; one that is odd but right gives the right bytes.
func TestServersThatMisbehave(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	type server = func(net.Conn, *bufio.Reader)
	for _, test := range []struct {
		name   string
		server server
		input  string
		want   string
	}{
		{"hangs up at once", says(true), "irq", fmt.Sprint("open ", errGone)},
		{"never says hello", says(false), "irq", fmt.Sprint("open ", errTimeout)},
		{"half a hello", says(false, hello[:11]), "irq", fmt.Sprint("open ", errTimeout)},
		{"half a header", says(false, hello[:3]), "irq", fmt.Sprint("open ", errTimeout)},
		{"dies in its hello", says(true, hello[:11]), "irq", fmt.Sprint("open ", errGone)},
		{"is a web server", says(true, []byte("HTTP/1.1 400 Bad Request\r\n\r\n")), "irq", fmt.Sprint("open ", errRefused)},
		{"another version", says(false, frame(0x81, 0, 2, 0, 0, 0, 0, 0, 4, 0)), "irq", fmt.Sprint("open ", errRefused)},
		{"windows too short", says(false, frame(0x81, 0, 1, 0, 0, 0, 0, 1, 0, 0)), "irq", fmt.Sprint("open ", errRefused)},
		{"busy", says(false, frame(0xfe, 0, append([]byte{1}, "busy"...)...)), "irq", fmt.Sprint("open ", errBusy)},
		{"refuses the version", says(false, frame(0xfe, 0, append([]byte{2}, "no"...)...)), "irq", fmt.Sprint("open ", errRefused)},
		{"refuses without a reason", says(false, frame(0xfe, 0)), "irq", fmt.Sprint("open ", errRefused)},
		{"says more in its hello", says(false, frame(0x81, 0, 1, 0, 0, 0, 0, 0, 4, 0, 9, 9, 9), frame(0x85, 0, 1)), "irq", "open 0\nirq 1"},

		{"hangs up", says(true, hello), "irq\nread 3\npoll 5", "open 0\nirq -7\nread -7\npoll -7"},
		{"does not answer", says(false, hello), "irq\nirq\nread 3\nreset 0", "open 0\nirq -6\nirq -6\nread -6\nreset -6"},
		{"dies in an answer", says(true, hello, tx(0, 1, 2, 3, 4, 5)[:14]), "read 5\nread 5", "open 0\nread -7\nread -7"},
		{"stops in an answer", says(false, hello, tx(0, 1, 2, 3, 4, 5)[:14]), "read 5\nread 5", "open 0\nread -6\nread -6"},
		{"answers something else", says(false, hello, frame(0x85, 0, 1)), "read 5", "open 0\nread -8"},
		{"answers too much", says(false, hello, tx(0, 1, 2, 3, 4, 5, 6)), "read 5", "open 0\nread -8"},
		{"answers behind the window", says(false, hello, tx(5, 1)), "read 5", "open 0\nread -8"},
		{"answers far behind", says(false, hello, tx(0xfffffffe, 1, 2)), "read 5", "open 0\nread -8"},
		{"answers without an offset", says(false, hello, frame(0x82, 0, 0, 0)), "read 5", "open 0\nread -8"},
		{"announces four gigabytes", says(false, hello, []byte{0x82, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}), "read 5", "open 0\nread -8"},
		{"uses the reserved bytes", says(false, hello, []byte{0x82, 0, 1, 0, 4, 0, 0, 0, 5, 0, 0, 0}), "read 5", "open 0\nread -8"},
		{"uses other flags", says(false, hello, frame(0x85, 2, 1)), "irq", "open 0\nirq -8"},
		{"a level of two", says(false, hello, frame(0x85, 0, 2)), "irq", "open 0\nirq -8"},
		{"two levels", says(false, hello, frame(0x85, 0, 1, 1)), "irq", "open 0\nirq -8"},
		{"an answer with a payload", says(false, hello, frame(0x83, 0, 1)), "reset 1", "open 0\nreset -8"},
		{"an edge with a payload", says(false, join(hello, frame(0xc0, 0, 1))), "poll 1000\nirq", "open 0\npoll -8\nirq -8"},
		{"answers nobody", says(false, join(hello, frame(0x85, 0, 1))), "poll 1000\npoll 0", "open 0\npoll -8\npoll -8"},
		{"refuses in the middle", says(false, hello, frame(0xfe, 0, 3, 'x')), "irq", "open 0\nirq -5"},
		{"a text without end", says(false, hello, frame(0x85, 1, make([]byte, 2000)...)), "irq", "open 0\nirq -8"},

		{"an error of the device", says(false, hello, frame(0x82, 1, []byte("no chip")...), tx(1, 7)), "tx ca01\ndetail\ntx ca01",
			"open 0\ntx -9\ndetail no chip\ntx 0 0007"},
		{"a long error", says(false, hello, frame(0x83, 1, []byte(strings.Repeat("x", 600))...), frame(0x83, 0)), "reset 0\nreset 0\ndetail",
			"open 0\nreset -9\nreset 0\ndetail " + strings.Repeat("x", 255)},
		{"edges everywhere", says(false, join(edge, hello, edge), join(edge, edge, tx(2, 9), edge)), "poll 0\npoll 0\nread 4\npoll 1000\npoll 0\nedges",
			"open 0\npoll 1\npoll 0\nread 0 00000900\npoll 1\npoll 0\nedges 2"},
		{"all zeros", says(false, hello, tx(4)), "read 4", "open 0\nread 0 00000000"},
		{"all of it", says(false, hello, tx(0, 1, 2, 3, 4)), "read 4", "open 0\nread 0 01020304"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			addr := fake(t, test.server)
			began := time.Now()
			if got := strings.TrimSpace(run(t, test.input+"\n", program, addr, "300")); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	dir := t.TempDir()
	for addr, want := range map[string]int{
		"":                                  errAddress,
		"unix":                              errAddress,
		"unix:":                             errAddress,
		"udp:localhost:1":                   errAddress,
		"tcp:":                              errAddress,
		"tcp:localhost":                     errAddress,
		"tcp:127.0.0.1:":                    errAddress,
		"tcp::1:99":                         errAddress, // an IPv6 address wants brackets
		"tcp:127.0.0.1:port":                errAddress,
		"unix:/" + strings.Repeat("a", 200): errAddress,
		"tcp:127.0.0.1:1":                   errConnect,
		"unix:" + dir + "/nobody":           errConnect,
		"unix:" + dir:                       errConnect,
	} {
		if got := run(t, "irq\n", program, addr, "500"); got != fmt.Sprintf("open %d\n", want) {
			t.Errorf("%q: %s, want %d", addr, got, want)
		}
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	l.Close()
	program := build(t, "testdata/probe.c", plain)
	addr := strings.Replace(serve(t, "tcp", echo{}), "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	if got := run(t, "tx 0102\n", program, addr, "0"); got != "open 0\ntx 0 fefd\n" {
		t.Error(got)
	}
}

// echo is a bus that answers each byte with its complement, from a host that sends
// nothing with 0xa5.
type echo struct{}

func (echo) Tx(w, r []byte) error {
	for i := range r {
		r[i] = 0xa5
		if w != nil {
			r[i] = ^w[i]
		}
	}
	return nil
}
func (echo) SetReset(bool) error  { return nil }
func (echo) SetEnable(bool) error { return nil }
func (echo) IRQ() (bool, error)   { return false, nil }
func (echo) OnIRQ(func())         {}

// A second host is told that the bus is busy, and gets it when the first has gone.
func TestBusyServer(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	addr := serve(t, "unix", echo{})
	first, err := remote.Dial(t.Context(), "unix", strings.TrimPrefix(addr, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, "irq\n", program, addr, "0"); got != fmt.Sprintf("open %d\n", errBusy) {
		t.Error(got)
	}
	first.Close()
	for end := time.Now().Add(5 * time.Second); ; {
		got := run(t, "irq\n", program, addr, "0")
		if got == "open 0\nirq 0\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatal(got)
		}
	}
}

// dribble passes a connection on in pieces of one to three bytes.
func dribble(t *testing.T, to string) (addr string) {
	return fake(t, func(c net.Conn, _ *bufio.Reader) {
		up, err := net.Dial("unix", strings.TrimPrefix(to, "unix:"))
		if err != nil {
			t.Error(err)
			return
		}
		defer up.Close()
		go func() {
			io.Copy(up, c)
			up.Close()
		}()
		rnd := rand.New(rand.NewPCG(7, 7))
		b := make([]byte, 3)
		for {
			n, err := up.Read(b[:1+rnd.IntN(3)])
			if err != nil {
				return
			}
			if _, err := c.Write(b[:n]); err != nil {
				return
			}
		}
	})
}

// Answers in crumbs, and signals that interrupt every call, change nothing.
func TestShortReadsAndSignals(t *testing.T) {
	for _, v := range []variant{plain, sanitized} {
		program := build(t, "testdata/probe.c", v)
		addr := dribble(t, serve(t, "unix", echo{}))
		var in, want strings.Builder
		in.WriteString("storm 400\n")
		want.WriteString("open 0\nstorm 0\n")
		for i := range 200 {
			fmt.Fprintf(&in, "tx %02x%02x\nirq\nread 2\n", i, 255-i)
			fmt.Fprintf(&want, "tx 0 %02x%02x\nirq 0\nread 0 a5a5\n", 255-i, i)
		}
		if got := run(t, in.String(), program, addr, "20000"); got != want.String() {
			t.Errorf("%s: got\n%s", v.name, got)
		}
	}
}

// Windows longer than the server takes are cut; all bytes arrive.
func TestLongWindows(t *testing.T) {
	const n = 290000
	program := build(t, "testdata/probe.c", sanitized)
	sum := uint32(0)
	for i := range n {
		sum = sum*31 + uint32(^byte(i*7+i/256+1))
	}
	for _, network := range []string{"unix", "tcp"} {
		got := run(t, fmt.Sprintf("storm 1000\nbig %d\n", n), program, serve(t, network, echo{}), "0")
		if want := fmt.Sprintf("open 0\nstorm 0\nbig 0 %d\n", sum); got != want {
			t.Errorf("%s: %s, want %s", network, got, want)
		}
	}
}

// A window without answer is on its way when the call returns; the next answer tells
// what went wrong with it.
func TestErrorsOfWritesComeLater(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	addr := serve(t, "unix", failing{})
	got := run(t, "write 0102\nirq\ndetail\nirq\n", program, addr, "0")
	if want := "open 0\nwrite 0\nirq -9\ndetail pulled out\nirq 0\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

type failing struct{ echo }

func (failing) Tx([]byte, []byte) error { return fmt.Errorf("pulled out") }

// Whatever a server says, the client returns: no crash, no hang, nothing the sanitizers
// object to.
func TestAnyAnswers(t *testing.T) {
	program := build(t, "testdata/probe.c", sanitized)
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		addr := fake(t, func(c net.Conn, in *bufio.Reader) {
			if _, _, err := request(in); err != nil {
				return
			}
			c.Write(hello)
			for {
				if _, _, err := request(in); err != nil {
					return
				}
				c.Write(noise(rnd))
			}
		})
		run(t, "read 9\nirq\ntx ca001000ca0000\nreset 1\npoll 5\nread 4\nirq\npoll 0\n", program, addr, "40")
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// noise is an answer with something wrong in it, or with nothing.
func noise(rnd *rand.Rand) []byte {
	kinds := []byte{0x82, 0x82, 0x82, 0x83, 0x85, 0xc0, 0xfe, byte(rnd.Uint32())}
	var b []byte
	for range 1 + rnd.IntN(3) {
		payload := make([]byte, rnd.IntN(14))
		for i := range payload {
			payload[i] = byte(rnd.Uint32() >> rnd.IntN(32))
		}
		b = append(b, frame(kinds[rnd.IntN(len(kinds))], byte(rnd.IntN(4)/2), payload...)...)
	}
	if rnd.IntN(4) == 0 {
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	}
	return b[:len(b)-rnd.IntN(2)]
}

// An endless stream of edges does not hold a request, or a look, for ever.
func TestFloodOfEdges(t *testing.T) {
	program := build(t, "testdata/probe.c", plain)
	addr := fake(t, func(c net.Conn, in *bufio.Reader) {
		request(in)
		c.Write(hello)
		for flood := []byte(strings.Repeat(string(edge), 512)); ; {
			if _, err := c.Write(flood); err != nil {
				return
			}
		}
	})
	if got := run(t, "poll 5000\npoll 5000\nirq\nirq\n", program, addr, "300"); got != "open 0\npoll 1\npoll 1\nirq -6\nirq -6\n" {
		t.Error(got)
	}
}

// lines is a bus whose interrupt line the test moves.
type lines struct {
	echo
	mu    sync.Mutex
	low   bool
	fn    func()
	asked []string // RESET and ENABLE
}

var _ bus.Port = (*lines)(nil)

func (l *lines) IRQ() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.low, nil
}

func (l *lines) OnIRQ(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fn = fn
}

// A window that begins with 1 makes the line fall, one that begins with 2 makes it rise, one that begins with 3 makes
// it fall again and again.
func (l *lines) Tx(w, r []byte) error {
	l.mu.Lock()
	n := 0
	if len(w) > 0 && w[0] == 1 {
		n = 1
	}
	if len(w) > 0 && w[0] == 3 {
		n = 100
	}
	if n > 0 {
		l.low = true
	}
	if len(w) > 0 && w[0] == 2 {
		l.low = false
	}
	fn := l.fn
	l.mu.Unlock()
	for range n {
		fn()
	}
	return l.echo.Tx(w, r)
}

func (l *lines) SetReset(low bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprint("RESET ", !low))
	return nil
}

func (l *lines) SetEnable(high bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprint("ENABLE ", high))
	return nil
}

// The interrupt by polling, and on a thread.
func TestInterrupts(t *testing.T) {
	for _, v := range []variant{plain, sanitized, racy, single} {
		t.Run(v.name, func(t *testing.T) {
			program := build(t, "testdata/probe.c", v)
			got := run(t, "poll 0\ntx 01\npoll 2000\npoll 0\nedges\nirq\ntx 02\nirq\npoll 20\nwrite 01\npoll 2000\nedges\n", program, serve(t, "unix", &lines{}), "0")
			if want := "open 0\npoll 0\ntx 0 fe\npoll 1\npoll 0\nedges 1\nirq 1\ntx 0 fd\nirq 0\npoll 0\nwrite 0\npoll 1\nedges 2\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			in := "start\nstart\npoll 0\ntx 01\nawait 1\ntx 01\nawait 2\nwrite 01\nawait 3\nstop\ntx 01\nsleep 20\nedges\nstart\nawait 4\nstop\nstop\n"
			want := "open 0\nstart 0\nstart -1\npoll -1\ntx 0 fe\nawait 1\ntx 0 fe\nawait 1\nwrite 0\nawait 1\nstop 0\ntx 0 fe\nedges 3\nstart 0\nawait 1\nstop 0\nstop 0\n"
			if v.name == single.name {
				in, want = "start\nstop\n", "open 0\nstart -10\nstop 0\n"
			}
			if got := run(t, in, program, serve(t, "tcp", &lines{}), "0"); got != want {
				t.Errorf("on a thread: got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A line that is low when a host comes is told; edges that come while requests are under
// way are told too, with a thread that reads at the same time.
func TestInterruptsDuringRequests(t *testing.T) {
	program := build(t, "testdata/probe.c", racy)
	l := &lines{low: true}
	in := "start\nawait 1\n" + strings.Repeat("tx 0300\nirq\n", 300) + "await 2\n"
	want := "open 0\nstart 0\nawait 1\n" + strings.Repeat("tx 0 fcff\nirq 1\n", 300) + "await 1\n"
	if got := run(t, in, program, serve(t, "unix", l), "0"); got != want {
		t.Errorf("got\n%s", got)
	}
	// None is lost, whether it comes before, with or after the answer.
	var each, told strings.Builder
	each.WriteString("start\n")
	told.WriteString("open 0\nstart 0\n")
	for i := range 500 {
		fmt.Fprintf(&each, "tx 01\nawait %d\n", i+1)
		told.WriteString("tx 0 fe\nawait 1\n")
	}
	for _, v := range []variant{plain, racy} {
		if got := run(t, each.String(), build(t, "testdata/probe.c", v), serve(t, "unix", &lines{}), "0"); got != told.String() {
			t.Errorf("%s: got\n%s", v.name, got)
		}
	}
}

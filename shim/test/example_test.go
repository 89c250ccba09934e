package shim_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/remote"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

var mac = wire.MAC{0x02, 0x57, 0x49, 0x4e, 0x43, 0x2a}

// newDevice returns the bus of a device on the wall clock.
func newDevice(t *testing.T) bus.Port {
	t.Helper()
	w := world.New()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() {
		w.Close()
		cancel()
		wg.Wait()
	})
	var slot *world.Slot
	d, err := device.New(device.Config{MAC: mac, Rand: rand.NewPCG(1, 2), Touch: func() { slot.Touch() }})
	if err != nil {
		t.Fatal(err)
	}
	w.Lock()
	slot = w.Add(d)
	w.Unlock()
	return d.Port(w, slot.Touch)
}

// serve offers a bus at a new address until the test ends.
func serve(t *testing.T, network string, p bus.Port) (addr string) {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		at = filepath.Join(t.TempDir(), "bus")
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { remote.Serve(ctx, l, p) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return network + ":" + l.Addr().String()
}

// run runs a program with input and returns what it printed. It fails the test if
// the program crashes, complains or takes too long.
func run(t *testing.T, input string, name string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %v, %v\n%s%s", cmd.Args, err, ctx.Err(), out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// The example boots a device of this process, however it clocks, however it was
// compiled, and over both kinds of sockets.
func TestExampleBootsADevice(t *testing.T) {
	for _, v := range allVariants {
		t.Run(v.name, func(t *testing.T) {
			program := build(t, "../example/main.c", v)
			for _, how := range []struct{ network, args string }{
				{"unix", ""}, {"tcp", ""}, {"unix", "--phases"}, {"tcp", "--exact"}, {"unix", "--thread"},
			} {
				if how.args == "--thread" && (v.name == single.name || v.name == racy.name) {
					continue // it has no threads; and the example's flag is a plain int, as host drivers have it
				}
				addr := serve(t, how.network, newDevice(t))
				out := run(t, "", program, append(strings.Fields(how.args), addr)...)
				checkBoot(t, out, mac.String())
			}
		})
	}
}

// checkBoot checks what the example prints.
func checkBoot(t *testing.T, out, mac string) {
	t.Helper()
	lines := strings.Split(out, "\n")
	if len(lines) != 5 || lines[0] != "chip      0x1003a0" || !strings.HasPrefix(lines[1], "firmware  19.7.7, for drivers from 19.3.0 on, built ") ||
		lines[2] != "mac       "+mac || !strings.HasPrefix(lines[3], "message   group 1, opcode 6, ") {
		t.Errorf("the example says\n%s", out)
	}
}

// The same against the command, in another process.
func TestExampleBootsTheCommand(t *testing.T) {
	program := build(t, "../example/main.c", plain)
	understudy := filepath.Join(t.TempDir(), "understudy")
	if out, err := exec.Command("go", "build", "-o", understudy, "../../cmd/understudy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sock := filepath.Join(t.TempDir(), "winc.sock")
	cmd := exec.Command(understudy, "run", "--bus", "unix:"+sock, "--uplink", "none")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	first := make([]byte, 512) // it says where it is once it is there
	n, err := out.Read(first)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.Bytes())
	}
	said, ok := strings.CutPrefix(string(first[:n]), "device   winc1500-19.7.7, ")
	if !ok {
		t.Fatalf("understudy run says %q", first[:n])
	}
	mac, _, _ := strings.Cut(said, "\n")
	for _, args := range [][]string{{}, {"--phases"}} { // one host after the other
		checkBoot(t, run(t, "", program, append(args, "unix:"+sock)...), mac)
	}
}

// counter counts what a host costs.
type counter struct {
	bus.Port
	mu      sync.Mutex
	windows int
	rounds  int // windows that were waited for
}

func (c *counter) Tx(w, r []byte) error {
	c.mu.Lock()
	c.windows++
	if r != nil {
		c.rounds++
	}
	c.mu.Unlock()
	return c.Port.Tx(w, r)
}

// A host that clocks an access in one window pays one round trip for it; one that
// clocks it in pieces pays not much more through the board layer, and a lot without
// it. What they do is the same.
func TestRoundTripsOfAnAccess(t *testing.T) {
	program := build(t, "../example/main.c", plain)
	cost := map[string]*counter{}
	var first []string
	for _, args := range []string{"", "--phases", "--exact"} {
		var mu sync.Mutex
		var lines []string
		c := &counter{}
		c.Port = bus.NewTap(newDevice(t), bus.TapConfig{Line: func(s string) {
			mu.Lock()
			lines = append(lines, s)
			mu.Unlock()
		}})
		run(t, "", program, append(strings.Fields(args), serve(t, "unix", c))...)
		cost[args] = c
		accesses := 0
		mu.Lock()
		for _, l := range lines {
			if strings.HasPrefix(l, "R ") || strings.HasPrefix(l, "W ") {
				accesses++
			}
		}
		did := did(lines)
		mu.Unlock()
		if args == "" && (c.windows != accesses || c.rounds != accesses) {
			t.Errorf("%d accesses in %d windows", accesses, c.windows)
		}
		if args == "--phases" && (c.rounds < accesses || c.rounds > accesses*5/4) {
			t.Errorf("in pieces: %d round trips for %d accesses", c.rounds, accesses)
		}
		if first == nil {
			first = did
		} else if got, want := strings.Join(did, "\n"), strings.Join(first, "\n"); got != want {
			t.Errorf("%s does other things:\n%s\ninstead of\n%s", args, got, want)
		}
	}
	if cost["--exact"].rounds < 3*cost["--phases"].rounds {
		t.Errorf("%d round trips exactly, %d ahead", cost["--exact"].rounds, cost["--phases"].rounds)
	}
	for args, c := range cost {
		t.Logf("%-9s %d windows, %d round trips", args, c.windows, c.rounds)
	}
}

// did drops what differs from run to run in a transcript: how often a register had to
// be asked, and when exactly the interrupt came.
func did(lines []string) []string {
	var out []string
	for _, l := range lines {
		if l == "IRQ falls" || strings.HasPrefix(l, "R RCV_CTRL_0") || strings.HasPrefix(l, "ENABLE") || strings.HasPrefix(l, "RESET") {
			continue
		}
		if len(out) > 0 && strings.HasPrefix(l, "R ") && strings.Fields(l)[1] == strings.Fields(out[len(out)-1])[1] {
			out[len(out)-1] = l
			continue
		}
		out = append(out, l)
	}
	return out
}

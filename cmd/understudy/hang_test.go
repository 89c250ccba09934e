package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hangLimit is far beyond what the tests below need, and far below for ever.
const hangLimit = 20 * time.Second

// runs is the exit code of the command, and what it said, if it ends in time.
func runs(t *testing.T, ctx context.Context, args ...string) (code int, said string) {
	t.Helper()
	var out, errs bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, stdio{in: strings.NewReader(""), out: &out, err: &errs}) }()
	select {
	case code = <-ended:
		return code, out.String() + errs.String()
	case <-time.After(hangLimit):
		t.Fatalf("understudy %s does not end", strings.Join(args, " "))
		return 0, ""
	}
}

// silent is a listener whose connections stay open and hear nothing after
// greeting.
func silent(t *testing.T, network, addr string, greeting []byte) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Write(greeting)
				io.Copy(io.Discard, c)
			}()
		}
	}()
	return l
}

func TestGetGivesUpOnASilentTLSServer(t *testing.T) {
	t.Parallel()
	l := silent(t, "tcp", "127.0.0.1:0", nil)
	url := "https://host.internal:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port) + "/"
	code, said := runs(t, t.Context(), "get", url, "--allow-host", "--timeout", "2s")
	if code != exitError || !strings.Contains(said, "TLS handshake timeout") {
		t.Error(code, said)
	}
}

// A device process that hangs, or is stopped, must not take its hosts with it.
func TestABusThatHangs(t *testing.T) {
	hello := []byte{0x81, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0}
	t.Parallel()
	l := silent(t, "unix", filepath.Join(t.TempDir(), "bus"), hello)
	bus := "unix:" + l.Addr().String()
	code, said := runs(t, t.Context(), "ip", "--bus", bus, "--timeout", "1s")
	if code != exitError || !strings.Contains(said, "boot") {
		t.Error(code, said)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, interrupt)
	if code, said = runs(t, ctx, "ip", "--bus", bus); code != exitError || !strings.Contains(said, context.Canceled.Error()) {
		t.Error(code, said)
	}
}

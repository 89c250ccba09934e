package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/understudy-net/understudy/stack/sntp"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"understudy": main})
}

// The scripts of testdata/script run the real command. Each has a web server on
// the host's loopback at port $PORT, which serves 8 MiB of noise at /blob; they
// are in the file $WORK/blob too.
//
// In the scripts [ntp] is true when the host's loopback has a time server, whose
// clock is an hour ahead: that takes the right to listen on port 123.
func TestScripts(t *testing.T) {
	ntp := serveTime(t, time.Hour)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			blob := make([]byte, 8<<20)
			rand.NewChaCha8([32]byte{}).Read(blob)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "blob"), blob, 0o600); err != nil {
				return err
			}
			mux := http.NewServeMux()
			mux.HandleFunc("/blob", func(w http.ResponseWriter, _ *http.Request) { w.Write(blob) })
			mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello\n")) })
			srv := httptest.NewServer(mux)
			env.Defer(srv.Close)
			u, err := url.Parse(srv.URL)
			if err != nil {
				return err
			}
			env.Setenv("PORT", u.Port())
			return nil
		},
		// In the scripts [required] is true when a missing peer is to be a failure.
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "required":
				return os.Getenv("UNDERSTUDY_PEERS") == "require", nil
			case "ntp":
				return ntp, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"waitfor": waitFor,
		},
	})
}

// serveTime serves the time, with an offset, on port 123 of the loopback until the
// test ends. It is false if that is not allowed, or somebody else does.
func serveTime(t *testing.T, offset time.Duration) bool {
	c, err := net.ListenPacket("udp4", "127.0.0.1:123")
	for end := time.Now().Add(time.Minute); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		c, err = net.ListenPacket("udp4", "127.0.0.1:123") // another run of these tests gives it back
	}
	if err != nil {
		t.Log("no time server for the scripts:", err)
		return false
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer, ok := new(sntp.Server).Reply(time.Now().Add(offset), nil, buf[:n]); ok {
				c.WriteTo(answer, from)
			}
		}
	}()
	return true
}

// waitFor waits until a file exists: waitfor FILE.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

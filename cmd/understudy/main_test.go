package main

import (
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/uplink/user"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"understudy": main})
}

// The scripts of testdata/script run the real command. Each has a web server on
// the host's loopback at port $PORT, which serves 8 MiB of noise at /blob; they
// are in the file $WORK/blob too, and the files of $WORK under /work/. At port $TLSPORT it does so by HTTPS, with the
// root certificate $WORK/root.pem. Nobody listens on ports $FREE1 and $FREE2.
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
			mux.Handle("/work/", http.StripPrefix("/work/", http.FileServer(http.Dir(env.WorkDir))))
			srv := httptest.NewServer(mux)
			env.Defer(srv.Close)
			u, err := url.Parse(srv.URL)
			if err != nil {
				return err
			}
			env.Setenv("PORT", u.Port())
			secure, root := secureServer(t, mux)
			env.Defer(secure.Close)
			if u, err = url.Parse(secure.URL); err != nil {
				return err
			}
			env.Setenv("TLSPORT", u.Port())
			for _, name := range []string{"FREE1", "FREE2"} {
				if err := setFreePort(env, name); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "root.pem"), root, 0o600)
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
			"eventually": eventually,
			"waitfor":    waitFor,
			"waitport":   waitPort,
		},
	})
}

// secureServer serves HTTPS on the host's loopback as host.internal, whose
// certificate is in PEM its own root. It has a cipher suite that the device's
// profile accepts.
func secureServer(t *testing.T, h http.Handler) (srv *httptest.Server, root []byte) {
	key, err := rsa.GenerateKey(crand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: user.HostName}, DNSNames: []string{user.HostName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	srv = httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	suites := []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	srv.TLS = &tls.Config{CipherSuites: suites, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	return srv, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
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

// setFreePort sets a variable to a port of the loopback that nobody has.
func setFreePort(env *testscript.Env, name string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Setenv(name, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	return l.Close()
}

// waitPort waits until somebody listens on a port of the loopback: waitport PORT.
func waitPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitport PORT")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+args[0]); err == nil {
			c.Close()
			return
		}
	}
	ts.Fatalf("nobody listens on port %s", args[0])
}

// eventually runs a command again and again until what it prints matches: eventually PATTERN COMMAND ARG...
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND ARG...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ts.Exec(args[1], args[2:]...) == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%q never says %q", args[1:], args[0])
}

package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/understudytest"
)

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// check looks at our counters once the work is done: on a clean link nothing is malformed.
func (c *cable) check(t *testing.T, n stack.Net) {
	t.Helper()
	c.w.Lock()
	defer c.w.Unlock()
	s := n.Stack.Stats()
	if s.TCP.BadChecksum+s.TCP.Malformed+s.IP.BadChecksum+s.IP.Malformed+s.Link.BadType != 0 {
		t.Errorf("counters: %+v", *s)
	}
	if c.loss > 0 && c.dropped == 0 {
		t.Error("the lossy link lost nothing")
	}
}

func TestStackHoldsTheContractOfNetConn(t *testing.T) {
	c := newCable(t)
	a, b := c.addOurs(t, 1), c.addOurs(t, 2)
	ln, err := b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		if c1, err = a.Dial(context.Background(), "tcp", "10.0.0.2:80"); err != nil {
			return
		}
		if c2, err = ln.Accept(); err != nil {
			return
		}
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

// dialers are the networks over which a client speaks to a server.
func dialers(t *testing.T, f func(t *testing.T, ln net.Listener, dial func(ctx context.Context, network, addr string) (net.Conn, error))) {
	t.Run("stack", func(t *testing.T) {
		c := newCable(t)
		a, b := c.addOurs(t, 1), c.addOurs(t, 2)
		ln, err := b.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f(t, ln, func(ctx context.Context, network, _ string) (net.Conn, error) {
			return a.Dial(ctx, network, "10.0.0.2:80")
		})
	})
	t.Run("driver", func(t *testing.T) {
		b := understudytest.NewConfig(t, understudytest.Config{Delay: time.Microsecond})
		peer := b.AddHost("peer.test")
		if err := b.Join(); err != nil {
			t.Fatal(err)
		}
		ln, err := peer.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f(t, ln, func(ctx context.Context, network, _ string) (net.Conn, error) {
			return b.Net.DialContext(ctx, network, "peer.test:80")
		})
	})
	t.Run("driver serves", func(t *testing.T) {
		b := understudytest.NewConfig(t, understudytest.Config{Delay: time.Microsecond})
		peer := b.AddHost("peer.test")
		if err := b.Join(); err != nil {
			t.Fatal(err)
		}
		ln, err := b.Net.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f(t, ln, func(ctx context.Context, network, _ string) (net.Conn, error) {
			return peer.Dial(ctx, network, b.Client.Addr().String()+":80")
		})
	})
}

// serveHTTP serves an echo of bodies on ln, and asks it some times over one client.
func serveHTTP(t *testing.T, ln net.Listener, c *http.Client, url string) {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	})}
	go server.Serve(ln)
	defer server.Close()
	defer c.CloseIdleConnections()
	c.Timeout = 20 * time.Second
	for i, size := range []int{0, 1, 1400, 200_000} {
		body := randomBytes(size, uint64(i))
		r, err := c.Post(url+"/echo", "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !bytes.Equal(got, body) || r.StatusCode != 200 || r.Header.Get("X-Path") != "/echo" {
			t.Errorf("%d bytes: %v, %d bytes back, %v", size, r.Status, len(got), err)
		}
	}
}

func TestHTTPOverOurAdapters(t *testing.T) {
	dialers(t, func(t *testing.T, ln net.Listener, dial func(context.Context, string, string) (net.Conn, error)) {
		serveHTTP(t, ln, &http.Client{Transport: &http.Transport{DialContext: dial}}, "http://peer.test")
	})
}

func TestHTTPSOverOurAdapters(t *testing.T) {
	cert, roots := certificate(t)
	dialers(t, func(t *testing.T, ln net.Listener, dial func(context.Context, string, string) (net.Conn, error)) {
		secure := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
		serveHTTP(t, secure, &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}}},
			"https://peer.test")
	})
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer.test"}, DNSNames: []string{"peer.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(crand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

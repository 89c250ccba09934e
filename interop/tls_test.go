package interop

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	devicetls "github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
)

// rsaKey is of all RSA certificates: it takes its time.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// rsaCertificate is one that the device's default suites can use, its own root, and valid for an hour.
func rsaCertificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, rsaKey().Public(), rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: rsaKey(), Leaf: leaf}, pool
}

// secureBench is a bench whose device trusts peer.test, which has cert, and is device.test itself; roots are for its clients.
func secureBench(t *testing.T) (b *understudytest.Bench, peer *understudytest.Host, cert tls.Certificate, roots *x509.CertPool) {
	t.Helper()
	base, err := device.WINC1500().FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	f := base.New()
	cert, _ = rsaCertificate(t, "peer.test")
	own, roots := rsaCertificate(t, "device.test")
	if err := devicetls.SetRoots(f, cert.Leaf); err != nil {
		t.Fatal(err)
	}
	if err := devicetls.SetIdentity(f, own); err != nil {
		t.Fatal(err)
	}
	b = understudytest.NewConfig(t, understudytest.Config{Delay: time.Microsecond, Device: device.Config{Flash: f}})
	peer = b.AddHost("peer.test")
	if err := b.Join(); err != nil {
		t.Fatal(err)
	}
	return b, peer, cert, roots
}

// The device is the client of net/http's server, whose TLS is crypto/tls.
func TestHTTPSOverTLSSocketsOfTheDevice(t *testing.T) {
	b, peer, cert, _ := secureBench(t)
	ln, err := peer.Listen("tcp", ":443")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, CipherSuites: devicetls.DefaultSuites.IDs()})
	serveHTTP(t, server, &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return b.Net.DialTLS(ctx, network, addr, hostnet.TLSOptions{})
		},
	}}, "https://peer.test")
}

// And the server of its client.
func TestHTTPSServedByTLSSocketsOfTheDevice(t *testing.T) {
	b, peer, _, roots := secureBench(t)
	ln, err := b.Net.ListenTLS(t.Context(), "tcp", ":443")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	serveHTTP(t, ln, &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return peer.Dial(ctx, network, b.Client.Addr().String()+":443")
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, CipherSuites: devicetls.DefaultSuites.IDs()},
	}}, "https://device.test")
}

// Two certificates, a session that is taken up again, and a record that is broken on the way.
func TestTLSOverOurAdapters(t *testing.T) {
	cert, roots := certificate(t)
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		c := &tls.Config{RootCAs: roots, ServerName: "peer.test", Certificates: []tls.Certificate{cert}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		s := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: roots, ClientAuth: tls.RequireAnyClientCert}
		for i := range 3 {
			client, server := tlsPair(t, ln, dial, c, s)
			go func() {
				io.Copy(server, server)
				server.CloseWrite()
			}()
			for _, size := range []int{1, 1400, 100_000} {
				want := randomBytes(size, uint64(size))
				sent := make(chan error, 1)
				go func() {
					_, err := client.Write(want)
					sent <- err
				}()
				got := make([]byte, size)
				if _, err := io.ReadFull(client, got); err != nil || string(got) != string(want) {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
			st := client.ConnectionState()
			if st.DidResume != (i > 0) || st.Version != tls.VersionTLS13 {
				t.Errorf("connection %d: resumed %v, %s", i, st.DidResume, tls.VersionName(st.Version))
			}
			if n := len(server.ConnectionState().PeerCertificates); n != 1 {
				t.Errorf("the server has %d certificates of the client", n)
			}
			if i == 2 { // not a record
				if _, err := client.NetConn().Write(randomBytes(100, 1)); err != nil {
					t.Fatal(err)
				}
				if _, err := client.Read(make([]byte, 1)); err == nil || err == io.EOF {
					t.Errorf("after a broken record: %v, want the server's alert", err)
				}
			} else if err := client.CloseWrite(); err != nil { // a close_notify: no end of the connection below
				t.Error(err)
			} else if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("after the end: %d, %v", n, err)
			}
			client.Close()
			server.Close()
		}
	})
}

// tlsPair connects the two ends.
func tlsPair(t *testing.T, ln net.Listener, dial dialFunc, c, s *tls.Config) (client, server *tls.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if conn, err := ln.Accept(); err == nil {
			accepted <- conn
		}
	}()
	conn, err := dial(t.Context(), "tcp", "peer.test:80")
	if err != nil {
		t.Fatal(err)
	}
	client, server = tls.Client(conn, c), tls.Server(<-accepted, s)
	for _, c := range []*tls.Conn{client, server} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal("client:", err)
	}
	if err := <-shaken; err != nil {
		t.Fatal("server:", err)
	}
	return client, server
}

// HTTP/2: fifty requests at once over one socket.
func TestHTTP2OverOurAdapters(t *testing.T) {
	cert, roots := certificate(t)
	dialers(t, func(t *testing.T, ln net.Listener, dial dialFunc) {
		secure := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
		s := newSite(t, secure, dial, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Error(r.Proto)
			}
			io.Copy(w, r.Body)
		}))
		s.Transport.TLSClientConfig, s.Transport.ForceAttemptHTTP2 = &tls.Config{RootCAs: roots}, true
		var wg sync.WaitGroup
		s.echo(t, 0) // so that the others find a connection
		for i := range 50 {
			wg.Go(func() { s.echo(t, i) })
		}
		wg.Wait()
		if n := s.conns.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// echo sends a body and wants it back.
func (s *site) echo(t *testing.T, i int) {
	in, out := io.Pipe() // its length is not known
	body := randomBytes(100*i, uint64(i))
	go func() {
		out.Write(body)
		out.Close()
	}()
	resp, err := s.Client.Post(fmt.Sprintf("https://peer.test/%d", i), "", in)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != string(body) {
		t.Errorf("request %d: %d bytes of %d, or others, %v", i, len(got), len(body), err)
	}
}

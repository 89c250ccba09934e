package hostnet_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

var bg = context.Background()

// virtual runs f as an actor of a virtual bench that has joined its network.
func virtual(t *testing.T, f func(b *understudytest.Bench)) {
	t.Helper()
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		if err := b.Join(); err != nil {
			t.Error("join: ", err)
			return
		}
		f(b)
	}); err != nil {
		t.Error("run: ", err)
	}
}

// bubble runs f in a synctest bubble, with a bench on the bubble's clock.
func bubble(t *testing.T, f func(t *testing.T, b *understudytest.Bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := understudytest.New(t)
		if err := b.Join(); err != nil {
			t.Fatal("join: ", err)
		}
		f(t, b)
	})
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// noise is n bytes of a seed.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func echo(c net.Conn) { io.Copy(c, c) }

func TestNET01_HTTPClientAndServer(t *testing.T) {
	inForms(t, inBubble, func(t *testing.T, b *understudytest.Bench) {
		body := noise(1 << 20)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Error("request body:", len(got), err)
			}
			w.Write(body)
		})
		post := func(c *http.Client, url string) {
			t.Helper()
			resp, err := c.Post(url, "application/octet-stream", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Error("response body:", len(got), err)
			}
			c.CloseIdleConnections()
		}
		web := b.AddHost("web.test")
		l, err := web.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: handler}
		go srv.Serve(l)
		post(&http.Client{Transport: &http.Transport{DialContext: b.Net.DialContext}}, "http://web.test/")
		srv.Close()

		l, err = b.Net.Listen(bg, "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		srv = &http.Server{Handler: handler}
		go srv.Serve(l)
		post(&http.Client{Transport: &http.Transport{DialContext: web.Dial}}, "http://"+b.Client.Addr().String()+"/")
		srv.Close()
		b.Sleep(time.Millisecond) // the goroutines of its connections
	})
}

func TestNET03_ReadDeadline(t *testing.T) {
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) {
			b.Sleep(time.Minute)
			c.Write([]byte("late"))
			b.Sleep(time.Minute)
		})
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetReadDeadline(b.Now().Add(-time.Second))
		_, err = c.Read(make([]byte, 10))
		wantErr(t, "past deadline", err, os.ErrDeadlineExceeded)
		start := b.Now()
		c.SetReadDeadline(start.Add(time.Second))
		_, err = c.Read(make([]byte, 10))
		wantErr(t, "deadline", err, os.ErrDeadlineExceeded)
		if d := b.Now().Sub(start); d != time.Second {
			t.Errorf("the deadline of 1 s took %v", d)
		}
		c.SetReadDeadline(time.Time{})
		p := make([]byte, 10)
		if n, err := io.ReadFull(c, p[:4]); err != nil || string(p[:n]) != "late" {
			t.Errorf("after the deadline: %q, %v", p[:n], err)
		}
	})
}

func TestNET04_CloseUnblocks(t *testing.T) {
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) { io.Copy(io.Discard, c) })
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		l, err := b.Net.Listen(bg, "tcp", ":80")
		if err != nil {
			t.Error(err)
			return
		}
		pc, err := b.Net.ListenPacket(bg, "udp", ":0")
		if err != nil {
			t.Error(err)
			return
		}
		b.Go(func() {
			b.Sleep(time.Second)
			c.Close()
			l.Close()
			pc.Close()
		})
		_, err = c.Read(make([]byte, 1))
		wantErr(t, "Read", err, net.ErrClosed)
		_, err = l.Accept()
		wantErr(t, "Accept", err, net.ErrClosed)
		_, _, err = pc.ReadFrom(make([]byte, 1))
		wantErr(t, "ReadFrom", err, net.ErrClosed)
		_, err = c.Write([]byte("x"))
		wantErr(t, "Write", err, net.ErrClosed)
	})
}

func TestNET05_LongWrite(t *testing.T) {
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) {
		want := noise(100_000)
		got := make(chan []byte, 1)
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) {
			p, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			got <- p
		})
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		if n, err := c.Write(want); n != len(want) || err != nil {
			t.Error(n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		b.Sleep(time.Minute)
		select {
		case p := <-got:
			if !bytes.Equal(p, want) {
				t.Errorf("the peer got %d bytes, not the %d sent", len(p), len(want))
			}
		default:
			t.Error("the peer did not see the end")
		}
	})
}

func TestNET06_CancelledDialFreesTheSocket(t *testing.T) {
	inForms(t, inBubble, func(t *testing.T, b *understudytest.Bench) {
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		start := time.Now()
		_, err := b.Net.DialContext(ctx, "tcp", "10.9.0.77:80")
		wantErr(t, "silent peer", err, context.DeadlineExceeded)
		if d := time.Since(start); d < time.Second || d > quick {
			t.Error("took", d)
		}
		for range driver.MaxTCPSockets {
			if _, err := b.Client.Socket(driver.Stream, driver.Plain); err != nil {
				t.Fatal("a socket is not free again: ", err)
			}
		}
	})
}

func TestNET07_TLS13(t *testing.T) {
	inForms(t, inBubble, func(t *testing.T, b *understudytest.Bench) {
		cert := certificate(t)
		h := b.AddHost("secure.test")
		l, err := h.Listen("tcp", ":443")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, Time: now})
			io.Copy(s, s)
			s.Close()
		}()
		c, err := b.Net.DialContext(bg, "tcp", "secure.test:443")
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert.Leaf)
		s := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "secure.test", Time: now})
		fmt.Fprint(s, "hello")
		p := make([]byte, 5)
		if _, err := io.ReadFull(s, p); err != nil || string(p) != "hello" {
			t.Errorf("%q %v", p, err)
		}
		if v := s.ConnectionState().Version; v != tls.VersionTLS13 {
			t.Errorf("version %#x", v)
		}
		s.Close()
		l.Close()
	})
}

func now() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// certificate is a self-signed one for secure.test.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"secure.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now().Add(-time.Hour), NotAfter: now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(crand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestNET08_UnknownName(t *testing.T) {
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) {
		_, err := b.Net.LookupNetIP(bg, "ip4", "nobody.test")
		var dns *net.DNSError
		if !errors.As(err, &dns) || dns.Name != "nobody.test" || dns.IsNotFound || dns.IsTimeout {
			t.Errorf("%#v", err)
		}
		_, err = b.Net.DialContext(bg, "tcp", "nobody.test:80")
		var op *net.OpError
		if !errors.As(err, &op) || !errors.As(err, &dns) {
			t.Errorf("%#v", err)
		}
		ips, err := b.Net.LookupNetIP(bg, "ip", "10.1.2.3")
		if err != nil || len(ips) != 1 || ips[0] != netip.MustParseAddr("10.1.2.3") {
			t.Error(ips, err)
		}
		var ae *net.AddrError
		if _, err := b.Net.LookupNetIP(bg, "ip4", "::1"); !errors.As(err, &ae) {
			t.Error(err)
		}
		if _, err := b.Net.DialContext(bg, "tcp6", "[::1]:80"); !errors.As(err, &ae) {
			t.Error(err)
		}
		// More lookups at a time than the device takes.
		b.AddHost("some.test")
		var done atomic.Int32
		for range 10 {
			b.Go(func() {
				if ips, err := b.Net.LookupNetIP(bg, "ip4", "some.test"); err != nil || len(ips) != 1 {
					t.Error(ips, err)
				}
				done.Add(1)
			})
		}
		b.Sleep(time.Minute)
		if done.Load() != 10 {
			t.Errorf("%d of 10 lookups ended", done.Load())
		}
	})
}

func TestNET09_ConcurrentPings(t *testing.T) {
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) {
		a, c := b.AddHost("a.test"), b.AddHost("c.test")
		var done atomic.Int32
		for _, to := range []netip.Addr{a.Addr, c.Addr} {
			b.Go(func() {
				if _, err := b.Net.Ping(bg, to); err != nil {
					t.Error(to, err)
				}
				done.Add(1)
			})
		}
		b.Sleep(time.Second)
		if done.Load() != 2 {
			t.Errorf("%d of 2 pings ended", done.Load())
		}
		start := b.Now()
		_, err := b.Net.PingTTL(bg, netip.MustParseAddr("10.9.0.77"), 3)
		wantErr(t, "nobody there", err, driver.ErrUnreachable)
		if d := b.Now().Sub(start); d > 5*time.Second {
			t.Error("took", d)
		}
	})
}

func TestNET10_HundredsOfCycles(t *testing.T) {
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, echo)
		h.HandleUDP(7, func(_ net.Addr, p []byte) []byte { return p })
		before := runtime.NumGoroutine()
		for i := range 300 {
			network := []string{"tcp", "udp"}[i%2]
			c, err := b.Net.DialContext(bg, network, h.Addr.String()+":7")
			if err != nil {
				t.Error(i, err)
				return
			}
			fmt.Fprintf(c, "cycle %d", i)
			p := make([]byte, 20)
			if n, err := c.Read(p); err != nil || string(p[:n]) != fmt.Sprintf("cycle %d", i) {
				t.Errorf("%q %v", p[:n], err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		b.Sleep(time.Minute) // the peer's end
		// The goroutine of an actor that has ended may take a moment to be gone, on a
		// busy machine more than a few turns of the scheduler.
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		for i := range driver.MaxTCPSockets + driver.MaxUDPSockets {
			typ := driver.Stream
			if i >= driver.MaxTCPSockets {
				typ = driver.Datagram
			}
			if _, err := b.Client.Socket(typ, driver.Plain); err != nil {
				t.Error("an id is not free: ", i, err)
			}
		}
	})
}

func TestDialErrors(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		_, err := b.Net.DialContext(bg, "tcp", h.Addr.String()+":9")
		wantErr(t, "closed port", err, syscall.ECONNREFUSED)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != h.Addr.String()+":9" {
			t.Errorf("%#v", err)
		}
		start := b.Now()
		_, err = b.Net.DialContext(bg, "tcp", "10.9.0.77:9")
		if d := b.Now().Sub(start); err == nil || d > 40*time.Second {
			t.Error("silent peer:", err, d)
		}
		if _, err := b.Net.DialContext(bg, "sctp", "10.9.0.77:9"); !errors.As(err, new(net.UnknownNetworkError)) {
			t.Error(err)
		}
		var all []net.Conn
		h.HandleTCP(7, echo)
		for range driver.MaxTCPSockets {
			c, err := b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
			if err != nil {
				t.Error(err)
				return
			}
			all = append(all, c)
		}
		_, err = b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
		wantErr(t, "eighth connection", err, syscall.EMFILE)
		for _, c := range all {
			c.Close()
		}
		if err := b.Net.Leave(bg); err != nil {
			t.Error(err)
		}
		_, err = b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
		wantErr(t, "without an address", err, syscall.ENETUNREACH)
	})
}

func TestAddressesOfConns(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		var seen net.Addr
		h.HandleTCP(7, func(c net.Conn) { seen = c.RemoteAddr(); echo(c) })
		c, err := b.Net.DialFrom(bg, netip.MustParseAddrPort("0.0.0.0:5555"), "tcp", h.Addr.String()+":7")
		if err != nil {
			t.Error(err)
			return
		}
		local := netip.AddrPortFrom(b.Client.Addr(), 5555).String()
		if c.LocalAddr().String() != local || c.RemoteAddr().String() != h.Addr.String()+":7" {
			t.Error(c.LocalAddr(), c.RemoteAddr())
		}
		fmt.Fprint(c, "x")
		c.Read(make([]byte, 1))
		if seen.String() != local {
			t.Errorf("the peer sees %v", seen)
		}
		c2, err := b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
		if err != nil {
			t.Error(err)
			return
		}
		if got := c2.LocalAddr().String(); got != b.Client.Addr().String()+":0" {
			t.Error("the device does not tell the port, but:", got)
		}
		l, err := b.Net.Listen(bg, "tcp", ":0")
		if err != nil {
			t.Error(err)
			return
		}
		if a := l.Addr().(*net.TCPAddr); a.Port < 49152 {
			t.Error("ephemeral port", a.Port)
		}
		_, err = b.Net.Listen(bg, "tcp", fmt.Sprintf(":%d", l.Addr().(*net.TCPAddr).Port))
		wantErr(t, "port in use", err, syscall.EADDRINUSE)
		if err := c2.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
			t.Error("half close:", err)
		}
	})
}

func TestListenerServesSeveral(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		l, err := b.Net.Listen(bg, "tcp", ":80")
		if err != nil {
			t.Error(err)
			return
		}
		b.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				b.Go(func() { echo(c); c.Close() })
			}
		})
		h := b.AddHost("client.test")
		done := 0
		for i := range 6 {
			b.Go(func() {
				c, err := h.Dial(bg, "tcp", b.Client.Addr().String()+":80")
				if err != nil {
					t.Error(err)
					return
				}
				text := strings.Repeat(fmt.Sprint(i), 5000)
				b.Go(func() { io.WriteString(c, text) })
				p := make([]byte, len(text))
				if _, err := io.ReadFull(c, p); err != nil || string(p) != text {
					t.Error(i, err)
				}
				c.Close()
				done++
			})
		}
		b.Sleep(time.Minute)
		if done != 6 {
			t.Errorf("%d of 6 clients were served", done)
		}
		l.Close()
	})
}

func TestDatagrams(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleUDP(7, func(_ net.Addr, p []byte) []byte { return bytes.ToUpper(p) })
		c, err := b.Net.DialContext(bg, "udp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		p := make([]byte, 2000)
		for _, n := range []int{1, 100, driver.MaxSend} {
			want := strings.Repeat("a", n)
			if k, err := io.WriteString(c, want); k != n || err != nil {
				t.Error(k, err)
			}
			k, err := c.Read(p)
			if err != nil || string(p[:k]) != strings.ToUpper(want) {
				t.Error(n, k, err)
			}
		}
		_, err = c.Write(make([]byte, driver.MaxSend+1))
		wantErr(t, "1401 bytes", err, syscall.EMSGSIZE)

		pc, err := b.Net.ListenPacket(bg, "udp", ":5353")
		if err != nil {
			t.Error(err)
			return
		}
		from, err := h.ListenPacket("udp", ":0")
		if err != nil {
			t.Error(err)
			return
		}
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.Client.Addr(), 5353))
		for _, s := range []string{"one", "two"} {
			from.WriteTo([]byte(s), to)
		}
		for _, want := range []string{"one", "two"} {
			k, a, err := pc.ReadFrom(p)
			if err != nil || string(p[:k]) != want || a.String() != fmt.Sprintf("%v:%d", h.Addr, from.LocalAddr().(*net.UDPAddr).Port) {
				t.Errorf("%q from %v, %v", p[:k], a, err)
			}
		}
	})
}

func TestJoinAndLeave(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		err := b.Net.Join(bg, b.BSS(), driver.WPA("wrong passphrase"))
		wantErr(t, "wrong passphrase", err, driver.ErrAuthFail)
		err = b.Net.Join(bg, driver.BSS{SSID: "elsewhere"}, driver.OpenAuth)
		wantErr(t, "no such network", err, driver.ErrScanFail)
		if err := b.Join(); err != nil {
			t.Error(err)
		}
		if !b.Client.LinkUp() {
			t.Error("link is down after Join")
		}
		i, err := b.Net.AssocInfo(bg)
		if err != nil || i.SSID != understudytest.SSID || i.BSSID != driver.MAC(understudytest.BSSID) {
			t.Error(i, err)
		}
		if v, err := b.Net.RSSI(bg); err != nil || v >= 0 {
			t.Error("RSSI", v, err)
		}
		found := 0
		for r, err := range b.Net.Scan(bg, driver.ScanReq{}) {
			if err != nil || r.SSID != understudytest.SSID || r.Auth != driver.AuthWPA {
				t.Error(r, err)
			}
			found++
		}
		if found != 1 {
			t.Errorf("%d networks", found)
		}
		if err := b.Net.Leave(bg); err != nil || b.Client.LinkUp() {
			t.Error("leave:", err)
		}
		wantErr(t, "leave twice", b.Net.Leave(bg), driver.ErrRequest)
		if err := b.Join(); err != nil { // DHC-18
			t.Error("again: ", err)
		}
	}); err != nil {
		t.Error(err)
	}
}

func TestJoinIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := understudytest.New(t)
		b.LoseWiFi()
		ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
		defer cancel()
		err := b.Net.Join(ctx, b.BSS(), b.Auth())
		wantErr(t, "join", err, context.DeadlineExceeded)
		wantErr(t, "nothing left to leave", b.Net.Leave(bg), driver.ErrRequest)
	})
}

func TestWIF_LinkLossEndsConns(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) { io.Copy(io.Discard, c) })
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		l, err := b.Net.Listen(bg, "tcp", ":80")
		if err != nil {
			t.Error(err)
			return
		}
		pc, err := b.Net.ListenPacket(bg, "udp", ":90")
		if err != nil {
			t.Error(err)
			return
		}
		b.Go(func() {
			b.Sleep(time.Second)
			b.LoseWiFi()
		})
		_, err = c.Read(make([]byte, 1))
		wantErr(t, "Read", err, syscall.ECONNRESET)
		if b.Client.LinkUp() {
			t.Error("link is up")
		}
		_, err = c.Write([]byte("x"))
		wantErr(t, "Write", err, syscall.ECONNRESET)
		_, err = l.Accept()
		wantErr(t, "Accept", err, driver.ErrConnAborted)
		_, _, err = pc.ReadFrom(make([]byte, 1))
		wantErr(t, "ReadFrom", err, driver.ErrConnAborted)
		for _, c := range []io.Closer{c, l, pc} {
			c.Close()
		}
		b.RestoreWiFi()
		if err := b.Join(); err != nil { // WIF-05: new sockets work
			t.Error(err)
			return
		}
		c, err = b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	})
}

func TestDriverCloseEndsEverything(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) { io.Copy(io.Discard, c) })
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		b.Go(func() {
			b.Sleep(time.Second)
			b.Driver.Close()
		})
		_, err = c.Read(make([]byte, 1))
		wantErr(t, "Read", err, net.ErrClosed)
		_, err = b.Net.DialContext(bg, "tcp", "10.9.0.10:7")
		wantErr(t, "Dial", err, net.ErrClosed)
		_, err = b.Net.Ping(bg, h.Addr)
		wantErr(t, "Ping", err, net.ErrClosed)
		wantErr(t, "Ready", b.Net.Ready(bg), net.ErrClosed)
		if err := b.Driver.Restart(); err != nil {
			t.Error(err)
		}
		if err := b.Join(); err != nil {
			t.Error("after Restart: ", err)
		}
	})
}

func TestNetClose(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, func(c net.Conn) { io.Copy(io.Discard, c) })
		c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
		if err != nil {
			t.Error(err)
			return
		}
		b.Go(func() {
			b.Sleep(time.Second)
			b.Net.Close()
		})
		_, err = c.Read(make([]byte, 1))
		wantErr(t, "Read", err, net.ErrClosed)
		wantErr(t, "second Close", b.Net.Close(), net.ErrClosed)
		if !b.Client.LinkUp() {
			t.Error("the association is gone with the Net")
		}
	})
}

// A callback may block: only other callbacks wait (LIF-11).
func TestLIF11_BlockingCallInsideACallback(t *testing.T) {
	run := func(t *testing.T, b *understudytest.Bench) {
		h := b.AddHost("peer.test")
		h.HandleTCP(7, echo)
		var done atomic.Bool
		check(t, b.Client.OnResolve(func(_ string, a netip.Addr) {
			c, err := b.Net.DialContext(bg, "tcp", netip.AddrPortFrom(a, 7).String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			fmt.Fprint(c, "from a callback")
			p := make([]byte, 20)
			if n, err := c.Read(p); err != nil || string(p[:n]) != "from a callback" {
				t.Errorf("%q %v", p[:n], err)
			}
			done.Store(true)
		}))
		check(t, b.Client.Resolve("peer.test"))
		for range 20 {
			b.Sleep(time.Second)
			if b.World.Virtual() {
				b.Driver.Tasks()
			}
		}
		if !done.Load() {
			t.Error("the callback did not end")
		}
	}
	inForms(t, inWorld, func(t *testing.T, b *understudytest.Bench) { run(t, b) })
	bubble(t, run)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestThroughALossyLink(t *testing.T) {
	virtual(t, func(b *understudytest.Bench) { // TCP-27
		b.SetLink(air.Link{Loss: 0.05, Duplicate: 0.05, Reorder: 0.05})
		h := b.AddHost("peer.test")
		h.HandleTCP(7, echo)
		c, err := b.Net.DialContext(bg, "tcp", h.Addr.String()+":7")
		if err != nil {
			t.Error(err)
			return
		}
		want := noise(1 << 20)
		b.Go(func() {
			if _, err := c.Write(want); err != nil {
				t.Error(err)
			}
		})
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
			t.Error("echo differs", err)
		}
		c.Close()
	})
}

// Two hosts, and the same seed: the same virtual time.
func TestDeterministic(t *testing.T) {
	run := func() (d time.Duration) {
		b := understudytest.Virtual(t, 7)
		check(t, b.Run(func() {
			check(t, b.Join())
			h := b.AddHost("peer.test")
			h.HandleTCP(7, echo)
			start := b.Now()
			for range 3 {
				b.Go(func() {
					c, err := b.Net.DialContext(bg, "tcp", "peer.test:7")
					if err != nil {
						t.Error(err)
						return
					}
					c.Write(noise(20000))
					io.ReadFull(c, make([]byte, 20000))
					d += b.Now().Sub(start)
				})
			}
			b.Sleep(time.Minute)
		}))
		return d
	}
	if a, b := run(), run(); a != b || a == 0 {
		t.Error(a, b)
	}
}

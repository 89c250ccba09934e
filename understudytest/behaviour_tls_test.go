package understudytest_test

// OPT-02, OPT-04, OPT-05 and TLS: TLS sockets (spec/driver-api.md 5.6). The
// peers are crypto/tls over a host's conn, as actors; their certificates are
// made here and valid at the time of the bench.

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	devicetls "github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// issuer signs certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// tlsKeys are made once: keys of RSA take their time.
var tlsKeys = sync.OnceValue(func() (k struct {
	ours, theirs issuer
	server       *rsa.PrivateKey
}) {
	var err error
	if k.server, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	k.ours, k.theirs = newIssuer("bench root"), newIssuer("another root")
	return k
})

func newIssuer(name string) issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return issuer{cert: sign(c, issuer{c, key}, key.Public()), key: key}
}

// sign makes c a certificate of key. It is valid for a day before and after the
// start of virtual worlds, unless c says otherwise.
func sign(c *x509.Certificate, by issuer, key any) *x509.Certificate {
	c.SerialNumber = big.NewInt(1)
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = world.Epoch.Add(-24*time.Hour), world.Epoch.Add(24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key, by.key)
	if err != nil {
		panic(err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return x
}

// identity is a server for name.
func identity(by issuer, name string, edit ...func(c *x509.Certificate)) tls.Certificate {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}
	for _, e := range edit {
		e(c)
	}
	key := tlsKeys().server
	return tls.Certificate{Certificate: [][]byte{sign(c, by, key.Public()).Raw}, PrivateKey: key}
}

// tlsName is the server of the tests.
const tlsName = "tls.test"

// deviceSuites are what the device offers unless it is told otherwise.
var deviceSuites = devicetls.DefaultSuites.IDs()

// tlsServer is a TLS server on a host, which sends back what it receives, and
// what it has seen.
type tlsServer struct {
	*understudytest.Host
	at     netip.AddrPort
	hello  *tls.ClientHelloInfo
	conns  int
	errs   []error
	states []tls.ConnectionState
}

// serveTLS plugs in a TLS server. Zero fields of c are those of a server that
// the device trusts.
func (r *rig) serveTLS(c *tls.Config) *tlsServer {
	r.t.Helper()
	s := &tlsServer{Host: r.AddHost(tlsName)}
	s.at = netip.AddrPortFrom(s.Addr, 443)
	r.setServer(s, c)
	r.ok("serve", s.HandleTCP(443, func(conn net.Conn) { r.echoTLS(s, conn, c) }))
	return s
}

func (r *rig) setServer(s *tlsServer, c *tls.Config) {
	if c.Certificates == nil {
		c.Certificates = []tls.Certificate{identity(tlsKeys().ours, tlsName)}
	}
	if c.CipherSuites == nil {
		c.CipherSuites = deviceSuites
	}
	c.Time = r.Now
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		r.locked(func(time.Time) { s.hello = h })
		return nil, nil
	}
}

// echoTLS serves one connection.
func (r *rig) echoTLS(s *tlsServer, conn net.Conn, c *tls.Config) {
	t := tls.Server(conn, c)
	r.locked(func(time.Time) { s.conns++ })
	err := t.Handshake()
	if err == nil {
		state := t.ConnectionState()
		r.locked(func(time.Time) { s.states = append(s.states, state) })
		_, err = io.Copy(t, t)
		t.Close()
	}
	r.locked(func(time.Time) { s.errs = append(s.errs, err) })
}

// withTLS runs body on a bench that has joined and whose device trusts the root
// of tlsKeys, and no other.
func withTLS(t *testing.T, p device.Profile, body func(r *rig)) {
	t.Helper()
	inForms(t, func(t *testing.T) understudytest.Config {
		return understudytest.Config{Device: device.Config{Profile: p, Flash: tlsFlash(t, p)}}
	}, func(r *rig) {
		r.settled()
		body(r)
	})
}

// tlsFlash is a flash with the root certificate, and the key of a server.
func tlsFlash(t *testing.T, p device.Profile) *flash.Flash {
	t.Helper()
	base, err := p.FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	f := base.New()
	if err := devicetls.SetRoots(f, tlsKeys().ours.cert); err != nil {
		t.Fatal(err)
	}
	if err := devicetls.SetIdentity(f, identity(tlsKeys().ours, "device.test")); err != nil {
		t.Fatal(err)
	}
	return f
}

// secureSocket makes a stream socket of a configuration.
func (r *rig) secureSocket(c driver.SockConfig) driver.Socket {
	r.t.Helper()
	s, err := r.Client.Socket(driver.Stream, c)
	r.ok("socket", err)
	return s
}

// roundTrip sends a text over s, and wants it back.
func (r *rig) roundTrip(s driver.Socket, text string) {
	r.t.Helper()
	r.send(s, []byte(text))
	r.recv(s, 1400)
	r.wantData(s, text)
}

// detail wants the reason of a failure.
func (r *rig) detail(s driver.Socket, want driver.ErrDetail) {
	r.t.Helper()
	got, err := s.ErrDetail()
	if err != nil || got != want {
		r.fatalf("error detail of %v: got %+v, %v, want %+v", s, got, err, want)
	}
}

// onAir counts the packets since mark that carry the text in clear.
func (r *rig) onAir(since int, text string) int {
	n := 0
	for _, e := range r.since(since) {
		if e.pkt != nil && bytes.Contains(e.pkt.body, []byte(text)) {
			n++
		}
	}
	return n
}

// fails wants a TLS socket to fail to connect, for this reason.
func (r *rig) failsTLS(s driver.Socket, to netip.AddrPort, why driver.ErrDetail) {
	r.t.Helper()
	r.ok("Connect", s.Connect(to))
	err := want[driver.ConnectMsg](r, s).Err
	r.verdict("CONNECT", s, err, driver.ErrConnAborted)
	var alert *driver.TLSAlert
	if !errors.As(err, &alert) || alert.ErrDetail != why {
		r.fatalf("CONNECT of %v: %v, want %+v", s, err, why)
	}
	r.detail(s, why)
	r.ok("Send", s.Send([]byte("x")))
	if m := want[driver.SendMsg](r, s); m.Err == nil {
		r.fatalf("SEND on a dead socket: %+v", m)
	}
	r.close(s)
}

func TestOPT02_TLSOptionsOfPlainSockets(t *testing.T) {
	onBench(t, func(r *rig) {
		for _, s := range []driver.Socket{r.stream(), r.datagram()} {
			for _, o := range []driver.Opt{driver.OptTLSBypass, driver.OptTLSCache, driver.OptTLSCheckSNI} {
				r.refusesOption(s, o, 1)
			}
			before := r.Driver.Stats().Sent
			r.refused("SetSNI", s.SetSNI("a.test"), driver.ErrSockArg)
			r.refused("SetALPN", s.SetALPN("h2"), driver.ErrSockArg)
			_, err := s.ALPN()
			r.refused("ALPN", err, driver.ErrSockArg)
			if sent := r.Driver.Stats().Sent - before; sent != 0 {
				r.fatalf("%d messages were sent", sent)
			}
		}
		for _, c := range []driver.SockConfig{driver.TLS, driver.TLSLater} {
			s := r.secureSocket(c)
			for _, o := range []driver.Opt{driver.OptTLSBypass, driver.OptTLSCache, driver.OptTLSCheckSNI} {
				for _, v := range []int{1, 0, 7} {
					r.ok("SetOpt", s.SetOpt(o, v))
					if got, err := s.Opt(o); err != nil || got != min(v, 1) {
						r.fatalf("%v: %d, %v", o, got, err)
					}
				}
			}
		}
		r.quiet(patience, "setsockopt has no event")
	})
}

func TestOPT04_LengthOfServerName(t *testing.T) {
	onBench(t, func(r *rig) {
		s := r.secureSocket(driver.TLS)
		r.refused("64 characters", s.SetSNI(strings.Repeat("a", 64)), driver.ErrSockArg)
		r.refused("a NUL", s.SetSNI("a\x00b"), driver.ErrSockArg)
		r.ok("63 characters", s.SetSNI(strings.Repeat("a", 63)))
		r.ok("none", s.SetSNI(""))
	})
}

func TestOPT05_ListsOfProtocols(t *testing.T) {
	onBench(t, func(r *rig) {
		s := r.secureSocket(driver.TLS)
		for _, bad := range [][]string{
			{strings.Repeat("a", 30)}, {strings.Repeat("a", 14), strings.Repeat("b", 15)}, {"h2", "", "http/1.1"}, {""}, {}, {"h2 http/1.1"},
		} {
			r.refused(fmt.Sprintf("%q", bad), s.SetALPN(bad...), driver.ErrSockArg)
		}
		r.ok("29 characters", s.SetALPN(strings.Repeat("a", 14), strings.Repeat("b", 14)))
		r.ok("two", s.SetALPN("h2", "http/1.1"))
	})
}

func TestTLS01_TrustedServerAndNothingInClear(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{})
		since := r.mark()
		s := r.secureSocket(driver.TLS)
		r.ok("SetSNI", s.SetSNI(tlsName))
		r.connect(s, srv.at, nil)
		if srv.conns != 1 || len(srv.states) != 1 {
			r.fatalf("CONNECT before the handshake is over")
		}
		r.roundTrip(s, "the secret of the bench")
		if n := r.onAir(since, "secret"); n != 0 {
			r.fatalf("%d packets have the text in clear", n)
		}
		if n := r.onAir(since, tlsName); n == 0 { // of hello and certificate: the search finds what is there
			r.fatalf("the handshake was not seen")
		}
		r.detail(s, driver.ErrDetail{})
		r.roundTrip(s, strings.Repeat("0123456789abcdef", 87)) // more than 1390 bytes
		r.close(s)
		r.Sleep(patience)
		if len(srv.errs) != 1 || srv.errs[0] != nil {
			r.fatalf("the server's end: %v, want a close_notify", srv.errs)
		}
	})
}

func TestTLS02_UnknownRoot(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{Certificates: []tls.Certificate{identity(tlsKeys().theirs, tlsName)}})
		r.failsTLS(r.secureSocket(driver.TLS), srv.at, driver.ErrDetail{Source: driver.SourceLocal, Alert: 48})
		r.Sleep(patience)
		if len(srv.errs) != 1 || !strings.Contains(srv.errs[0].Error(), "unknown certificate authority") {
			r.fatalf("the server heard %v", srv.errs)
		}
	})
}

func TestTLS03_Bypass(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{Certificates: []tls.Certificate{identity(tlsKeys().theirs, tlsName)}})
		s := r.secureSocket(driver.TLS)
		r.ok("bypass", s.SetOpt(driver.OptTLSBypass, 1))
		r.connect(s, srv.at, nil)
		r.roundTrip(s, "whoever you are")
	})
}

func TestTLS04_ServerNameInTheHello(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{})
		for _, name := range []string{tlsName, "", "another.test"} {
			since := r.mark()
			s := r.secureSocket(driver.TLS)
			r.ok("SetSNI", s.SetSNI(name))
			r.connect(s, srv.at, nil)
			if srv.hello.ServerName != name {
				r.fatalf("the hello has the name %q, want %q", srv.hello.ServerName, name)
			}
			if name == "another.test" && r.onAir(since, name) != 1 {
				r.fatalf("the name is in %d packets", r.onAir(since, name))
			}
			r.close(s)
		}
	})
}

func TestTLS05_CertificateForAnotherName(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{})
		s := r.secureSocket(driver.TLS)
		r.ok("SetSNI", s.SetSNI("another.test"))
		r.ok("check", s.SetOpt(driver.OptTLSCheckSNI, 1))
		r.failsTLS(s, srv.at, driver.ErrDetail{Source: driver.SourceLocal, Alert: 42})

		s = r.secureSocket(driver.TLS)
		r.ok("SetSNI", s.SetSNI(tlsName))
		r.ok("check", s.SetOpt(driver.OptTLSCheckSNI, 1))
		r.connect(s, srv.at, nil)
	})
}

func TestTLS06_ProtocolIndex(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		for i, tc := range []struct {
			server []string
			index  int
		}{{[]string{"http/1.1"}, 2}, {[]string{"h2", "http/1.1"}, 1}, {nil, 0}} {
			var c tls.Config
			srv := &tlsServer{Host: r.AddHost(fmt.Sprintf("alpn%d.test", i))}
			r.setServer(srv, &c)
			c.NextProtos = tc.server
			r.ok("serve", srv.HandleTCP(443, func(conn net.Conn) { r.echoTLS(srv, conn, &c) }))
			s := r.secureSocket(driver.TLS)
			r.ok("SetALPN", s.SetALPN("h2", "http/1.1"))
			r.connect(s, netip.AddrPortFrom(srv.Addr, 443), nil)
			if i, err := s.ALPN(); i != tc.index || err != nil {
				r.fatalf("server with %q: index %d, %v, want %d", tc.server, i, err, tc.index)
			}
			r.roundTrip(s, "hello")
		}
	})
}

func TestTLS07_SecureLater(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := &tlsServer{Host: r.AddHost(tlsName)}
		var c tls.Config
		r.setServer(srv, &c)
		r.ok("serve", srv.HandleTCP(25, func(conn net.Conn) {
			line := make([]byte, 8)
			if _, err := io.ReadFull(conn, line); err == nil {
				conn.Write([]byte("go ahead"))
				r.echoTLS(srv, conn, &c)
			}
		}))
		since := r.mark()
		s := r.secureSocket(driver.TLSLater)
		r.ok("SetALPN", s.SetALPN("smtp"))
		r.connect(s, netip.AddrPortFrom(srv.Addr, 25), nil)
		r.send(s, []byte("STARTTLS"))
		r.recv(s, 100)
		r.wantData(s, "go ahead")
		if r.onAir(since, "STARTTLS") != 1 {
			r.fatalf("not in clear before Secure")
		}
		r.ok("Secure", s.Secure())
		r.verdict("SECURE", s, want[driver.SecureMsg](r, s).Err, nil)
		r.roundTrip(s, "the secret of the bench")
		if n := r.onAir(since, "secret"); n != 0 {
			r.fatalf("%d packets have the text in clear", n)
		}
		r.close(s)
	})
}

// What has come in clear must have been received before (3.6, secure).
func TestTLS07_SecureWithBytesInClear(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		h := r.AddHost("plain.test")
		l, err := h.Listen("tcp", ":25")
		r.ok("listen", err)
		s := r.secureSocket(driver.TLSLater)
		r.connect(s, netip.AddrPortFrom(h.Addr, 25), nil)
		c, err := l.Accept()
		r.ok("accept", err)
		r.peerWrites(c, "unread")
		r.Sleep(time.Second)
		r.ok("Secure", s.Secure())
		r.verdict("SECURE", s, want[driver.SecureMsg](r, s).Err, driver.ErrSockInvalid)
		r.recv(s, 100)
		r.wantData(s, "unread") // and the connection goes on in clear
		r.send(s, []byte("plain"))
		r.peerReads(c, []byte("plain"))
	})
}

func TestTLS08_SecureInTheWrongState(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{})
		plain, _ := r.dial(r.AddHost("plain.test"), 80)
		secured, unconnected := r.secureSocket(driver.TLSLater), r.secureSocket(driver.TLSLater)
		r.connect(secured, srv.at, nil)
		r.ok("Secure", secured.Secure())
		r.verdict("SECURE", secured, want[driver.SecureMsg](r, secured).Err, nil)
		always := r.secureSocket(driver.TLS)
		r.connect(always, srv.at, nil)
		for name, s := range map[string]driver.Socket{
			"plain": plain, "datagram": r.datagram(), "secured": secured, "TLS": always, "unconnected": unconnected,
		} {
			r.refused(name, s.Secure(), driver.ErrSockArg)
		}
		r.roundTrip(secured, "goes on")
	})
}

func TestTLS09_AlertOfTheServer(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		for _, tc := range []struct {
			port  uint16
			c     *tls.Config
			alert uint8
		}{
			{1, &tls.Config{MinVersion: tls.VersionTLS13}, 70},
			{2, &tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, 40},
		} {
			srv := &tlsServer{Host: r.AddHost(fmt.Sprintf("tls%d.test", tc.port))}
			r.setServer(srv, tc.c)
			r.ok("serve", srv.HandleTCP(443, func(conn net.Conn) { r.echoTLS(srv, conn, tc.c) }))
			s := r.secureSocket(driver.TLS)
			r.failsTLS(s, netip.AddrPortFrom(srv.Addr, 443), driver.ErrDetail{Source: driver.SourceRemote, Alert: tc.alert})
		}
	})
}

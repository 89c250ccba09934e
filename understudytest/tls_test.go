package understudytest_test

// TLS sockets beyond the numbered behaviours of section 5.6.

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	devicetls "github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
)

// trusting is the configuration of a client among the hosts.
func (r *rig) trusting(c *tls.Config) *tls.Config {
	c.RootCAs, c.Time, c.ServerName = x509.NewCertPool(), r.Now, "device.test"
	c.RootCAs.AddCert(tlsKeys().ours.cert)
	if c.CipherSuites == nil {
		c.CipherSuites = deviceSuites
	}
	return c
}

// tlsListener makes a TLS server of the device.
func (r *rig) tlsListener(port uint16) driver.Socket {
	r.t.Helper()
	l := r.secureSocket(driver.TLS)
	r.bind(l, port, nil)
	r.ok("Listen", l.Listen(0))
	r.verdict("LISTEN", l, want[driver.ListenMsg](r, l).Err, nil)
	return l
}

func TestTLSServer(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		l := r.tlsListener(443)
		h := r.AddHost("client.test")
		cache := tls.NewLRUClientSessionCache(1)
		for i := range 2 { // "always on for servers": the second takes up the session of the first
			conn, err := h.Dial(context.Background(), "tcp", r.at(443).String())
			r.ok("dial", err)
			c := tls.Client(conn, r.trusting(&tls.Config{ClientSessionCache: cache}))
			r.ok("handshake", c.Handshake())
			m := want[driver.AcceptMsg](r, l)
			r.verdict("ACCEPT", l, m.Err, nil)
			if resumed := c.ConnectionState().DidResume; resumed != (i == 1) {
				r.fatalf("connection %d: resumed %v", i, resumed)
			}
			_, err = io.WriteString(c, "from the client")
			r.ok("write", err)
			r.recv(m.Socket, 100)
			r.wantData(m.Socket, "from the client")
			r.send(m.Socket, []byte("from the device"))
			b := make([]byte, 100)
			n, err := c.Read(b)
			if string(b[:n]) != "from the device" || err != nil {
				r.fatalf("%q, %v", b[:n], err)
			}
			r.close(m.Socket)
			if n, err := c.Read(b); n != 0 || err != io.EOF {
				r.fatalf("after Close: %d, %v, want a close_notify", n, err)
			}
			c.Close()
		}
		r.close(l)
	})
}

// A child whose handshake fails never appears, and its client hears why (driver-api 3.6, listen).
func TestTLSServerRefuses(t *testing.T) {
	var said []string
	p := device.Profile{}
	c := understudytest.Config{Device: device.Config{Profile: p, Trace: func(e device.Event) {
		if e.Kind == device.EventTLS {
			said = append(said, e.Text)
		}
	}}}
	inForms(t, func(t *testing.T) understudytest.Config {
		c.Device.Flash, said = tlsFlash(t, p), nil
		return c
	}, func(r *rig) {
		r.settled()
		l := r.tlsListener(443)
		h := r.AddHost("client.test")
		conn, err := h.Dial(context.Background(), "tcp", r.at(443).String())
		r.ok("dial", err)
		err = tls.Client(conn, r.trusting(&tls.Config{MinVersion: tls.VersionTLS13})).Handshake()
		if err == nil || !strings.Contains(err.Error(), "protocol version") {
			r.fatalf("the client heard %v", err)
		}
		r.quiet(patience, "a handshake failed")
		const words = "the client offers only TLS 1.3 with "
		if len(said) != 1 || !strings.Contains(said[0], words) || !strings.Contains(said[0], "this profile accepts TLS 1.0 to 1.2 with RSA-AES128-CBC-SHA, ") {
			r.fatalf("it said %q", said)
		}

		// One that says nothing is given up, and does not keep others.
		idle, err := h.Dial(context.Background(), "tcp", r.at(443).String())
		r.ok("dial", err)
		conn, err = h.Dial(context.Background(), "tcp", r.at(443).String())
		r.ok("dial", err)
		client := tls.Client(conn, r.trusting(&tls.Config{}))
		before := r.Now()
		r.ok("handshake", client.Handshake())
		if d := r.Now().Sub(before); d < 5*time.Second || d > 15*time.Second {
			r.fatalf("the next handshake took %v", d)
		}
		_, err = idle.Read(make([]byte, 1))
		if err == nil {
			r.fatalf("the silent client was not given up")
		}
		want[driver.AcceptMsg](r, l)
	})
}

// Without a key in the flash there is no server; a client may be bound all the same.
func TestTLSServerWithoutKey(t *testing.T) {
	behave(t, func(r *rig) {
		l := r.secureSocket(driver.TLS)
		r.bind(l, 443, nil)
		r.ok("Listen", l.Listen(0))
		r.verdict("LISTEN", l, want[driver.ListenMsg](r, l).Err, driver.ErrSockInvalid)
	})
}

func TestTLSSessionsAreTakenUpWhenAsked(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{})
		for i, cache := range []int{0, 1, 1, 0} {
			s := r.secureSocket(driver.TLS)
			r.ok("SetSNI", s.SetSNI(tlsName))
			r.ok("cache", s.SetOpt(driver.OptTLSCache, cache))
			r.connect(s, srv.at, nil)
			r.roundTrip(s, "hello")
			if got := srv.states[i].DidResume; got != (i == 2) {
				r.fatalf("connection %d: resumed %v", i, got)
			}
			r.close(s)
		}
	})
}

func TestTLSExpiry(t *testing.T) {
	old := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = truth.Add(-48*time.Hour), truth.Add(-24*time.Hour)
	}
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{Certificates: []tls.Certificate{identity(tlsKeys().ours, tlsName, old)}})
		expired := driver.ErrDetail{Source: driver.SourceLocal, Alert: 45}
		r.ok("off", r.Client.SetCertExpiry(driver.ExpiryOff))
		s := r.secureSocket(driver.TLS)
		r.connect(s, srv.at, nil)
		r.close(s)
		r.ok("on", r.Client.SetCertExpiry(driver.ExpiryOn))
		r.failsTLS(r.secureSocket(driver.TLS), srv.at, expired)
		r.ok("if the time is known", r.Client.SetCertExpiry(driver.ExpiryIfTime)) // it is, from the router
		r.failsTLS(r.secureSocket(driver.TLS), srv.at, expired)
		r.refused("3", r.Client.SetCertExpiry(3), driver.ErrInvalid)
	})
}

func TestTLSCipherSuites(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		only := func(id uint16) *tls.Config {
			return &tls.Config{CipherSuites: []uint16{id}, MaxVersion: tls.VersionTLS12}
		}
		srv := r.serveTLS(only(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256))
		r.failsTLS(r.secureSocket(driver.TLS), srv.at, driver.ErrDetail{Source: driver.SourceRemote, Alert: 40})
		for _, tc := range []struct{ set, active driver.Ciphers }{
			{0, 0x13}, {0x80, 0x13}, {0x3ac, 0x13}, {driver.AllCiphers, 0xfc53}, {0xd3, 0x53},
			{driver.CiphersFromIANA([]uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0x1301}), 1 << 14},
		} {
			r.ok("SetCiphers", r.Client.SetCiphers(tc.set, hear[driver.Ciphers](r)))
			if got := want[driver.Ciphers](r, none); got != tc.active {
				r.fatalf("SetCiphers %#x: %#x is active, want %#x", tc.set, got, tc.active)
			}
		}
		s := r.secureSocket(driver.TLS)
		r.connect(s, srv.at, nil)
		if id := srv.states[0].CipherSuite; id != tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 {
			r.fatalf("cipher suite %s", tls.CipherSuiteName(id))
		}
	})
}

// Four of the TCP sockets can be TLS sockets; one too many fails when it connects or binds (driver-api 3.2, 3.6).
func TestTLSSocketsAreLimited(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		srv := r.serveTLS(&tls.Config{})
		var all []driver.Socket
		for i := range 5 {
			all = append(all, r.secureSocket(driver.SockConfig(1+i%2)))
		}
		for _, s := range all[:4] {
			r.connect(s, srv.at, nil)
		}
		r.connect(all[4], srv.at, driver.ErrMaxTCP)
		r.close(all[4])
		r.close(all[0])
		again := r.secureSocket(driver.TLS)
		r.connect(again, srv.at, nil)
		r.connect(r.stream(), srv.at, nil) // plain ones do not count
	})
}

// Handshakes are made one after the other (driver-api 3.9); with the profile "unlimited" a slow one keeps nobody.
func TestTLSHandshakesTakeTurns(t *testing.T) {
	for _, tc := range []struct {
		p     device.Profile
		waits bool
	}{{device.WINC1500(), true}, {device.Unlimited(), false}} {
		t.Run(tc.p.Name, func(t *testing.T) {
			withTLS(t, tc.p, func(r *rig) {
				slow := r.AddHost("slow.test")
				r.ok("serve", slow.HandleTCP(443, func(c net.Conn) { r.Sleep(10 * time.Second) }))
				srv := r.serveTLS(&tls.Config{})
				a, b := r.secureSocket(driver.TLS), r.secureSocket(driver.TLS)
				r.ok("Connect", a.Connect(netip.AddrPortFrom(slow.Addr, 443)))
				r.ok("Connect", b.Connect(srv.at))
				start := r.Now()
				m, e := wantWithin[driver.ConnectMsg](r, b, time.Minute)
				if m.Err != nil || (e.at.Sub(start) > 5*time.Second) != tc.waits {
					r.fatalf("%v after %v", m.Err, e.at.Sub(start))
				}
				if m, _ := wantWithin[driver.ConnectMsg](r, a, time.Minute); m.Err == nil {
					r.fatalf("the slow one: %v", m.Err)
				}
			})
		})
	}
}

// A writer is stalled by its peer's window; then the peer sends a bad record. The device sends the alert as soon as it
// can, the world goes on meanwhile, and what waits is told (doors, "stack and sock").
func TestTLSStalledWriterAndBadRecord(t *testing.T) {
	withTLS(t, device.Unlimited(), func(r *rig) {
		h := r.AddHost(tlsName)
		l, err := h.Listen("tcp", ":443")
		r.ok("listen", err)
		srv := &tlsServer{}
		c := &tls.Config{}
		r.setServer(srv, c)
		s := r.secureSocket(driver.TLS)
		r.ok("Connect", s.Connect(netip.AddrPortFrom(h.Addr, 443)))
		raw, err := l.Accept()
		r.ok("accept", err)
		r.ok("handshake", tls.Server(raw, c).Handshake())
		r.verdict("CONNECT", s, want[driver.ConnectMsg](r, s).Err, nil)

		sends := 0
		for ; sends < 1000; sends++ {
			if err := s.Send(pattern(1400)); errors.Is(err, driver.ErrBufferFull) {
				break
			} else {
				r.ok("Send", err)
			}
			r.Sleep(time.Millisecond)
		}
		if sends == 1000 {
			r.fatalf("nothing stalls the writer")
		}
		r.recv(s, 100)
		_, err = raw.Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...))
		r.ok("bad record", err)
		r.wantEnd(s, driver.ErrConnAborted)
		for range sends {
			m := want[driver.SendMsg](r, s)
			if m.Err == nil && m.N != 1400 || m.Err != nil && !errors.Is(m.Err, driver.ErrConnAborted) {
				r.fatalf("SEND: %+v", m)
			}
		}
		r.ok("ping meanwhile", r.Client.Echo(r.Router.Addr, 0, hear[driver.EchoReply](r)))
		want[driver.EchoReply](r, none)
		r.close(s)
		other := r.serveTLSAt("other.test")
		s = r.secureSocket(driver.TLS)
		r.connect(s, other.at, nil)
		r.roundTrip(s, "others go on")
	})
}

// serveTLSAt is serveTLS under another name.
func (r *rig) serveTLSAt(name string) *tlsServer {
	r.t.Helper()
	s, c := &tlsServer{Host: r.AddHost(name)}, &tls.Config{}
	s.at = netip.AddrPortFrom(s.Addr, 443)
	r.setServer(s, c)
	r.ok("serve", s.HandleTCP(443, func(conn net.Conn) { r.echoTLS(s, conn, c) }))
	return s
}

// What was accepted is delivered after Close, though the peer reads late.
func TestTLSCloseDeliversWhatWasSent(t *testing.T) {
	withTLS(t, device.WINC1500(), func(r *rig) {
		h := r.AddHost(tlsName)
		srv, c := &tlsServer{}, &tls.Config{}
		r.setServer(srv, c)
		l, err := h.Listen("tcp", ":443")
		r.ok("listen", err)
		s := r.secureSocket(driver.TLS)
		r.ok("Connect", s.Connect(netip.AddrPortFrom(h.Addr, 443)))
		raw, err := l.Accept()
		r.ok("accept", err)
		peer := tls.Server(raw, c)
		r.ok("handshake", peer.Handshake())
		want[driver.ConnectMsg](r, s)
		sent := 0
		for s.Send(pattern(1400)) == nil {
			sent += 1400
			r.Sleep(time.Millisecond)
		}
		for len(r.untaken()) > 0 {
			want[driver.SendMsg](r, s)
		}
		r.close(s)
		r.Sleep(3 * time.Second)
		got, err := io.ReadAll(peer)
		if len(got) != sent || err != nil {
			r.fatalf("%d bytes of %d, %v", len(got), sent, err)
		}
	})
}

// The device loses its access point in the middle of a handshake, and with a connection that stands.
func TestTLSLinkLost(t *testing.T) {
	withTLS(t, device.WINC1500(), func(r *rig) {
		slow := r.AddHost("slow.test")
		r.ok("serve", slow.HandleTCP(443, func(c net.Conn) { io.Copy(io.Discard, c) }))
		srv := r.serveTLS(&tls.Config{})
		up, waits, later := r.secureSocket(driver.TLS), r.secureSocket(driver.TLS), r.secureSocket(driver.TLSLater)
		r.connect(up, srv.at, nil)
		r.connect(later, netip.AddrPortFrom(slow.Addr, 443), nil)
		r.ok("Secure", later.Secure())
		r.ok("Connect", waits.Connect(netip.AddrPortFrom(slow.Addr, 443)))
		r.recv(up, 100)
		r.Sleep(time.Second)
		r.StopWiFi()
		r.wantEnd(up, driver.ErrConnAborted)
		r.verdict("CONNECT", waits, want[driver.ConnectMsg](r, waits).Err, driver.ErrConnAborted)
		r.verdict("SECURE", later, want[driver.SecureMsg](r, later).Err, driver.ErrConnAborted)
		for _, s := range []driver.Socket{up, waits, later} {
			r.close(s)
		}
		r.RestoreWiFi()
		r.ok("join again", r.Join())
		s := r.secureSocket(driver.TLS)
		r.connect(s, srv.at, nil)
		r.roundTrip(s, "and again")
	})
}

// Versions: the profile "unlimited" has TLS 1.3, and says in its snapshot what was agreed on.
func TestTLSVersions(t *testing.T) {
	for _, tc := range []struct {
		p    device.Profile
		want string
	}{{device.WINC1500(), "TLS 1.2 TLS_RSA_WITH_AES_128_GCM_SHA256"}, {device.Unlimited(), "TLS 1.3"}} {
		t.Run(tc.p.Name, func(t *testing.T) {
			withTLS(t, tc.p, func(r *rig) {
				srv := r.serveTLS(&tls.Config{})
				s := r.secureSocket(driver.TLS)
				r.connect(s, srv.at, nil)
				var is []string
				r.locked(func(time.Time) {
					for _, k := range r.Device.Snapshot().Sockets {
						is = append(is, k.TLS)
					}
				})
				if len(is) != 1 || !strings.HasPrefix(is[0], tc.want) {
					r.fatalf("%q, want %q", is, tc.want)
				}
				r.roundTrip(s, strings.Repeat(fmt.Sprint(devicetls.DefaultSuites), 5))
			})
		})
	}
}

// Blocking calls: hostnet's DialTLS, Secure and ListenTLS.
func TestTLSOfNet(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		ctx := context.Background()
		srv := r.serveTLS(&tls.Config{NextProtos: []string{"http/1.1"}})
		c, err := r.Net.DialTLS(ctx, "tcp", tlsName+":443", hostnet.TLSOptions{NextProtos: []string{"h2", "http/1.1"}})
		r.ok("DialTLS", err)
		if srv.hello.ServerName != tlsName {
			r.fatalf("the hello has the name %q", srv.hello.ServerName)
		}
		if p, err := r.Net.NegotiatedProtocol(c); p != "http/1.1" || err != nil {
			r.fatalf("protocol %q, %v", p, err)
		}
		data := pattern(100_000)
		r.Go(func() { c.Write(data) })
		got := make([]byte, len(data))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
			r.fatalf("100 kB there and back: %v", err)
		}
		r.ok("Close", c.Close())

		// A name that the certificate is not for.
		_, err = r.Net.DialTLS(ctx, "tcp", srv.at.String(), hostnet.TLSOptions{ServerName: "another.test"})
		var alert *driver.TLSAlert
		if !errors.As(err, &alert) || alert.Source != driver.SourceLocal || alert.Alert != 42 {
			r.fatalf("another name: %v", err)
		}
		c, err = r.Net.DialTLS(ctx, "tcp", srv.at.String(), hostnet.TLSOptions{ServerName: "another.test", AnyName: true})
		r.ok("any name", err)
		r.ok("Close", c.Close())
		if _, err = r.Net.DialTLS(ctx, "udp", srv.at.String(), hostnet.TLSOptions{}); err == nil {
			r.fatalf("TLS over UDP")
		}

		// In clear first.
		c, err = r.Net.DialTLS(ctx, "tcp", srv.at.String(), hostnet.TLSOptions{ServerName: tlsName, Later: true})
		r.ok("Later", err)
		r.ok("Secure", r.Net.Secure(ctx, c))
		_, err = c.Write([]byte("hello"))
		r.ok("Write", err)
		if _, err := io.ReadFull(c, got[:5]); string(got[:5]) != "hello" || err != nil {
			r.fatalf("%q, %v", got[:5], err)
		}
		if err := r.Net.Secure(ctx, c); !errors.Is(err, driver.ErrSockArg) {
			r.fatalf("Secure twice: %v", err)
		}
		r.ok("Close", c.Close())

		l, err := r.Net.ListenTLS(ctx, "tcp", ":8443")
		r.ok("ListenTLS", err)
		h := r.AddHost("client.test")
		r.Go(func() {
			conn, err := h.Dial(ctx, "tcp", r.at(8443).String())
			if err != nil {
				return
			}
			c := tls.Client(conn, r.trusting(&tls.Config{}))
			io.WriteString(c, "hello device")
			c.Close()
		})
		c, err = l.Accept()
		r.ok("Accept", err)
		if b, err := io.ReadAll(c); string(b) != "hello device" || err != nil {
			r.fatalf("%q, %v", b, err)
		}
		r.ok("Close", c.Close())
		r.ok("Close", l.Close())
	})
}

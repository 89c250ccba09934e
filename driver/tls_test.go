package driver_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// tlsSocket makes a TLS socket, of which the device is told.
func (b *bench) tlsSocket(c driver.SockConfig) driver.Socket {
	b.t.Helper()
	b.take()
	s, err := b.c.Socket(driver.Stream, c)
	check(b.t, err)
	if m := want(b.chip, hif.OpSSLCreate, hif.ParseSSLCreate); int(m.Sock) != s.ID() {
		b.t.Fatalf("SSL_CREATE for %d, want %v", m.Sock, s)
	}
	return s
}

// secureConnect connects s and returns the request.
func (b *bench) secureConnect(s driver.Socket) hif.SockConnect {
	b.t.Helper()
	b.take()
	check(b.t, s.Connect(addrPort("10.0.0.9:443")))
	return want(b.chip, hif.OpSSLConnect, hif.ParseSockConnect)
}

// The messages of a TLS socket, and that the device's offset is used.
func TestTLSOnTheWire(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s := b.tlsSocket(driver.TLS)
	check(t, s.SetSNI("a.test"))
	if m := want(b.chip, hif.OpSSLSetOpt, hif.ParseSSLOption); m.Option != hif.SSLOptSNI || string(m.Value) != "a.test" {
		t.Errorf("%+v", m)
	}
	check(t, s.SetALPN("h2", "http/1.1"))
	if m := want(b.chip, hif.OpSSLSetOpt, hif.ParseSSLOption); m.Option != hif.SSLOptALPN || string(m.Value) != "\x00\x0c\x02h2\x08http/1.1" {
		t.Errorf("%+v", m)
	}
	check(t, s.SetOpt(driver.OptTLSBypass, 1))
	check(t, s.SetOpt(driver.OptTLSCheckSNI, 1))
	check(t, s.SetOpt(driver.OptTLSCache, 1))
	check(t, s.SetOpt(driver.OptTLSBypass, 0))
	m := b.secureConnect(s)
	if want := hif.TLSActive | hif.TLSNoTXCopy | hif.TLSCacheSession | hif.TLSCheckSNI; m.Flags != want {
		t.Errorf("flags %#x, want %#x", m.Flags, want)
	}
	b.tell(hif.OpSSLConnectALPN, hif.ALPNReply{SockConnectReply: hif.SockConnectReply{Sock: m.Sock, AppDataOffset: 120}, Protocol: 2})
	wantLines(t, "connect", got, "0 CONNECT")
	if i, err := s.ALPN(); i != 2 || err != nil {
		t.Error(i, err)
	}
	check(t, s.Send([]byte("hello")))
	r := b.take()
	if len(r) != 1 || r[0].op != hif.OpSSLSend || string(r[0].payload[120-hif.HeaderLen:]) != "hello" {
		t.Fatalf("%+v", r)
	}
	b.tell(hif.OpSSLSend, hif.SendReply{Sock: m.Sock, Status: 5, Session: m.Session})
	check(t, s.Recv(make([]byte, 10), 0))
	want(b.chip, hif.OpSSLRecv, hif.ParseRecv)
	b.recvReply(hif.OpSSLRecv, m.Sock, m.Session, "world")
	wantLines(t, "data", got, "0 SEND 5", `0 RECV "world"`)
	check(t, s.Close())
	want(b.chip, hif.OpSSLClose, hif.ParseClose)
}

// Failures with and without a reason, and answers that cannot be.
func TestTLSAnswers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		m      hif.SockConnectReply
		line   string
		detail driver.ErrDetail
		alert  bool
	}{
		{"fine", hif.SockConnectReply{AppDataOffset: 93}, "0 CONNECT", driver.ErrDetail{}, false},
		{"least", hif.SockConnectReply{AppDataOffset: 24}, "0 CONNECT", driver.ErrDetail{}, false},
		{"remote", hif.SockConnectReply{Status: hif.StatusAborted, AppDataOffset: 1 | 40<<8}, "0 CONNECT (-12)", driver.ErrDetail{Source: driver.SourceRemote, Alert: 40}, true},
		{"local", hif.SockConnectReply{Status: hif.StatusAborted, AppDataOffset: 2 | 48<<8}, "0 CONNECT (-12)", driver.ErrDetail{Source: driver.SourceLocal, Alert: 48}, true},
		{"refused", hif.SockConnectReply{Status: hif.StatusAborted}, "0 CONNECT (-12)", driver.ErrDetail{}, false},
		{"too many", hif.SockConnectReply{Status: hif.StatusTooManyTCP}, "0 CONNECT (-3)", driver.ErrDetail{}, false},
		{"no offset", hif.SockConnectReply{}, "0 CONNECT (-9)", driver.ErrDetail{}, false},
		{"offset in the control part", hif.SockConnectReply{AppDataOffset: 23}, "0 CONNECT (-9)", driver.ErrDetail{}, false},
		{"offset beyond all", hif.SockConnectReply{AppDataOffset: 65535}, "0 CONNECT (-9)", driver.ErrDetail{}, false},
		{"no room for 1400 bytes", hif.SockConnectReply{AppDataOffset: 197}, "0 CONNECT (-9)", driver.ErrDetail{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			var err error
			got := []string{}
			check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) {
				got = append(got, line(s, m))
				if c, ok := m.(driver.ConnectMsg); ok {
					err = c.Err
				}
			}))
			s := b.tlsSocket(driver.TLS)
			tc.m.Sock = b.secureConnect(s).Sock
			b.tell(hif.OpSockConnect, tc.m)
			wantLines(t, tc.name, &got, tc.line)
			var a *driver.TLSAlert
			if errors.As(err, &a) != tc.alert || a != nil && a.ErrDetail != tc.detail {
				t.Errorf("%v", err)
			}
			if d, err := s.ErrDetail(); d != tc.detail || err != nil {
				t.Errorf("%+v, %v", d, err)
			}
			check(t, s.Send(make([]byte, 1400))) // whatever the device said, it is told
		})
	}
}

// A TLSLater socket is a plain one until the answer to SECURE; that to an old SECURE does not reach the next owner.
func TestSecureOnTheWire(t *testing.T) {
	b := newBench(t)
	var got []string
	check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) {
		if m, ok := m.(driver.SecureMsg); ok {
			got = append(got, fmt.Sprint("SECURE ", m.Err))
			return
		}
		got = append(got, line(s, m))
	}))
	s := b.tlsSocket(driver.TLSLater)
	wantErr(t, "unconnected", s.Secure(), driver.ErrSockArg)
	m := b.secureConnect(s)
	if m.Flags&hif.TLSDelayed == 0 {
		t.Errorf("flags %#x", m.Flags)
	}
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: hif.TCPAppDataOffset})
	check(t, s.Send([]byte("plain")))
	if ops := b.ops(); !slices.Equal(ops, []hif.Op{hif.OpSend}) {
		t.Error(ops)
	}
	check(t, s.Secure())
	if m := want(b.chip, hif.OpSecure, hif.ParseSockConnect); m.Flags != hif.TLSActive|hif.TLSNoTXCopy {
		t.Errorf("flags %#x", m.Flags)
	}
	wantErr(t, "twice", s.Secure(), driver.ErrSockArg)
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: 104})
	wantLines(t, "secured", &got, "0 CONNECT", "SECURE <nil>")
	wantErr(t, "secured", s.Secure(), driver.ErrSockArg)
	check(t, s.Recv(make([]byte, 10), 0))
	want(b.chip, hif.OpSSLRecv, hif.ParseRecv)
}

func TestCiphers(t *testing.T) {
	if c := driver.CiphersFromIANA([]uint16{0xc02f, 0x1301, 0x002f, 0, 0xc02b}); c != 1<<14|1 {
		t.Errorf("%#x", c)
	}
	if ids := driver.AllCiphers.IANA(); len(ids) != 16 || driver.CiphersFromIANA(ids) != driver.AllCiphers {
		t.Error(ids)
	}
	b := newBench(t)
	var got []driver.Ciphers
	b.take()
	check(t, b.c.SetCiphers(driver.AllCiphers, func(c driver.Ciphers) { got = append(got, c) }))
	want(b.chip, hif.OpSetCipherSuites, hif.ParseCipherSuites)
	b.tell(hif.OpCipherSuites, hif.CipherSuites{Bits: 0x53})
	check(t, b.c.SetCiphers(0, nil))
	b.tell(hif.OpCipherSuites, hif.CipherSuites{Bits: 0x53})
	if !slices.Equal(got, []driver.Ciphers{0x53}) {
		t.Error(got)
	}
	for _, err := range []error{b.c.OnECC(nil), b.c.AnswerECC(nil, nil)} {
		wantErr(t, "ECC", err, driver.ErrUnsupported)
	}
}

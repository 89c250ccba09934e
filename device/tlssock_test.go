package device

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
)

// tlsSocket is socket id of the device, seen from inside.
func (b *bench) tlsSocket(id int) *socket { return &b.dev.fw.sockets[id] }

func TestTLSRequestsInTheWrongPlace(t *testing.T) {
	b, p := online(t)
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(peerIP, port) }
	answer := func(what string, want hif.Status) {
		t.Helper()
		if m := await(b.h, time.Second, hif.OpSockConnect, hif.ParseSockConnectReply); m.Status != want {
			t.Errorf("%s: %+v, want %v", what, m, want)
		}
	}
	send(b.h, hif.OpSSLConnect, hif.SockConnect{Addr: at(443), Sock: 8, Flags: hif.TLSActive, Session: 9})
	answer("SSL_CONNECT on a UDP socket", hif.StatusInvalid)
	send(b.h, hif.OpSSLConnect, hif.SockConnect{Addr: at(443), Sock: 0, Flags: hif.TLSActive, Session: 1})
	answer("nobody listens", hif.StatusAborted)
	p.listen(444)
	send(b.h, hif.OpSSLConnect, hif.SockConnect{Addr: at(444), Sock: 1, Flags: hif.TLSActive | hif.TLSDelayed, Session: 2})
	if m := await(b.h, time.Second, hif.OpSockConnect, hif.ParseSockConnectReply); m.Status != hif.StatusOK || m.AppDataOffset != 88 {
		t.Errorf("delayed TLS: %+v", m)
	}
	send(b.h, hif.OpSecure, hif.SockConnect{Sock: 5, Session: 2})
	answer("SECURE on a free socket", hif.StatusInvalid)
	if s := b.h.connect(2, at(444), 3); s != hif.StatusOK {
		t.Fatal(s)
	}
	send(b.h, hif.OpSecure, hif.SockConnect{Sock: 2, Session: 3})
	answer("SECURE on a plain connection", hif.StatusInvalid)
	send(b.h, hif.OpSSLRecv, recvOf(2, 3))
	if m := await(b.h, 0, hif.OpSSLRecv, hif.ParseRecvReply); m.Status != hif.StatusInvalid {
		t.Errorf("SSL_RECV on a plain connection: %+v", m)
	}
	send(b.h, hif.OpSSLBind, bindTo(9, 443, 4))
	if m := await(b.h, 0, hif.OpSSLBind, hif.ParseBindReply); m.Status != hif.StatusInvalid {
		t.Errorf("SSL_BIND of a UDP socket: %+v", m)
	}
	if s := b.h.connect(3, at(444), 5); s != hif.StatusOK { // the rest of the device goes on
		t.Error(s)
	}
}

// Options and modes that cannot be are counted and change nothing.
func TestBrokenTLSOptions(t *testing.T) {
	b, _ := online(t)
	send(b.h, hif.OpSSLCreate, hif.SSLCreate{Sock: 0})
	send(b.h, hif.OpSSLSetOpt, hif.SSLOption{Sock: 0, Option: hif.SSLOptSNI, Value: []byte("a.test\x00junk")})
	send(b.h, hif.OpSSLSetOpt, hif.SSLOption{Sock: 0, Option: hif.SSLOptALPN, Value: hif.AppendALPN(nil, []string{"h2"})})
	k := b.tlsSocket(0).sec
	if k == nil || k.sni != "a.test" || strings.Join(k.alpn, " ") != "h2" {
		t.Fatalf("%+v", k)
	}
	before := b.dev.Counters()
	for _, m := range []hif.SSLOption{
		{Sock: 1, Option: hif.SSLOptSNI, Value: []byte("x")},      // no TLS socket
		{Sock: 8, Option: hif.SSLOptSNI, Value: []byte("x")},      // UDP
		{Sock: 0, Option: hif.SSLOptALPN, Value: []byte("\x09x")}, // cut off
		{Sock: 0, Option: hif.SSLOptALPN},
		{Sock: 0, Option: hif.SSLOptBypassX509, Value: []byte{1}}, // travels in the flags
		{Sock: 0, Option: 99},
	} {
		send(b.h, hif.OpSSLSetOpt, m)
	}
	send(b.h, hif.OpSSLCreate, hif.SSLCreate{Sock: 9})
	send(b.h, hif.OpSSLExpCheck, hif.SSLExpCheck{Mode: 3})
	send(b.h, hif.OpSSLCreate, hif.SSLCreate{Sock: -1})
	send(b.h, hif.OpSSLSetOpt, hif.SSLOption{Sock: 99})
	after := b.dev.Counters()
	if got := after.Malformed - before.Malformed; got != 8 {
		t.Errorf("%d were counted as malformed, want 8", got)
	}
	if got := after.BadSocket - before.BadSocket; got != 2 {
		t.Errorf("%d were counted as bad sockets, want 2", got)
	}
	if k := b.tlsSocket(0).sec; k.sni != "a.test" || strings.Join(k.alpn, " ") != "h2" || b.dev.fw.expiry != tls.ExpiryIfTime {
		t.Errorf("they had an effect: %+v", k)
	}
}

// coroutines counts those of package sock/co: goroutines of other tests, which may still be ending, are none of ours.
func coroutines() (n int) {
	buf := make([]byte, 1<<22)
	buf = buf[:runtime.Stack(buf, true)]
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(g, "/sock/co.") {
			n++
		}
	}
	return n
}

// A socket in the middle of a handshake that is closed, claimed anew or loses its power leaves no goroutine.
func TestTLSLeavesNoGoroutine(t *testing.T) {
	before := coroutines()
	for name, end := range map[string]func(b *bench){
		"close":       func(b *bench) { send(b.h, hif.OpSSLClose, hif.Close{Sock: 0, Session: 1}) },
		"new session": func(b *bench) { b.h.connect(0, netip.AddrPortFrom(peerIP, 444), 7) },
		"create":      func(b *bench) { send(b.h, hif.OpSSLCreate, hif.SSLCreate{Sock: 0}) },
		"power":       func(b *bench) { b.dev.Enable(b.now, false) },
		"reset":       func(b *bench) { b.dev.Reset(b.now, true) },
	} {
		b, p := online(t)
		p.listen(444)
		send(b.h, hif.OpSSLConnect, hif.SockConnect{Addr: netip.AddrPortFrom(peerIP, 444), Sock: 0, Flags: hif.TLSActive, Session: 1})
		b.run(time.Second)
		if b.tlsSocket(0).tls() == nil || coroutines() <= before {
			t.Fatalf("%s: no handshake goes on", name)
		}
		end(b)
		for i := 0; coroutines() > before && i < 1000; i++ {
			runtime.Gosched()
		}
		if n := coroutines(); n > before {
			t.Errorf("%s: %d goroutines are left", name, n-before)
		}
	}
}

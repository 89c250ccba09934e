package ota

import (
	"crypto/rand"
	"crypto/rsa"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/sock"
)

// pipeEnd is a Stream: one end of two buffers.
type pipeEnd struct {
	in, out *[]byte
	gone    *bool // either end has closed
}

func (p pipeEnd) Read(_ time.Time, b []byte) (int, error) {
	n := copy(b, *p.in)
	switch *p.in = (*p.in)[n:]; {
	case n > 0:
		return n, nil
	case *p.gone:
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (p pipeEnd) Write(_ time.Time, b []byte) (int, error) {
	*p.out = append(*p.out, b...)
	return len(b), nil
}

func (p pipeEnd) CloseWrite(time.Time) error { return nil }
func (p pipeEnd) Close(time.Time) error      { *p.gone = true; return nil }
func (p pipeEnd) Abort(time.Time) error      { *p.gone = true; return nil }
func (p pipeEnd) LocalAddr() netip.AddrPort  { return netip.AddrPort{} }
func (p pipeEnd) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

// securedNet is a network whose one connection leads to a TLS server.
type securedNet struct {
	*fake
	client, server pipeEnd
}

func (n *securedNet) Dial(time.Time, netip.AddrPort) (Stream, error) { return n.client, nil }

// secureServer makes the identity of a server that nobody trusts.
func secureServer(t *testing.T) stdtls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server.test"}, NotAfter: epoch.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secureUpdate is an update by https of which the head of the answer and part of the file have come.
func secureUpdate(t *testing.T, id stdtls.Certificate, part []byte) (*securedNet, *tls.Session) {
	t.Helper()
	var up, down []byte
	var gone bool
	n := &securedNet{fake: newFake(t, nil), client: pipeEnd{&down, &up, &gone}, server: pipeEnd{&up, &down, &gone}}
	n.u = New(Config{Flash: n.f, Net: n, Chip: chip})
	n.u.Update(n.now, Request{URL: "https://10.0.0.1/new.img", Flags: hif.TLSBypassX509})
	n.u.Connected(n.now, nil)
	s := tls.Server(n.server, n.now, tls.Config{Identity: id, Suites: tls.DefaultSuites})
	var b [2000]byte
	for asked := ""; !strings.HasSuffix(asked, "\r\n\r\n"); {
		s.Ready(n.now)
		n.u.Ready(n.now)
		if _, err := s.State(); err != nil {
			t.Fatal(err)
		}
		k, _ := s.Read(n.now, b[:])
		asked += string(b[:k])
	}
	if _, err := s.Write(n.now, append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"), part...)); err != nil {
		t.Fatal(err)
	}
	n.u.Ready(n.now)
	if st := n.u.State(); st.Phase != Receiving || st.Stored != int64(len(part)) {
		t.Fatalf("%+v", st)
	}
	return n, s
}

// The rest comes, then the server's goodbye; and a server that goes without one has cut the file.
func TestUpdateByHTTPS(t *testing.T) {
	id, file := secureServer(t), build(t, 0x1381, 20_000)
	n, s := secureUpdate(t, id, file[:10_000])
	if _, err := s.Write(n.now, file[10_000:]); err != nil {
		t.Fatal(err)
	}
	n.u.Ready(n.now)
	if e, ok := n.u.NextEvent(); !ok || e.Status != good {
		t.Errorf("%+v %v", e, ok)
	}
	n.sound(true)
	n, s = secureUpdate(t, id, file[:10_000])
	s.Stop()
	*n.client.gone = true
	n.u.Ready(n.now)
	if st := n.u.State(); st.Phase != Pausing || st.Resumes != 1 {
		t.Errorf("%+v", st)
	}
	n.u.Abort(n.now)
	n.sound(false)
}

// What https costs is measured and told: the session is that of crypto/tls.
func TestMemoryOfAnUpdateByHTTPS(t *testing.T) {
	const n = 20
	id, file := secureServer(t), build(t, 0x1381, 20_000)
	first, s := secureUpdate(t, id, file[:10_000]) // what is made once
	s.Stop()
	first.u.Abort(first.now)
	all := make([]*securedNet, n)
	var before, after runtime.MemStats
	for i := range all {
		all[i], s = secureUpdate(t, id, file[:10_000])
		s.Stop()
	}
	s = nil
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, f := range all {
		f.u.Stop(f.now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap, stack := int64(before.HeapAlloc-after.HeapAlloc)/n, int64(before.StackInuse-after.StackInuse)/n
	t.Logf("%d bytes of heap, %d of stack", heap, stack)
	if heap+stack > 128<<10 {
		t.Errorf("%d bytes of heap, %d of stack; want less than 128 KiB", heap, stack)
	}
	runtime.KeepAlive(all)
}

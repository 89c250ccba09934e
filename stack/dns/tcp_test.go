package dns

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// fakeStream is a TCP connection to a server that the test plays.
type fakeStream struct {
	connected bool
	window    int    // bytes that Write takes at a time; 0: all
	wrote     []byte // by the resolver
	writes    int
	in        []byte // for the resolver
	most      int    // bytes that Read gives at a time; 0: all
	err       error  // after in
	closed    bool
}

func (s *fakeStream) Write(now time.Time, p []byte) (int, error) {
	switch {
	case s.closed:
		return 0, errors.New("write after close")
	case !s.connected:
		return 0, sock.ErrWouldBlock
	}
	if s.window > 0 {
		p = p[:min(len(p), s.window)]
	}
	s.writes++
	s.wrote = append(s.wrote, p...)
	return len(p), nil
}

func (s *fakeStream) Read(now time.Time, p []byte) (int, error) {
	if len(s.in) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		return 0, sock.ErrWouldBlock
	}
	if s.most > 0 {
		p = p[:min(len(p), s.most)]
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *fakeStream) Close(now time.Time) error { s.closed = true; return nil }

// tcpTest drives a resolver up to the moment when it turns to TCP.
type tcpTest struct {
	*resolverTest
	streams []*fakeStream
	to      []netip.AddrPort
	refuse  bool
}

func newTCPTest(t *testing.T, servers ...netip.AddrPort) *tcpTest {
	t.Helper()
	x := &tcpTest{}
	x.resolverTest = newResolverTest(t, ResolverConfig{OpenTCP: func(now time.Time, to netip.AddrPort) (Stream, error) {
		if x.refuse {
			return nil, errors.New("no socket left")
		}
		s := &fakeStream{}
		x.streams, x.to = append(x.streams, s), append(x.to, to)
		return s, nil
	}}, servers...)
	return x
}

// truncate resolves name and has the server say that the answer is too long. TC is set beside an answer, which must not
// be used (DNS-6).
func (t *tcpTest) truncate(name string) {
	t.Helper()
	t.resolve(name)
	q := t.want("asked", name)
	b := answerWith(q, 0, rr{name, "203.0.113.66", 60})
	b[2] |= 2
	t.reply(q, b)
	t.wantPending("DNS-6: a partial answer")
}

// framed returns the answer to the question that came over s, behind its length.
func (t *tcpTest) framed(s *fakeStream, records ...rr) []byte {
	t.Helper()
	if len(s.wrote) < 2 || int(binary.BigEndian.Uint16(s.wrote)) != len(s.wrote)-2 {
		t.Fatalf("over TCP came %x", s.wrote)
	}
	a := answerWith(parseSent(t.T, s.wrote[2:]), 0, records...)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)
}

// DNS-6, DNS-7, R-23: truncated, so by TCP.
func TestDNS6_DNS7_R23_TCP(t0 *testing.T) {
	t := newTCPTest(t0)
	t.truncate("www.example")
	s := t.streams[0]
	t.r.Ready(t.now)
	if len(s.wrote) != 0 || t.to[0] != server1 {
		t.Fatalf("wrote %x before the connection was there, to %v", s.wrote, t.to[0])
	}
	s.connected = true
	t.r.Ready(t.now)
	if s.writes != 1 {
		t.Errorf("length and message in %d writes, want 1 (RFC 7766, 8)", s.writes)
	}
	s.in = t.framed(s, rr{"www.example", "198.51.100.1", 60})
	t.r.Ready(t.now)
	t.wantResult("answered", addr1)
	if !s.closed {
		t.Error("the connection is left open")
	}
	if !t.r.Deadline().IsZero() {
		t.Error("the resolver is not at rest")
	}
}

// DNS-7: all is joined, however small the pieces.
func TestDNS7_SmallPieces(t0 *testing.T) {
	t := newTCPTest(t0)
	t.truncate("www.example")
	s := t.streams[0]
	s.connected, s.window, s.most = true, 1, 1
	t.r.Ready(t.now)
	a := t.framed(s, rr{"www.example", "198.51.100.1", 60})
	for i, c := range a {
		t.wantPending("not whole")
		if s.closed {
			t.Fatalf("closed after %d bytes", i)
		}
		s.in = append(s.in, c)
		t.r.Ready(t.now)
	}
	t.wantResult("answered", addr1)
}

// the second message on a connection is nobody's.
func TestR24_TwoMessages(t0 *testing.T) {
	t := newTCPTest(t0)
	t.truncate("www.example")
	s := t.streams[0]
	s.connected = true
	t.r.Ready(t.now)
	s.in = append(t.framed(s, rr{"www.example", "198.51.100.1", 60}), t.framed(s, rr{"www.example", "203.0.113.66", 60})...)
	t.r.Ready(t.now)
	t.wantResult("the first counts", addr1)
	t.wantPending("once")
}

// what goes wrong over TCP leads to the next server, and to an error when there is none.
func TestR23_R24_TCPFails(t0 *testing.T) {
	for name, f := range map[string]func(t *tcpTest, s *fakeStream){
		"R-23 refused":      func(t *tcpTest, s *fakeStream) { s.connected, s.err = true, errors.New("connection refused") },
		"R-23 closes early": func(t *tcpTest, s *fakeStream) { s.connected, s.in, s.err = true, []byte{0}, io.EOF },
		"R-24 length 0":     func(t *tcpTest, s *fakeStream) { s.connected, s.in = true, []byte{0, 0} },
		"R-24 length 1":     func(t *tcpTest, s *fakeStream) { s.connected, s.in = true, []byte{0, 1, 9} },
		"R-24 65535 with 10": func(t *tcpTest, s *fakeStream) {
			s.connected, s.in, s.err = true, append([]byte{0xff, 0xff}, make([]byte, 10)...), io.EOF
		},
		"another identifier": func(t *tcpTest, s *fakeStream) {
			s.connected = true
			t.r.Ready(t.now)
			s.in = t.framed(s, rr{"www.example", "203.0.113.66", 60})
			s.in[2] ^= 1
		},
		"TC over TCP": func(t *tcpTest, s *fakeStream) {
			s.connected = true
			t.r.Ready(t.now)
			s.in = t.framed(s, rr{"www.example", "203.0.113.66", 60})
			s.in[4] |= 2
		},
	} {
		t := newTCPTest(t0, server1, server2)
		t.truncate("www.example")
		f(t, t.streams[0])
		t.r.Ready(t.now)
		t.wantPending(name)
		if !t.streams[0].closed {
			t.Errorf("%s: the connection is left open", name)
		}
		q := t.want(name, "www.example")
		if q.to != server2 {
			t.Errorf("%s: asked %v next", name, q.to)
		}
		b := answerWith(q, 0)
		b[2] |= 2
		t.reply(q, b)
		f(t, t.streams[1])
		t.r.Ready(t.now)
		if x, ok := t.r.NextEvent(); !ok || !errors.Is(x.Err, ErrTruncated) && !errors.Is(x.Err, ErrBadAnswer) {
			t.Errorf("%s: %+v, %v", name, x, ok)
		}
	}
}

// a server that stalls, or gives a byte a second, ends by time.
func TestR23_R24_TCPStalls(t0 *testing.T) {
	t := newTCPTest(t0)
	t.truncate("www.example")
	end := t.now.Add(time.Minute)
	for len(t.r.queries) > 0 && t.now.Before(end) {
		t.now = t.now.Add(time.Second)
		for _, s := range t.streams {
			s.connected = true
			s.in = append(s.in, 0x10)
		}
		t.r.Advance(t.now)
		for b, port, to, ok := t.r.Output(t.now, nil); ok; b, port, to, ok = t.r.Output(t.now, nil) {
			q := parseSent(t.T, b)
			a := answerWith(q, 0)
			a[2] |= 2
			t.r.Input(t.now, to, port, a)
		}
	}
	if d := t.now.Sub(t0date); d != 15*time.Second {
		t.Errorf("given up after %v", d)
	}
	t.wantError("given up", ErrTruncated)
	for i, s := range t.streams {
		if !s.closed {
			t.Errorf("connection %d is left open", i)
		}
	}
}

func TestNoTCP(t0 *testing.T) {
	t := newResolverTest(t0, ResolverConfig{})
	t.resolve("www.example")
	q := t.want("asked", "www.example")
	b := answerWith(q, 0)
	b[2] |= 2
	t.reply(q, b)
	t.wantError("no TCP", ErrTruncated)

	x := newTCPTest(t0)
	x.refuse = true
	x.resolve("www.example")
	q = x.want("asked", "www.example")
	b = answerWith(q, 0)
	b[2] |= 2
	x.reply(q, b)
	x.wantError("no socket", ErrTruncated)
}

// many forged answers make the resolver turn to TCP.
func TestR04_ManyForgedAnswersLeadToTCP(t0 *testing.T) {
	t := newTCPTest(t0)
	t.resolve("www.example")
	q := t.want("asked", "www.example")
	forged := answerWith(q, 0, rr{"www.example", "203.0.113.66", 60})
	for i := range 1000 {
		binary.BigEndian.PutUint16(forged, q.id+1+uint16(i))
		t.reply(q, forged)
	}
	if len(t.streams) != 1 {
		t.Fatalf("%d connections, want 1", len(t.streams))
	}
	s := t.streams[0]
	s.connected = true
	t.r.Ready(t.now)
	s.in = t.framed(s, rr{"www.example", "198.51.100.1", 60})
	t.r.Ready(t.now)
	t.wantResult("answered", addr1)
}

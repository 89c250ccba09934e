package user

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// ask sends a query over UDP and reads the answer.
func ask(t *testing.T, c net.Conn, query []byte) dnsmessage.Message {
	t.Helper()
	if _, err := c.Write(query); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 2000)
	n, err := c.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(p[:n]); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDNSOfTheGateway(t *testing.T) {
	b := newBench(t, Config{Resolver: fakeResolver{}, DNSTimeout: 100 * time.Millisecond})
	c := b.dialUDP("10.77.0.1:53")
	defer c.Close()
	for _, q := range []struct {
		name  string
		typ   dnsmessage.Type
		rcode dnsmessage.RCode
		want  string
	}{
		{"host.internal.", dnsmessage.TypeA, 0, "A{10,77,0,2}"},
		{"Host.INTERNAL.", dnsmessage.TypeA, 0, "A{10,77,0,2}"},
		{"host.internal.", dnsmessage.TypeAAAA, 0, ""},
		{"gateway.internal.", dnsmessage.TypeA, 0, "A{10,77,0,1}"},
		{"2.0.77.10.in-addr.arpa.", dnsmessage.TypePTR, 0, "PTR host.internal."},
		{"1.0.77.10.in-addr.arpa.", dnsmessage.TypePTR, 0, "PTR gateway.internal."},
		{"9.0.77.10.in-addr.arpa.", dnsmessage.TypePTR, dnsmessage.RCodeNameError, ""},
		{"www.example.com.", dnsmessage.TypeA, 0, "A{192,0,2,7} A{192,0,2,8}"},
		{"nobody.example.com.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"slow.example.com.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, ""},
	} {
		m := ask(t, c, newQuery(t, q.name, q.typ, 0))
		if got := printAnswers(m); m.RCode != q.rcode || got != q.want {
			t.Errorf("%s %v: %v %q, want %v %q", q.name, q.typ, m.RCode, got, q.rcode, q.want)
		}
	}
	if s := b.u.Stats(); s.DNS.Local != 7 || s.DNS.Answered != 2 || s.DNS.Failed != 1 || s.DNS.Queries != 10 {
		t.Errorf("%+v", s.DNS)
	}
}

func TestDNSOverTCPAfterTruncation(t *testing.T) {
	b := newBench(t, Config{Resolver: fakeResolver{}})
	query := newQuery(t, "many.example.com.", dnsmessage.TypeA, 0)
	u := b.dialUDP("10.77.0.1:53")
	defer u.Close()
	if m := ask(t, u, query); !m.Truncated || len(m.Answers) != 0 {
		t.Fatalf("over UDP: truncated %v, %d answers", m.Truncated, len(m.Answers))
	}
	c := b.dial("10.77.0.1:53")
	defer c.Close()
	framed := frame16(query)
	for i, part := range [][]byte{append(framed, framed[:3]...), framed[3:]} { // two queries, cut where it hurts
		c.Write(part)
		if i == 1 {
			c.(interface{ CloseWrite() error }).CloseWrite()
		}
		if m := readStream(t, c); m.Truncated || len(m.Answers) != 64 {
			t.Fatalf("over TCP: truncated %v, %d answers", m.Truncated, len(m.Answers))
		}
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("after our half-close: %q, %v", rest, err)
	}
}

// frame16 puts a message's length before it.
func frame16(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func readStream(t *testing.T, c net.Conn) (m dnsmessage.Message) {
	t.Helper()
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, p); err != nil {
		t.Fatal(err)
	}
	if err := m.Unpack(p); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDNSOverTCPWhenTheHostIsBusy(t *testing.T) {
	b := newBench(t, Config{Resolver: fakeResolver{}, MaxLookups: 1, DNSTimeout: time.Minute})
	b.input(b.datagramFrom(1, "10.77.0.1:53", string(newQuery(t, "slow.example.com.", dnsmessage.TypeA, 0))))
	c := b.dial("10.77.0.1:53")
	defer c.Close()
	c.Write(frame16(newQuery(t, "www.example.com.", dnsmessage.TypeA, 0)))
	if m := readStream(t, c); m.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("no look-up is left: %v", m.RCode)
	}
	if s := b.u.Stats(); s.Refused.Of(ReasonTooMany) != 1 || s.DNS.Pending != 1 {
		t.Errorf("%+v %v", s.DNS, s.Refused)
	}
	c.Write(frame16(newQuery(t, "host.internal.", dnsmessage.TypeA, 0)))
	if m := readStream(t, c); printAnswers(m) != "A{10,77,0,2}" {
		t.Errorf("the stream's next question: %v", printAnswers(m))
	}
	c.Write(frame16([]byte("no DNS")))
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("after rubbish: %q, %v", rest, err)
	}
}

func TestCloseWhileDevicesWaitForNames(t *testing.T) {
	b := newBench(t, Config{Resolver: fakeResolver{}, DNSTimeout: time.Minute})
	slow := newQuery(t, "slow.example.com.", dnsmessage.TypeA, 0)
	b.input(b.datagramFrom(1, "10.77.0.1:53", string(slow)))
	c := b.dial("10.77.0.1:53")
	defer c.Close()
	c.Write(frame16(slow))
	eventually(t, "both are asked", func() bool { return b.u.Stats().DNS.Pending == 2 })
	b.u.Close() // and the bench looks for goroutines
	if s := b.u.Stats(); s.DNS.Answered+s.DNS.Failed != 0 {
		t.Errorf("%+v", s.DNS)
	}
}

func TestDNSAnswerOpensNothing(t *testing.T) {
	d := &stub{}
	b := newBench(t, Config{Resolver: fakeResolver{}, Dial: d.dial})
	c := b.dialUDP("10.77.0.1:53")
	defer c.Close()
	if got := printAnswers(ask(t, c, newQuery(t, "evil.example.com.", dnsmessage.TypeA, 0))); got != "A{169,254,169,254}" {
		t.Fatalf("the resolver's answer is %q", got)
	}
	if _, err := b.net.Dial(t.Context(), "tcp", "169.254.169.254:80"); err == nil {
		t.Error("connected")
	}
	if n := b.u.Stats().Refused.Of(ReasonMetadata); n != 1 || d.dials.Load() != 0 {
		t.Errorf("%d refused, %d dialled", n, d.dials.Load())
	}
}

func TestDNSLookupsAreBounded(t *testing.T) {
	b := newBench(t, Config{Resolver: fakeResolver{}, MaxLookups: 2, DNSTimeout: time.Minute})
	query := newQuery(t, "slow.example.com.", dnsmessage.TypeA, 0)
	for _, port := range []uint16{1, 2, 2, 2, 3, 4} {
		b.input(b.datagramFrom(port, "10.77.0.1:53", string(query)))
	}
	s := b.u.Stats()
	if s.DNS.Repeated != 2 || s.Refused.Of(ReasonTooMany) != 2 || s.DNS.Queries != 6 {
		t.Errorf("%+v %v", s.DNS, s.Refused)
	}
	b.input(b.datagramFrom(9, "10.77.0.1:53", "nonsense"))
	if n := b.u.Stats().DNS.Malformed; n != 1 {
		t.Errorf("%d malformed", n)
	}
}

func TestDNSWithTheHostsResolver(t *testing.T) {
	b := newBench(t, Config{})
	c := b.dialUDP("10.77.0.1:53")
	defer c.Close()
	// localhost is in every hosts file, so no server is asked.
	if m := ask(t, c, newQuery(t, "localhost.", dnsmessage.TypeA, 0)); m.RCode != 0 || printAnswers(m) != "A{127,0,0,1}" {
		t.Errorf("%v %s", m.RCode, printAnswers(m))
	}
}

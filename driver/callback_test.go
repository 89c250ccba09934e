package driver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

func (b *bench) pong(m hif.Ping, err hif.PingError) {
	b.t.Helper()
	b.tell(hif.OpPing, hif.PingReply{IP: m.IP, Private: m.Private, RTT: 12, Error: err})
}

func TestICM01_ICM03_Verdicts(t *testing.T) {
	b := newBench(t)
	b.online()
	b.take()
	var got []driver.EchoReply
	for _, e := range []hif.PingError{hif.PingOK, hif.PingTimeout, hif.PingUnreachable, 77} {
		check(t, b.c.Echo(addr("10.0.0.1"), 3, func(r driver.EchoReply) { got = append(got, r) }))
		m := want(b.chip, hif.OpPing, hif.ParsePing)
		if m.IP != [4]byte{10, 0, 0, 1} || m.Count != 1 || m.TTL != 3 { // ICM-05
			t.Error(m)
		}
		b.pong(m, e)
		b.pong(m, e) // ICM-09: once only
	}
	a := addr("10.0.0.1")
	want := []driver.EchoReply{
		{Addr: a, RTT: 12 * time.Millisecond}, {Addr: a, Err: driver.ErrEchoTimeout}, {Addr: a, Err: driver.ErrUnreachable},
		{Addr: a, Err: driver.ErrUnreachable},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestICM04_NoAddress(t *testing.T) {
	b := newBench(t)
	for _, a := range []driver.Addr{{}, addr("0.0.0.0"), addr("::1")} {
		wantErr(t, a.String(), b.c.Echo(a, 0, nil), driver.ErrInvalid)
	}
	if len(b.take()) != 0 {
		t.Error("sent")
	}
}

func TestICM06_NilCallback(t *testing.T) {
	b := newBench(t)
	check(t, b.c.Echo(addr("10.0.0.1"), 0, nil))
	b.pong(want(b.chip, hif.OpPing, hif.ParsePing), hif.PingOK)
}

func TestICM07_ICM08_OnlyTheNewestHasAVerdict(t *testing.T) {
	b := newBench(t)
	var got []int
	check(t, b.c.Echo(addr("10.0.0.1"), 0, func(driver.EchoReply) { got = append(got, 1) }))
	first := want(b.chip, hif.OpPing, hif.ParsePing)
	check(t, b.c.Echo(addr("10.0.0.2"), 0, func(driver.EchoReply) { got = append(got, 2) }))
	second := want(b.chip, hif.OpPing, hif.ParsePing)
	b.pong(first, hif.PingOK)
	b.pong(hif.Ping{IP: second.IP, Private: second.Private + 9}, hif.PingOK)
	b.pong(second, hif.PingOK)
	if !slices.Equal(got, []int{2}) || first.Private == second.Private {
		t.Error(got, first, second)
	}
	// A request that is refused gives its slot back, and its tag is not used again.
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", b.c.Echo(addr("10.0.0.3"), 0, func(driver.EchoReply) { got = append(got, 3) }), driver.ErrBus)
	b.refuse = nil
	b.pong(hif.Ping{Private: second.Private + 1}, hif.PingOK)
	if len(got) != 1 {
		t.Error(got)
	}
}

func TestICM12_EchoNeedsNoSocket(t *testing.T) {
	b := newBench(t)
	fill(t, b.c)
	check(t, b.c.Echo(addr("10.0.0.1"), 0, nil))
}

func (b *bench) names() *[]string {
	var got []string
	check(b.t, b.c.OnResolve(func(n string, a driver.Addr) { got = append(got, fmt.Sprint(n, " ", a)) }))
	return &got
}

func TestCBK02_CBK03_CBK10_Names(t *testing.T) {
	b := newBench(t)
	got := b.names()
	for _, n := range []string{"One.Example", "two.example", "two.example"} {
		check(t, b.c.Resolve(n))
		if m := want(b.chip, hif.OpDNSResolve, hif.ParseDNSResolve); m.Name != n {
			t.Error(m)
		}
	}
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "two.example", IP: [4]byte{10, 0, 0, 2}})
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "nobody.asked", IP: [4]byte{10, 0, 0, 4}})
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "One.Example", IP: [4]byte{10, 0, 0, 1}})
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "two.example"})
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "two.example"})
	wantLines(t, "answers", got, "two.example 10.0.0.2", "One.Example 10.0.0.1", "two.example invalid IP")
}

func TestCBK05_LengthOfNames(t *testing.T) {
	b := newBench(t)
	for _, n := range []string{"", strings.Repeat("x", 64), strings.Repeat("x", 256), "a\x00b"} {
		wantErr(t, fmt.Sprintf("%d characters", len(n)), b.c.Resolve(n), driver.ErrSockArg)
	}
	if len(b.take()) != 0 {
		t.Error("sent")
	}
	long := strings.Repeat("x", 63)
	got := b.names()
	check(t, b.c.Resolve(long))
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: long, IP: [4]byte{10, 0, 0, 2}})
	wantLines(t, "63 characters", got, long+" 10.0.0.2")
}

func TestFourNamesAtATime(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		check(t, b.c.Resolve(fmt.Sprint("host", i)))
	}
	wantErr(t, "fifth", b.c.Resolve("host5"), driver.ErrBufferFull)
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "host2"})
	check(t, b.c.Resolve("host5"))
}

func TestCBK01_CBK07_CBK08_Registration(t *testing.T) {
	b := newBench(t)
	first := b.events()
	s, session := b.connected()
	*first = nil
	second := b.events()
	for range 3 {
		check(t, s.Send([]byte("x")))
	}
	reply := hif.SendReply{Sock: int8(s.ID()), Status: 1, Session: session}
	b.tell(hif.OpSend, reply)
	check(t, b.c.OnSocket(nil))
	b.tell(hif.OpSend, reply)
	third := b.events()
	b.tell(hif.OpSend, reply)
	wantLines(t, "first", first)
	wantLines(t, "second", second, "0 SEND 1")
	wantLines(t, "third", third, "0 SEND 1")
}

func TestCBK09_RegistrationOutlivesTheClient(t *testing.T) {
	b := newBench(t)
	check(t, b.c.Close())
	got, names := b.events(), b.names()
	var err error
	b.c, err = b.d.Open()
	check(t, err)
	b.connected()
	check(t, b.c.Resolve("a.example"))
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "a.example"})
	wantLines(t, "socket", got, "0 CONNECT")
	wantLines(t, "resolver", names, "a.example invalid IP")
}

func TestTasksInsideACallbackPumpsButDispatchesNothing(t *testing.T) {
	b := newBench(t)
	var got []string
	depth := 0
	check(t, b.c.OnResolve(func(n string, a driver.Addr) {
		if depth++; depth > 1 {
			t.Error("two callbacks at a time")
		}
		got = append(got, n)
		if n == "a" {
			b.post(hif.OpStateChanged, connected)
			b.post(hif.OpDHCPConf, lease("10.0.0.50"))
			b.tasks()
			if !b.c.LinkUp() {
				t.Error("Tasks inside a callback does not pump")
			}
			if len(got) != 1 {
				t.Error("Tasks inside a callback dispatches:", got)
			}
		}
		depth--
	}))
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, func(driver.ConnEvent) { got = append(got, "conn") }))
	check(t, b.c.Resolve("a"))
	check(t, b.c.Resolve("b"))
	b.post(hif.OpDNSResolve, hif.DNSReply{Name: "a"})
	b.post(hif.OpDNSResolve, hif.DNSReply{Name: "b"})
	b.tasks()
	if !slices.Equal(got, []string{"a", "b", "conn"}) {
		t.Error(got)
	}
}

func TestCallbacksOfAClosedClientAreDropped(t *testing.T) {
	b := newBench(t)
	called := false
	check(t, b.c.Connect(driver.BSS{SSID: "net"}, driver.OpenAuth, func(driver.ConnEvent) { called = true }))
	check(t, b.c.OnResolve(func(string, driver.Addr) { b.c.Close() }))
	check(t, b.c.Resolve("a"))
	b.post(hif.OpDNSResolve, hif.DNSReply{Name: "a"})
	b.post(hif.OpStateChanged, connected)
	b.onReq = func(r request) {
		if r.op == hif.OpDisconnect {
			b.post(hif.OpStateChanged, disconnected)
		}
	}
	b.tasks()
	if called {
		t.Error("the callback of a closed client ran")
	}
}

func TestPanicInACallbackLeavesTheDriverWhole(t *testing.T) {
	b := newBench(t)
	check(t, b.c.OnResolve(func(n string, _ driver.Addr) {
		if n == "bad" {
			panic("user")
		}
	}))
	check(t, b.c.Resolve("bad"))
	b.post(hif.OpDNSResolve, hif.DNSReply{Name: "bad"})
	func() {
		defer func() { recover() }()
		b.d.Tasks()
	}()
	b.tasks()
	if b.d.Status() != driver.StateReady {
		t.Error(b.d.Status())
	}
}

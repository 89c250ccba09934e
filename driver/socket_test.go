package driver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// events records messages of OnSocket as lines.
func (b *bench) events() *[]string {
	b.t.Helper()
	var lines []string
	check(b.t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) {
		lines = append(lines, line(s, m))
	}))
	return &lines
}

func line(s driver.Socket, m driver.Msg) string {
	l := fmt.Sprintf("%d %v", s.ID(), m.Kind())
	var err error
	switch m := m.(type) {
	case driver.BindMsg:
		err = m.Err
	case driver.ListenMsg:
		err = m.Err
	case driver.ConnectMsg:
		err = m.Err
	case driver.AcceptMsg:
		err = m.Err
		if err == nil {
			l += fmt.Sprintf(" %d from %v", m.Socket.ID(), m.Peer)
		}
	case driver.SendMsg:
		err = m.Err
		l += fmt.Sprintf(" %d", m.N)
	case driver.SendToMsg:
		err = m.Err
		l += fmt.Sprintf(" %d", m.N)
	case driver.RecvMsg:
		err = m.Err
		l += fmt.Sprintf(" %q", m.Data)
	case driver.RecvFromMsg:
		err = m.Err
		l += fmt.Sprintf(" %q from %v", m.Data, m.Peer)
	}
	var se driver.SockErr
	if errors.As(err, &se) {
		l += fmt.Sprintf(" (%d)", int(se))
	} else if err != nil {
		l += " " + err.Error()
	}
	return l
}

func wantLines(t *testing.T, what string, got *[]string, want ...string) {
	t.Helper()
	if d := cmp.Diff(append([]string{}, want...), append([]string{}, *got...)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
	*got = nil
}

func (b *bench) socket(typ driver.SockType) driver.Socket {
	b.t.Helper()
	s, err := b.c.Socket(typ, driver.Plain)
	check(b.t, err)
	return s
}

// connected is a TCP socket with a connection, and its session.
func (b *bench) connected() (driver.Socket, uint16) {
	b.t.Helper()
	s := b.socket(driver.Stream)
	b.take()
	check(b.t, s.Connect(addrPort("10.0.0.9:80")))
	m := want(b.chip, hif.OpSockConnect, hif.ParseSockConnect)
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: hif.TCPAppDataOffset})
	return s, m.Session
}

func (b *bench) recvReply(op hif.Op, sock int8, session uint16, data string) {
	b.t.Helper()
	b.tell(op, hif.RecvReply{
		Remote: addrPort("10.0.0.9:80"), Status: hif.Status(len(data)), Sock: sock, Session: session, Data: []byte(data),
	})
}

func TestSOC01_SOC05_Allocation(t *testing.T) {
	b := newBench(t)
	seen := map[int]bool{}
	for range 7 {
		s := b.socket(driver.Stream)
		if s.ID() < 0 || s.ID() > 6 || seen[s.ID()] {
			t.Error("SOC-01: id", s.ID())
		}
		seen[s.ID()] = true
	}
	_, err := b.c.Socket(driver.Stream, driver.Plain)
	wantErr(t, "SOC-02", err, driver.ErrMaxTCP)
	wantErr(t, "SOC-02", err, syscall.EMFILE)
	for range 4 { // SOC-05
		s := b.socket(driver.Datagram)
		if s.ID() < 7 || s.ID() > 10 || seen[s.ID()] {
			t.Error("SOC-03: id", s.ID())
		}
		seen[s.ID()] = true
	}
	_, err = b.c.Socket(driver.Datagram, driver.Plain)
	wantErr(t, "SOC-04", err, driver.ErrMaxUDP)
}

func TestSOC06_ClosingOneFreesOne(t *testing.T) {
	b := newBench(t)
	all := fill(t, b.c)
	check(t, all[3].Close())
	s := b.socket(driver.Stream)
	if s.ID() != all[3].ID() || s == all[3] {
		t.Error(s, all[3])
	}
	_, err := b.c.Socket(driver.Stream, driver.Plain)
	wantErr(t, "second", err, driver.ErrMaxTCP)
}

func TestSOC07_UnknownTypes(t *testing.T) {
	b := newBench(t)
	for _, typ := range []driver.SockType{0, 3, 255} {
		_, err := b.c.Socket(typ, driver.Plain)
		wantErr(t, fmt.Sprint(typ), err, driver.ErrSockArg)
	}
	_, err := b.c.Socket(driver.Stream, 3)
	wantErr(t, "configuration 3", err, driver.ErrSockArg)
	if _, err := b.c.Socket(driver.Datagram, driver.TLS); err != nil { // ignored there
		t.Error(err)
	}
}

func socketCalls(s driver.Socket) map[string]error {
	m := map[string]error{
		"Bind": s.Bind(addrPort("0.0.0.0:80")), "Listen": s.Listen(0), "Accept": s.Accept(),
		"Connect": s.Connect(addrPort("10.0.0.9:80")), "Send": s.Send(nil), "SendTo": s.SendTo(nil, addrPort("10.0.0.9:80")),
		"Recv": s.Recv(make([]byte, 1), 0), "RecvFrom": s.RecvFrom(make([]byte, 1), 0),
		"SetOpt": s.SetOpt(driver.OptKeepAlive, 1), "Close": s.Close(),
	}
	_, m["Opt"] = s.Opt(driver.OptKeepAlive)
	return m
}

func TestSOC08_NoSocket(t *testing.T) {
	b := newBench(t)
	b.take()
	for name, err := range socketCalls(driver.Socket{}) {
		wantErr(t, name, err, driver.ErrSockArg)
	}
	if len(b.take()) != 0 {
		t.Error("the device was told")
	}
	if (driver.Socket{}).ID() != -1 || (driver.Socket{}).Valid() {
		t.Error("the zero Socket is one")
	}
}

func TestSOC09_ClosedSocket(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, _ := b.connected()
	*got = nil
	check(t, s.Close())
	b.take()
	for name, err := range socketCalls(s) {
		wantErr(t, name, err, driver.ErrClosed)
	}
	b.tasks()
	if len(b.take()) != 0 || len(*got) != 0 {
		t.Error("a closed socket does something:", *got)
	}
}

func TestSOC10_NoEventOfAFormerOwner(t *testing.T) {
	b := newBench(t)
	got := b.events()
	all := fill(t, b.c)
	s := all[2]
	check(t, s.Connect(addrPort("10.0.0.9:80")))
	check(t, s.Recv(make([]byte, 10), 0))
	check(t, s.Send([]byte("x")))
	m, err := hif.ParseSockConnect(b.take()[0].payload)
	check(t, err)
	// Answers that the device has posted or still posts when the id has a new
	// owner, with the same requests outstanding.
	b.post(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: hif.TCPAppDataOffset})
	check(t, s.Close())
	n := b.socket(driver.Stream)
	if n.ID() != s.ID() {
		t.Fatal("another id was free")
	}
	check(t, n.Connect(addrPort("10.0.0.8:80")))
	check(t, n.Recv(make([]byte, 10), 0))
	check(t, n.Send([]byte("y")))
	b.tasks()
	b.recvReply(hif.OpRecv, m.Sock, m.Session, "old")
	b.tell(hif.OpSend, hif.SendReply{Sock: m.Sock, Status: 1, Session: m.Session})
	b.tell(hif.OpBind, hif.BindReply{Sock: m.Sock, Session: m.Session})
	wantLines(t, "old answers", got)
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: hif.TCPAppDataOffset})
	b.recvReply(hif.OpRecv, m.Sock, m.Session+uint16(len(all))-2, "new")
	wantLines(t, "new answers", got, "2 CONNECT", `2 RECV "new"`)
	if st := b.d.Stats(); st.Stale != 4 {
		t.Errorf("%d stale answers counted", st.Stale)
	}
}

func TestSOC11_PlainSocketTellsNobody(t *testing.T) {
	b := newBench(t)
	s := b.socket(driver.Stream)
	if len(b.take()) != 0 {
		t.Error("socket sends something")
	}
	check(t, s.Close())
	if m := want(b.chip, hif.OpClose, hif.ParseClose); int(m.Sock) != s.ID() {
		t.Error(m)
	}
}

func TestSOC12_OptionNeverSet(t *testing.T) {
	b := newBench(t)
	s := b.socket(driver.Stream)
	_, err := s.Opt(driver.OptKeepAlive)
	wantErr(t, "never set", err, driver.ErrSockArg)
	check(t, s.SetOpt(driver.OptKeepIdle, 4))
	m := want(b.chip, hif.OpSetSocketOpt, hif.ParseSocketOption)
	if m.Option != hif.OptKeepAliveIdle || m.Value != 4 {
		t.Error(m)
	}
	if v, err := s.Opt(driver.OptKeepIdle); v != 4 || err != nil {
		t.Error(v, err)
	}
	for _, o := range []driver.Opt{3, 8, 255} {
		wantErr(t, o.String(), s.SetOpt(o, 1), driver.ErrSockArg)
	}
	check(t, s.Connect(addrPort("10.0.0.9:80")))
	_, err = s.Opt(driver.OptKeepIdle) // lost by connect
	wantErr(t, "after connect", err, driver.ErrSockArg)
}

func TestSOC13_AcceptOnlyChecks(t *testing.T) {
	b := newBench(t)
	check(t, b.socket(driver.Stream).Accept())
	if len(b.take()) != 0 {
		t.Error("accept sends something")
	}
}

func TestBindAndListenMessages(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s := b.socket(driver.Stream)
	for _, st := range []hif.Status{0, -1, -2, -9} {
		check(t, s.Bind(addrPort("0.0.0.0:80")))
		m := want(b.chip, hif.OpBind, hif.ParseBind)
		if m.Addr != addrPort("0.0.0.0:80") || int(m.Sock) != s.ID() {
			t.Error(m)
		}
		b.tell(hif.OpBind, hif.BindReply{Sock: m.Sock, Status: st, Session: m.Session})
	}
	wantLines(t, "BND-01, BND-02, BND-03, BND-07", got, "0 BIND", "0 BIND (-1)", "0 BIND (-2)", "0 BIND (-9)")
	b.tell(hif.OpBind, hif.BindReply{Sock: 0, Session: 1}) // nobody asked
	wantLines(t, "unasked", got)
	check(t, s.Listen(3))
	l := want(b.chip, hif.OpListen, hif.ParseListen)
	b.tell(hif.OpListen, hif.BindReply{Sock: l.Sock, Session: l.Session})
	check(t, s.Listen(0))
	b.tell(hif.OpListen, hif.BindReply{Sock: l.Sock, Session: l.Session, Status: -9})
	wantLines(t, "LSN-01, LSN-02", got, "0 LISTEN", "0 LISTEN (-9)")
	wantErr(t, "IPv6", s.Bind(addrPort("[::1]:80")), driver.ErrSockArg)
	wantErr(t, "backlog", s.Listen(256), driver.ErrSockArg)
	wantErr(t, "backlog", s.Listen(-1), driver.ErrSockArg)
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "no buffer", s.Bind(addrPort("0.0.0.0:80")), driver.ErrSockInvalid)
	wantErr(t, "no buffer", s.Listen(0), driver.ErrSockInvalid)
	wantErr(t, "no buffer", s.Connect(addrPort("10.0.0.9:80")), driver.ErrSockInvalid)
}

func (b *bench) listener() driver.Socket {
	b.t.Helper()
	s := b.socket(driver.Stream)
	check(b.t, s.Bind(addrPort("0.0.0.0:80")))
	m := want(b.chip, hif.OpBind, hif.ParseBind)
	b.tell(hif.OpBind, hif.BindReply{Sock: m.Sock, Session: m.Session})
	check(b.t, s.Listen(0))
	b.tell(hif.OpListen, hif.BindReply{Sock: m.Sock, Session: m.Session})
	b.take()
	return s
}

func TestLSN03_AcceptedSocketHasItsOwnSession(t *testing.T) {
	b := newBench(t)
	got := b.events()
	l := b.listener()
	*got = nil
	var child driver.Socket
	check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) {
		*got = append(*got, line(s, m))
		if m, ok := m.(driver.AcceptMsg); ok {
			child = m.Socket
		}
	}))
	b.tell(hif.OpAccept, hif.Accept{Peer: addrPort("10.0.0.7:40000"), Listener: int8(l.ID()), Sock: 6, AppDataOffset: 88})
	b.tell(hif.OpAccept, hif.Accept{Peer: addrPort("10.0.0.7:40001"), Listener: int8(l.ID()), Sock: 5, AppDataOffset: 88})
	wantLines(t, "LSN-03, LSN-04", got, "0 ACCEPT 6 from 10.0.0.7:40000", "0 ACCEPT 5 from 10.0.0.7:40001")
	if len(b.take()) != 0 {
		t.Error("accepting sends something") // LSN-08: no receive request of its own
	}
	check(t, child.Recv(make([]byte, 9), 0))
	m := want(b.chip, hif.OpRecv, hif.ParseRecv)
	b.recvReply(hif.OpRecv, m.Sock, m.Session, "hello")
	wantLines(t, "data", got, `5 RECV "hello"`)
}

func TestAcceptWithoutAPlace(t *testing.T) {
	b := newBench(t)
	got := b.events()
	l := b.listener()
	s, _ := b.connected() // id 1
	*got = nil
	b.take()
	// The device gives the child an id that is ours: the child goes, with a
	// session that is not the owner's.
	b.tell(hif.OpAccept, hif.Accept{Peer: addrPort("10.0.0.7:40000"), Listener: int8(l.ID()), Sock: int8(s.ID()), AppDataOffset: 88})
	m := want(b.chip, hif.OpClose, hif.ParseClose)
	if int(m.Sock) != s.ID() || m.Session <= 2 {
		t.Error(m)
	}
	b.tell(hif.OpAccept, hif.Accept{Listener: int8(l.ID()), Sock: -3})
	wantLines(t, "clash, and a failure", got, "0 ACCEPT (-3)", "0 ACCEPT (-3)")
	b.tell(hif.OpAccept, hif.Accept{Listener: int8(l.ID()), Sock: 9})
	b.tell(hif.OpAccept, hif.Accept{Listener: 99, Sock: 3})
	b.tell(hif.OpAccept, hif.Accept{Listener: int8(s.ID()), Sock: 3}) // not a listener
	wantLines(t, "impossible ids", got)
	b.take()
	// A child of a listener that was closed is closed silently.
	check(t, l.Close())
	b.take()
	b.tell(hif.OpAccept, hif.Accept{Peer: addrPort("10.0.0.7:40000"), Listener: int8(l.ID()), Sock: 4, AppDataOffset: 88})
	if m := want(b.chip, hif.OpClose, hif.ParseClose); m.Sock != 4 {
		t.Error(m)
	}
	wantLines(t, "closed listener", got)
}

func TestUnwantedChildrenAreClosed(t *testing.T) {
	b := newBench(t)
	l := b.listener() // OnSocket is nil
	b.tell(hif.OpAccept, hif.Accept{Peer: addrPort("10.0.0.7:40000"), Listener: int8(l.ID()), Sock: 6, AppDataOffset: 88})
	if m := want(b.chip, hif.OpClose, hif.ParseClose); m.Sock != 6 {
		t.Error(m)
	}
	fill := 0
	for range 7 {
		if _, err := b.c.Socket(driver.Stream, driver.Plain); err == nil {
			fill++
		}
	}
	if fill != 6 {
		t.Errorf("%d ids are free, want 6", fill)
	}
}

func TestConnectMessages(t *testing.T) {
	for st, want := range map[hif.Status]error{
		0: nil, -1: driver.ErrSockAddress, -9: driver.ErrSockInvalid, -12: driver.ErrConnAborted, -13: driver.ErrTimedOut,
	} {
		b := newBench(t)
		var err error = io.ErrNoProgress
		check(t, b.c.OnSocket(func(_ driver.Socket, m driver.Msg) { err = m.(driver.ConnectMsg).Err }))
		s := b.socket(driver.Stream)
		check(t, s.Connect(addrPort("10.0.0.9:80")))
		b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: int8(s.ID()), Status: st, AppDataOffset: 88})
		if !errors.Is(err, want) {
			t.Errorf("%v: %v", st, err)
		}
		if st == -12 && (!errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, syscall.ECONNRESET)) {
			t.Error("-12 matches neither refusal nor reset")
		}
		if st == -13 && (!errors.Is(err, os.ErrDeadlineExceeded) || !err.(interface{ Timeout() bool }).Timeout()) {
			t.Error("-13 is no time-out")
		}
		if _, err := b.c.Socket(driver.Stream, driver.Plain); err != nil || s.Accept() != nil { // TCP-06
			t.Error("the id did not stay allocated")
		}
	}
}

func TestTCP07_TCP13_SendOnTheBus(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, session := b.connected()
	*got = nil
	p := bytes.Repeat([]byte{'a'}, 1400)
	check(t, s.Send(p))
	clear(p) // TCP-13
	rs := b.take()
	if len(rs) != 1 || rs[0].op != hif.OpSend || !rs[0].data || len(rs[0].payload) != 1480 {
		t.Fatal(rs)
	}
	m, err := hif.ParseSend(rs[0].payload)
	check(t, err)
	data, err := m.Data(rs[0].payload, hif.TCPDataOffset)
	check(t, err)
	if !bytes.Equal(data, bytes.Repeat([]byte{'a'}, 1400)) || m.Session != session || int(m.Sock) != s.ID() {
		t.Errorf("%+v", m)
	}
	if gap := rs[0].payload[16:80]; !bytes.Equal(gap, make([]byte, 64)) {
		t.Errorf("the gap has % x", gap)
	}
	wantErr(t, "TCP-08: 1401 bytes", s.Send(make([]byte, 1401)), driver.ErrSockArg)
	if len(b.take()) != 0 {
		t.Error("TCP-08: sent all the same")
	}
	check(t, s.Send(nil))
	check(t, s.Send([]byte("xy")))
	for _, n := range []hif.Status{1400, 0, 2, 5} { // the last one nobody asked for
		b.tell(hif.OpSend, hif.SendReply{Sock: m.Sock, Status: n, Session: session})
	}
	wantLines(t, "TCP-11", got, "0 SEND 1400", "0 SEND 0", "0 SEND 2")
}

func TestTCP12_BufferFull(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, session := b.connected()
	*got = nil
	check(t, s.Send([]byte("first")))
	b.refuse = func(r hif.Request) bool { return r.Data }
	if err := s.Send([]byte("second")); err != driver.ErrBufferFull {
		t.Error(err)
	}
	b.refuse = nil
	b.tell(hif.OpSend, hif.SendReply{Sock: int8(s.ID()), Status: 5, Session: session})
	check(t, s.Send([]byte("second")))
	b.tell(hif.OpSend, hif.SendReply{Sock: int8(s.ID()), Status: 6, Session: session})
	wantLines(t, "events", got, "0 SEND 5", "0 SEND 6")
	if st := b.d.Stats(); st.Refused != 1 {
		t.Error(st)
	}
}

func TestGrantIsAwaitedForAboutHalfASecond(t *testing.T) {
	b := newBench(t)
	s, _ := b.connected()
	b.grants = 700
	check(t, s.Send([]byte("slow")))
	b.never = true
	start := b.clock.Now()
	if err := s.Send([]byte("never")); err != driver.ErrBufferFull {
		t.Error(err)
	}
	if d := b.clock.Now().Sub(start); d != 500*time.Millisecond {
		t.Error("gave up after", d)
	}
	b.never = false // a new request cancels the old one
	check(t, s.Send([]byte("again")))
}

func TestRecvRequests(t *testing.T) {
	b := newBench(t)
	s, _ := b.connected()
	u := b.socket(driver.Datagram)
	for _, tc := range []struct {
		call    func(p []byte, d time.Duration) error
		op      hif.Op
		n       int
		timeout time.Duration
		wantN   uint16
		wantMS  uint32
	}{
		{s.Recv, hif.OpRecv, 10, 0, 10, hif.NoTimeout},
		{s.Recv, hif.OpRecv, 5000, -1, 1400, hif.NoTimeout},
		{s.Recv, hif.OpRecv, 1, 500 * time.Millisecond, 1, 500},
		{s.Recv, hif.OpRecv, 1, time.Microsecond, 1, 1},
		{s.Recv, hif.OpRecv, 1, 60 * 24 * time.Hour, 1, hif.NoTimeout},
		{u.RecvFrom, hif.OpRecvFrom, 5000, time.Second, 1472, 1000},
	} {
		check(t, tc.call(make([]byte, tc.n), tc.timeout))
		m := want(b.chip, tc.op, hif.ParseRecv)
		if !m.HasBuffer || m.Buffer != tc.wantN || m.Timeout != tc.wantMS {
			t.Errorf("%v %d: %+v", tc.op, tc.n, m)
		}
		b.tell(tc.op, hif.RecvReply{Sock: m.Sock, Session: m.Session, Status: hif.StatusTimeout})
	}
	wantErr(t, "TCP-18: nil", s.Recv(nil, 0), driver.ErrSockArg)
	wantErr(t, "TCP-18: empty", s.Recv([]byte{}, 0), driver.ErrSockArg)
	wantErr(t, "no hook", s.RecvHook(5, 0), driver.ErrSockArg)
}

func TestRecvMessages(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, session := b.connected()
	*got = nil
	p := make([]byte, 10)
	for _, r := range []hif.RecvReply{
		{Status: 5, Data: []byte("hello")}, {Status: 0}, {Status: -12}, {Status: -13}, {Status: -9},
	} {
		check(t, s.Recv(p, 0))
		r.Sock, r.Session, r.Remote = int8(s.ID()), session, addrPort("10.0.0.9:80")
		b.tell(hif.OpRecv, r)
	}
	wantLines(t, "TCP-15, TCP-21, TCP-23", got, `0 RECV "hello"`, `0 RECV "" EOF`, `0 RECV "" (-12)`, `0 RECV "" (-13)`, `0 RECV "" (-9)`)
	if string(p[:5]) != "hello" {
		t.Errorf("buffer %q", p)
	}
	check(t, s.Accept()) // TCP-22: still allocated
	b.recvReply(hif.OpRecv, int8(s.ID()), session, "unasked")
	wantLines(t, "unasked", got)
}

func TestTCP19_SecondRecvReplacesTheBuffer(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, session := b.connected()
	*got = nil
	b.take()
	first, second := make([]byte, 20), make([]byte, 4)
	check(t, s.Recv(first, 0))
	check(t, s.Recv(second, 0))
	want(b.chip, hif.OpRecv, hif.ParseRecv)
	b.recvReply(hif.OpRecv, int8(s.ID()), session, "0123456789")
	wantLines(t, "one segment", got, `0 RECV "0123"`)
	if first[0] != 0 || string(second) != "0123" {
		t.Errorf("%q %q", first, second)
	}
	// What did not fit waits for the next calls; the device is not asked.
	p := make([]byte, 5)
	check(t, s.Recv(p, 0))
	b.tasks()
	check(t, s.Recv(p, 0))
	b.tasks()
	wantLines(t, "surplus", got, `0 RECV "45678"`, `0 RECV "9"`)
	if len(b.take()) != 0 {
		t.Error("the device was asked for bytes that were here")
	}
	check(t, s.Recv(p, 0))
	want(b.chip, hif.OpRecv, hif.ParseRecv)
}

func TestRefusedRecvIsNotPending(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, session := b.connected()
	*got = nil
	b.take()
	b.refuse = func(hif.Request) bool { return true }
	wantErr(t, "refused", s.Recv(make([]byte, 5), 0), driver.ErrBufferFull)
	b.refuse = nil
	check(t, s.Recv(make([]byte, 5), 0))
	want(b.chip, hif.OpRecv, hif.ParseRecv)
	b.recvReply(hif.OpRecv, int8(s.ID()), session, "data")
	wantLines(t, "events", got, `0 RECV "data"`)
}

func TestTCP24_TCP26_CloseSilences(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s, session := b.connected()
	o, other := b.connected()
	*got = nil
	check(t, s.Recv(make([]byte, 5), 0))
	check(t, o.Recv(make([]byte, 5), 0))
	b.post(hif.OpRecv, hif.RecvReply{Sock: int8(s.ID()), Session: session, Status: 4, Data: []byte("late")})
	check(t, s.Close())
	b.tasks()
	b.recvReply(hif.OpRecv, int8(o.ID()), other, "live")
	wantLines(t, "events", got, `1 RECV "live"`)
}

func TestCloseInsideACallbackSilencesQueuedEvents(t *testing.T) {
	b := newBench(t)
	s, session := b.connected()
	var got []driver.MsgKind
	check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) {
		got = append(got, m.Kind())
		check(t, s.Close()) // CBK-14
	}))
	check(t, s.Send([]byte("x")))
	check(t, s.Recv(make([]byte, 5), 0))
	b.post(hif.OpSend, hif.SendReply{Sock: int8(s.ID()), Status: 1, Session: session})
	b.recvReply(hif.OpRecv, int8(s.ID()), session, "data")
	if !slices.Equal(got, []driver.MsgKind{driver.KindSend}) {
		t.Error(got)
	}
}

func TestUDPMessages(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s := b.socket(driver.Datagram)
	check(t, s.SendTo([]byte("ping"), addrPort("10.0.0.9:7")))
	rs := b.take()
	m, err := hif.ParseSend(rs[0].payload)
	check(t, err)
	data, err := m.Data(rs[0].payload, hif.UDPDataOffset)
	check(t, err)
	if rs[0].op != hif.OpSendTo || string(data) != "ping" || m.Addr != addrPort("10.0.0.9:7") || !rs[0].data {
		t.Errorf("%+v %q", m, data)
	}
	b.tell(hif.OpSendTo, hif.SendReply{Sock: m.Sock, Status: 4, Session: m.Session})
	// UDP-05, UDP-07: no address means the last one; the device knows it.
	check(t, s.SendTo([]byte("a"), addrPort0))
	if m := want(b.chip, hif.OpSendTo, hif.ParseSend); m.Addr.IsValid() {
		t.Error(m.Addr)
	}
	check(t, s.Send([]byte("b")))
	want(b.chip, hif.OpSend, hif.ParseSend)
	b.tell(hif.OpSendTo, hif.SendReply{Sock: m.Sock, Status: -11, Session: m.Session}) // UDP-06
	b.tell(hif.OpSend, hif.SendReply{Sock: m.Sock, Status: 1, Session: m.Session})
	wantLines(t, "sends", got, "7 SENDTO 4", "7 SENDTO 0 (-11)", "7 SEND 1")
	wantErr(t, "UDP-08", s.SendTo(make([]byte, 1401), addrPort("10.0.0.9:7")), driver.ErrSockArg)
	wantErr(t, "IPv6", s.SendTo(nil, addrPort("[::1]:7")), driver.ErrSockArg)

	check(t, s.RecvFrom(make([]byte, 9), 0))
	b.recvReply(hif.OpRecvFrom, m.Sock, m.Session, "pong")
	check(t, s.RecvFrom(make([]byte, 9), 0))
	b.recvReply(hif.OpRecvFrom, m.Sock, m.Session, "") // an empty datagram
	check(t, s.RecvFrom(make([]byte, 3), 0))
	b.recvReply(hif.OpRecvFrom, m.Sock, m.Session, "longer") // UDP-03, should a device send so much
	check(t, s.RecvFrom(make([]byte, 9), 0))
	b.tell(hif.OpRecvFrom, hif.RecvReply{Sock: m.Sock, Session: m.Session, Status: -13}) // UDP-09
	wantLines(t, "receives", got, `7 RECVFROM "pong" from 10.0.0.9:80`, `7 RECVFROM "" from 10.0.0.9:80`,
		`7 RECVFROM "lon" from 10.0.0.9:80`, `7 RECVFROM "" from invalid AddrPort (-13)`)
}

func TestUDP10_UDP11_SendEventsOff(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s := b.socket(driver.Datagram)
	check(t, s.SetOpt(driver.OptUDPSendEvents, 0)) // UDP-11: bind undoes it
	check(t, s.Bind(addrPort("0.0.0.0:9")))
	b.take()
	check(t, s.SendTo([]byte("x"), addrPort("10.0.0.9:7")))
	m := want(b.chip, hif.OpSendTo, hif.ParseSend)
	b.tell(hif.OpSendTo, hif.SendReply{Sock: m.Sock, Status: 1, Session: m.Session})
	wantLines(t, "before bind", got, "7 SENDTO 1")
	check(t, s.SetOpt(driver.OptUDPSendEvents, 0))
	check(t, s.SendTo([]byte("x"), addrPort("10.0.0.9:7")))
	b.tell(hif.OpSendTo, hif.SendReply{Sock: m.Sock, Status: 1, Session: m.Session}) // a device that does not care
	wantLines(t, "after bind", got)
}

func TestUDP15_UDP16_Groups(t *testing.T) {
	b := newBench(t)
	s := b.socket(driver.Datagram)
	check(t, s.Join(addr("239.1.2.3")))
	m := want(b.chip, hif.OpSetSocketOpt, hif.ParseSocketOption)
	if m.Option != hif.OptJoinGroup || m.Group() != [4]byte{239, 1, 2, 3} {
		t.Error(m)
	}
	check(t, s.Leave(addr("239.1.2.3")))
	if m := want(b.chip, hif.OpSetSocketOpt, hif.ParseSocketOption); m.Option != hif.OptLeaveGroup {
		t.Error(m)
	}
	wantErr(t, "unicast", s.Join(addr("10.0.0.1")), driver.ErrSockArg)
	wantErr(t, "TCP", b.socket(driver.Stream).Join(addr("239.1.2.3")), driver.ErrSockArg)
}

func TestWIF01_WIF04_LossOfTheLink(t *testing.T) {
	b := newBench(t)
	var got []string
	b.join(func(e driver.ConnEvent) { got = append(got, fmt.Sprint(e.State, " link=", b.c.LinkUp())) })
	b.tell(hif.OpDHCPConf, lease("10.0.0.50"))
	check(t, b.c.OnSocket(func(s driver.Socket, m driver.Msg) { got = append(got, line(s, m)) }))
	check(t, b.c.OnResolve(func(n string, a driver.Addr) { got = append(got, fmt.Sprint(n, " ", a)) }))
	check(t, b.c.Echo(addr("10.0.0.1"), 0, func(r driver.EchoReply) { got = append(got, "echo "+r.Err.Error()) }))
	check(t, b.c.Resolve("a.example"))
	s, _ := b.connected()
	n := b.socket(driver.Stream)
	u := b.socket(driver.Datagram)
	check(t, n.Connect(addrPort("10.0.0.8:80")))
	check(t, s.Send([]byte("x")))
	check(t, s.Send([]byte("y")))
	check(t, s.Recv(make([]byte, 5), 0))
	check(t, u.SendTo([]byte("z"), addrPort("10.0.0.8:80")))
	check(t, u.RecvFrom(make([]byte, 5), 0))
	got = nil
	b.tell(hif.OpStateChanged, disconnected)
	// The device says the same after it; nobody hears it twice.
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: 1, Status: -12})
	b.tell(hif.OpRecv, hif.RecvReply{Sock: 0, Session: 1, Status: -12})
	b.tell(hif.OpDNSResolve, hif.DNSReply{Name: "a.example"})
	wantLines(t, "order", &got,
		"disconnected link=false",
		"0 SEND 0 (-12)", "0 SEND 0 (-12)", `0 RECV "" (-12)`,
		"1 CONNECT (-12)",
		"7 SENDTO 0 (-12)", `7 RECVFROM "" from invalid AddrPort (-12)`,
		"a.example invalid IP", "echo "+driver.ErrUnreachable.Error(),
	)
	check(t, s.Accept()) // ids stay allocated
}

func TestSocketsMadeAfterDisconnectSurviveItsConfirmation(t *testing.T) {
	b := newBench(t)
	b.online()
	got := b.events()
	old := b.socket(driver.Datagram)
	check(t, old.RecvFrom(make([]byte, 5), 0))
	check(t, b.c.Disconnect())
	fresh := b.socket(driver.Datagram)
	check(t, fresh.RecvFrom(make([]byte, 5), 0))
	b.tell(hif.OpStateChanged, disconnected)
	wantLines(t, "events", got, `7 RECVFROM "" from invalid AddrPort (-12)`)
}

func TestAddressChangeEndsConnections(t *testing.T) {
	b := newBench(t)
	b.online()
	got := b.events()
	s, _ := b.connected()
	check(t, s.Recv(make([]byte, 5), 0))
	*got = nil
	b.tell(hif.OpDHCPConf, lease("10.0.0.50")) // WIF-06: a renewal
	wantLines(t, "renewal", got)
	b.tell(hif.OpDHCPConf, lease("10.0.0.51"))
	wantLines(t, "another address", got, `0 RECV "" (-12)`)
}

func TestSocketHook(t *testing.T) {
	b := newBench(t)
	user := b.events()
	var got []string
	s, err := b.c.SocketHook(driver.Stream, driver.Plain, func(s driver.Socket, e driver.Event) {
		got = append(got, fmt.Sprintf("%d %v %q %v", s.ID(), e.Kind, e.Data, e.Err))
		if e.Kind == driver.KindConnect || e.Kind == driver.KindRecv && e.Err == nil {
			check(t, s.RecvHook(1400, 0)) // a hook may call the driver
		}
	})
	check(t, err)
	check(t, s.Connect(addrPort("10.0.0.9:80")))
	m := want(b.chip, hif.OpSockConnect, hif.ParseSockConnect)
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: 88})
	b.recvReply(hif.OpRecv, m.Sock, m.Session, "one")
	b.recvReply(hif.OpRecv, m.Sock, m.Session, "two")
	b.recvReply(hif.OpRecv, m.Sock, m.Session, "")
	wantLines(t, "hook", &got, `0 CONNECT "" <nil>`, `0 RECV "one" <nil>`, `0 RECV "two" <nil>`, `0 RECV "" EOF`)
	wantLines(t, "OnSocket", user)
}

var addrPort0 = addrPortZero()

// A device that sends more than was asked for must not run over what the layer
// above has room for.
func TestHookGetsNoMoreThanItAskedFor(t *testing.T) {
	b := newBench(t)
	for _, typ := range []driver.SockType{driver.Stream, driver.Datagram} {
		var got []driver.Event
		s, err := b.c.SocketHook(typ, driver.Plain, func(_ driver.Socket, e driver.Event) { got = append(got, e) })
		check(t, err)
		check(t, s.RecvHook(100, 0))
		op := b.take()[0].op
		b.tell(op, hif.RecvReply{Sock: int8(s.ID()), Session: 0, Status: 101, Data: make([]byte, 101)})
		if len(got) != 1 || len(got[0].Data) > 100 {
			t.Fatalf("%v: %d events, %d bytes", typ, len(got), len(got[0].Data))
		}
		if typ == driver.Stream { // bytes of a stream are lost: it cannot go on
			wantErr(t, "stream", got[0].Err, driver.ErrConnAborted)
		} else if got[0].Err != nil || len(got[0].Data) != 100 {
			t.Error("a datagram is cut:", len(got[0].Data), got[0].Err)
		}
	}
}

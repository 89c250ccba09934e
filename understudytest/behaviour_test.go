package understudytest_test

// The tests in the files behaviour_*_test.go show the numbered behaviours of
// spec/driver-api.md, section 5, one test each: TestXXXnn_ shows XXX-nn, and
// go test -list '^Test[A-Z]{3}[0-9]{2}_' lists what is covered. This file has
// what they share: the rig, its trace and its expectations. What concerns
// packets is in behaviour_air_test.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/understudytest"
)

// patience is how long a rig waits for what should come soon.
const patience = 5 * time.Second

// rig is a bench for tests of the driver's calls and events, in one of the forms
// of inForms. In a virtual world the test is one actor, which makes the calls, and
// another pumps the driver and runs its callbacks; else both are goroutines. All that happens is kept in the trace, in order:
// callbacks, and packets between the device and its access point. Events are
// taken from it by want and its kin; what nobody took fails the test at its
// end, so "exactly one" is part of each expectation.
type rig struct {
	*understudytest.Bench
	t     *testing.T
	start time.Time
	begun time.Time    // what the test shows
	q     sock.Waiters // woken at each entry of the trace

	// On the wall clock callbacks, machines and the test run at the same time.
	// The lock may be taken with that of the world, and not the other way round.
	mu    sync.Mutex
	trace []entry
	fresh []*event // of the trace, those that were not taken
}

// entry is a line of the trace: an event or a packet.
type entry struct {
	at    time.Time
	event *event
	pkt   *packet
	note  string // neither: a remark of the rig
}

// event is something that the host was told by a callback.
type event struct {
	n    int // its place in the trace
	at   time.Time
	sock driver.Socket // zero if it is not about a socket
	msg  any           // a driver.Msg, or whatever the callback was given
}

// behave runs body, as an actor, on benches that have joined their network and have
// nothing more to say of themselves, in all forms.
func behave(t *testing.T, body func(r *rig)) {
	t.Helper()
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.settled()
		body(r)
	})
}

// behaveWith runs body on benches that were booted, unless c says otherwise, and
// did nothing else yet, in all forms. c is shared by them.
func behaveWith(t *testing.T, c understudytest.Config, body func(r *rig)) {
	t.Helper()
	inForms(t, func(*testing.T) understudytest.Config { return c }, body)
}

// play runs body on b, and returns how long it took on the clock of b, from the
// call of settled on if there was one.
func play(t *testing.T, b *understudytest.Bench, body func(r *rig)) time.Duration {
	t.Helper()
	r := &rig{Bench: b, t: t, start: b.Now()}
	r.begun = r.start
	r.tapAir()
	if r.Client != nil {
		r.attach()
		if b.World.Virtual() {
			r.Go(r.pump)
		} // else Driver.Run does it
	}
	stalled := b.Run(func() {
		body(r)
		if !t.Failed() {
			r.nothingMore("at the end of the test")
		}
	})
	if stalled != nil {
		t.Errorf("%v\n%s", stalled, r.story())
	}
	return b.Now().Sub(r.begun)
}

// settled joins the network and waits until the device has announced its address
// and knows the time: it says nothing more by itself.
func (r *rig) settled() {
	r.t.Helper()
	r.ok("join", r.Join())
	r.Sleep(settling)
	r.begun = r.Now()
}

// settling is a little more than the two seconds from the first announcement of an
// address to the last one.
const settling = 2500 * time.Millisecond

// attach has the events of sockets and of the resolver told to the trace.
func (r *rig) attach() {
	r.ok("OnSocket", r.Client.OnSocket(func(s driver.Socket, m driver.Msg) { r.tell(s, m) }))
	r.ok("OnResolve", r.Client.OnResolve(func(name string, a netip.Addr) { r.tell(driver.Socket{}, resolved{name, a}) }))
}

// resolved is what OnResolve is told.
type resolved struct {
	name string
	addr netip.Addr
}

// pump is the actor that takes the device's messages and runs the callbacks.
func (r *rig) pump() {
	for !r.closed() {
		_ = r.Driver.Tasks() // its errors are seen by the calls
		r.Driver.Config().Idle(time.Time{})
	}
}

func (r *rig) closed() bool {
	r.World.Lock()
	defer r.World.Unlock()
	return r.World.Closed()
}

// tell puts an event into the trace. Callbacks call it, and actors that do
// something beside the test and tell of its end.
func (r *rig) tell(s driver.Socket, msg any) {
	now := r.World.Lock()
	r.mu.Lock()
	e := &event{n: len(r.trace), at: now, sock: s, msg: msg}
	r.trace, r.fresh = append(r.trace, entry{at: now, event: e}), append(r.fresh, e)
	r.mu.Unlock()
	r.World.Wake(&r.q)
	r.World.Unlock()
}

// hear makes a callback that puts its argument into the trace, from where
// want[T](r, none) takes it:
//
//	r.Client.Echo(addr, 0, hear[driver.EchoReply](r))
//	reply := want[driver.EchoReply](r, none)
func hear[T any](r *rig) func(T) { return func(v T) { r.tell(none, v) } }

// none is the socket of events that are about none.
var none driver.Socket

// hold blocks the dispatcher, in a callback, until release is called: events are
// taken from the device and wait.
func (r *rig) hold() (release func()) {
	r.t.Helper()
	held, open := false, false // of the world's lock
	r.Client.OnResolve(func(string, netip.Addr) {
		r.notef("the dispatcher is held")
		r.now(func() { held = true })
		r.until(time.Hour, func() bool { return open })
	})
	r.ok("Resolve", r.Client.Resolve("10.9.0.1")) // is answered at once
	if !r.until(patience, func() bool { return held }) {
		r.fatalf("the callback that is to be held did not run")
	}
	r.attach()
	return func() {
		r.notef("the dispatcher is let go")
		r.now(func() { open = true })
	}
}

// want takes the next event of type M about s, for which it waits a little.
func want[M any](r *rig, s driver.Socket) M {
	r.t.Helper()
	m, _ := wantWithin[M](r, s, patience)
	return m
}

// wantWithin is want with a bound; it also returns the event with its time and
// its place in the trace.
func wantWithin[M any](r *rig, s driver.Socket, bound time.Duration) (M, *event) {
	r.t.Helper()
	var m M
	e := r.takeFirst(bound, func(e *event) (ok bool) {
		if e.sock == s {
			m, ok = e.msg.(M)
		}
		return ok
	})
	if e == nil {
		r.fatalf("no %T of %v within %v", m, s, bound)
	}
	return m, e
}

// takeFirst takes the first event that is wanted, nil if none comes in time.
func (r *rig) takeFirst(bound time.Duration, wanted func(e *event) bool) (found *event) {
	r.until(bound, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.IndexFunc(r.fresh, wanted)
		if i >= 0 {
			found = r.fresh[i]
			r.fresh = slices.Delete(r.fresh, i, i+1)
		}
		return i >= 0
	})
	return found
}

// now does what those who wait in until are to see.
func (r *rig) now(f func()) {
	r.World.Lock()
	f()
	r.World.Wake(&r.q)
	r.World.Unlock()
}

// until waits until cond is true, which is asked at each entry of the trace
// with the world's lock held, or until bound has passed: then it is false.
func (r *rig) until(bound time.Duration, cond func() bool) bool {
	now := r.World.Lock()
	defer r.World.Unlock()
	for end := now.Add(bound); !cond(); now = r.World.Wait(&r.q, end) {
		if !now.Before(end) || r.World.Closed() {
			return false
		}
	}
	return true
}

// quiet lets d pass and fails if there is an event that was not taken.
func (r *rig) quiet(d time.Duration, why string) {
	r.t.Helper()
	r.Sleep(d)
	r.nothingMore(why)
}

// nothingMore fails if there is an event that was not taken.
func (r *rig) nothingMore(why string) {
	r.t.Helper()
	if more := r.untaken(); len(more) > 0 {
		r.fatalf("%s: an event too many: %s", why, entry{event: more[0]})
	}
}

// untaken is the events that were not taken.
func (r *rig) untaken() []*event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fresh)
}

// since is the trace from a place on. It stays as it is.
func (r *rig) since(place int) []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trace[place:len(r.trace):len(r.trace)]
}

// mark is the present end of the trace.
func (r *rig) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.trace)
}

// notef puts a remark into the trace.
func (r *rig) notef(format string, args ...any) {
	e := entry{at: r.Now(), note: fmt.Sprintf(format, args...)}
	r.mu.Lock()
	r.trace = append(r.trace, e)
	r.mu.Unlock()
}

// fatalf ends the test with the trace so far.
func (r *rig) fatalf(format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), r.story())
}

// storyLines is how much of the trace is printed.
const storyLines = 60

// story prints the end of the trace.
func (r *rig) story() string {
	var b strings.Builder
	trace := r.since(0)
	first := max(0, len(trace)-storyLines)
	fmt.Fprintf(&b, "trace (%d earlier lines left out; time since the start, now %v):\n", first, r.Now().Sub(r.start))
	for _, e := range trace[first:] {
		fmt.Fprintf(&b, "%12.6f  %s\n", e.at.Sub(r.start).Seconds(), e)
	}
	return b.String()
}

func (e entry) String() string {
	switch {
	case e.pkt != nil:
		return e.pkt.String()
	case e.event == nil:
		return "# " + e.note
	case e.event.sock == none:
		return msgString(e.event.msg)
	}
	return fmt.Sprintf("%v: %s", e.event.sock, msgString(e.event.msg))
}

// msgString prints a message without the bytes of its data.
func msgString(msg any) string {
	switch m := msg.(type) {
	case driver.RecvMsg:
		return fmt.Sprintf("RECV %d bytes from %v, %v", len(m.Data), m.Peer, m.Err)
	case driver.RecvFromMsg:
		return fmt.Sprintf("RECVFROM %d bytes from %v, %v", len(m.Data), m.Peer, m.Err)
	case resolved:
		return fmt.Sprintf("%s is at %v", m.name, m.addr)
	}
	return fmt.Sprintf("%T %+v", msg, msg)
}

// ok fails unless err is nil.
func (r *rig) ok(what string, err error) {
	r.t.Helper()
	if err != nil {
		r.fatalf("%s: %v", what, err)
	}
}

// refused fails unless err is the given one.
func (r *rig) refused(what string, err, is error) {
	r.t.Helper()
	if !errors.Is(err, is) {
		r.fatalf("%s: got error %v, want %v", what, err, is)
	}
}

// verdict compares the error of an event: nil, or a driver.SockErr, or io.EOF.
func (r *rig) verdict(what string, s driver.Socket, err, is error) {
	r.t.Helper()
	if err != is && !errors.Is(err, is) {
		r.fatalf("%s of %v: got %v, want %v", what, s, err, is)
	}
}

// socket makes a socket.
func (r *rig) socket(typ driver.SockType) driver.Socket {
	r.t.Helper()
	s, err := r.Client.Socket(typ, driver.Plain)
	r.ok("socket", err)
	return s
}

func (r *rig) stream() driver.Socket   { r.t.Helper(); return r.socket(driver.Stream) }
func (r *rig) datagram() driver.Socket { r.t.Helper(); return r.socket(driver.Datagram) }

// bind binds s to any address and port, and wants the verdict.
func (r *rig) bind(s driver.Socket, port uint16, is error) {
	r.t.Helper()
	r.bindAt(s, netip.AddrPortFrom(netip.IPv4Unspecified(), port), is)
}

func (r *rig) bindAt(s driver.Socket, at netip.AddrPort, is error) {
	r.t.Helper()
	r.ok("Bind", s.Bind(at))
	r.verdict("BIND", s, want[driver.BindMsg](r, s).Err, is)
}

// bound makes a socket bound to port.
func (r *rig) bound(typ driver.SockType, port uint16) driver.Socket {
	r.t.Helper()
	s := r.socket(typ)
	r.bind(s, port, nil)
	return s
}

// listener makes a listening socket.
func (r *rig) listener(port uint16) driver.Socket {
	r.t.Helper()
	s := r.bound(driver.Stream, port)
	r.ok("Listen", s.Listen(0))
	r.verdict("LISTEN", s, want[driver.ListenMsg](r, s).Err, nil)
	return s
}

// connect connects s and wants the verdict.
func (r *rig) connect(s driver.Socket, to netip.AddrPort, is error) {
	r.t.Helper()
	r.ok("Connect", s.Connect(to))
	r.verdict("CONNECT", s, want[driver.ConnectMsg](r, s).Err, is)
}

// dial connects a new socket to a port of h, at which nothing listens yet, and
// returns both ends.
func (r *rig) dial(h *understudytest.Host, port uint16) (driver.Socket, net.Conn) {
	r.t.Helper()
	l, err := h.Listen("tcp", fmt.Sprintf(":%d", port))
	r.ok("peer listens", err)
	defer l.Close()
	s := r.stream()
	r.connect(s, netip.AddrPortFrom(h.Addr, port), nil)
	c, err := l.Accept()
	r.ok("peer accepts", err)
	return s, c
}

// dialIn connects h to the listener l at port and returns both ends.
func (r *rig) dialIn(l driver.Socket, h *understudytest.Host, port uint16) (driver.Socket, net.Conn) {
	r.t.Helper()
	c, err := h.Dial(context.Background(), "tcp", r.at(port).String())
	r.ok("peer dials", err)
	m := want[driver.AcceptMsg](r, l)
	r.verdict("ACCEPT", l, m.Err, nil)
	return m.Socket, c
}

// at is a port of the device.
func (r *rig) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(r.Client.Addr(), port) }

// send sends p and wants the event that says so.
func (r *rig) send(s driver.Socket, p []byte) {
	r.t.Helper()
	r.ok("Send", s.Send(p))
	r.wantSent(s, len(p))
}

func (r *rig) wantSent(s driver.Socket, n int) {
	r.t.Helper()
	if m := want[driver.SendMsg](r, s); m.N != n || m.Err != nil {
		r.fatalf("SEND of %v: got %d, %v, want %d", s, m.N, m.Err, n)
	}
}

// recv asks for up to n bytes, without a time-out.
func (r *rig) recv(s driver.Socket, n int) {
	r.t.Helper()
	r.ok("Recv", s.Recv(make([]byte, n), 0))
}

// wantData wants a RECV with these bytes.
func (r *rig) wantData(s driver.Socket, data string) {
	r.t.Helper()
	if m := want[driver.RecvMsg](r, s); m.Err != nil || string(m.Data) != data {
		r.fatalf("RECV of %v: got %.100q, %v, want %.100q", s, m.Data, m.Err, data)
	}
}

// wantEnd wants a RECV without data: io.EOF for the 0 of an orderly end.
func (r *rig) wantEnd(s driver.Socket, is error) {
	r.t.Helper()
	m := want[driver.RecvMsg](r, s)
	r.verdict("RECV", s, m.Err, is)
	if len(m.Data) != 0 {
		r.fatalf("RECV of %v: data with %v", s, m.Err)
	}
}

// sendTo sends a datagram and wants the event that says so.
func (r *rig) sendTo(s driver.Socket, p []byte, to netip.AddrPort) {
	r.t.Helper()
	r.ok("SendTo", s.SendTo(p, to))
	r.wantSentTo(s, len(p))
}

func (r *rig) wantSentTo(s driver.Socket, n int) {
	r.t.Helper()
	if m := want[driver.SendToMsg](r, s); m.N != n || m.Err != nil {
		r.fatalf("SENDTO of %v: got %d, %v, want %d", s, m.N, m.Err, n)
	}
}

// recvFrom asks for a datagram of up to n bytes, without a time-out.
func (r *rig) recvFrom(s driver.Socket, n int) {
	r.t.Helper()
	r.ok("RecvFrom", s.RecvFrom(make([]byte, n), 0))
}

// wantDatagram wants a RECVFROM with these bytes, and returns its sender.
func (r *rig) wantDatagram(s driver.Socket, data string) netip.AddrPort {
	r.t.Helper()
	m := want[driver.RecvFromMsg](r, s)
	if m.Err != nil || string(m.Data) != data {
		r.fatalf("RECVFROM of %v: got %.100q, %v, want %.100q", s, m.Data, m.Err, data)
	}
	return m.Peer
}

// close closes s.
func (r *rig) close(s driver.Socket) {
	r.t.Helper()
	r.ok("Close", s.Close())
}

// peerWrites has a peer write data.
func (r *rig) peerWrites(c net.Conn, data string) {
	r.t.Helper()
	_, err := io.WriteString(c, data)
	r.ok("peer writes", err)
}

// peerReads wants a peer to read these bytes.
func (r *rig) peerReads(c net.Conn, data []byte) {
	r.t.Helper()
	got := make([]byte, len(data))
	c.SetReadDeadline(r.Now().Add(patience))
	n, err := io.ReadFull(c, got)
	if err != nil || !bytes.Equal(got, data) {
		r.fatalf("peer reads: got %d bytes %.100q, %v, want %d bytes %.100q", n, got[:n], err, len(data), data)
	}
}

// peerReadsEnd wants a peer to read the end of the stream, or an error.
func (r *rig) peerReadsEnd(c net.Conn, is error) {
	r.t.Helper()
	c.SetReadDeadline(r.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, is) {
		r.fatalf("peer reads: got %d bytes, %v, want %v", n, err, is)
	}
}

// peerSocket opens a UDP socket of a peer.
func (r *rig) peerSocket(h *understudytest.Host, port uint16) net.PacketConn {
	r.t.Helper()
	c, err := h.ListenPacket("udp", fmt.Sprintf(":%d", port))
	r.ok("peer's socket", err)
	return c
}

// peerSends has a peer send a datagram.
func (r *rig) peerSends(c net.PacketConn, data string, to netip.AddrPort) {
	r.t.Helper()
	_, err := c.WriteTo([]byte(data), net.UDPAddrFromAddrPort(to))
	r.ok("peer sends", err)
}

// peerGets wants a peer to receive this datagram, and returns its sender.
func (r *rig) peerGets(c net.PacketConn, data string) netip.AddrPort {
	r.t.Helper()
	p := make([]byte, 2000)
	c.SetReadDeadline(r.Now().Add(patience))
	n, from, err := c.ReadFrom(p)
	if err != nil || string(p[:n]) != data {
		r.fatalf("peer receives: got %.100q, %v, want %.100q", p[:n], err, data)
	}
	return from.(*net.UDPAddr).AddrPort()
}

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8)*31 ^ byte(i>>16)*7
	}
	return p
}

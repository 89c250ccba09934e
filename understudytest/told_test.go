package understudytest_test

// What an application is told, in which order, when something goes wrong: the
// whole of it, as a story. The contract is spec/driver-api.md 1.5 and 3.8.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
)

// teller is an application that has registered all callbacks and does nothing in
// them but note what it is told.
type teller struct {
	*rig
	names    map[driver.Socket]string
	accepted []driver.Socket
	insists  bool
	from     time.Time // what the times of the story are counted from
}

// telling runs body with an application that has registered its callbacks and did
// nothing else yet, in both forms of virtual time.
func telling(t *testing.T, body func(a *teller)) {
	t.Helper()
	onBench(t, func(r *rig) {
		a := &teller{rig: r, names: map[driver.Socket]string{}, from: r.Now()}
		r.ok("OnIP", r.Client.OnIP(hear[driver.IPEvent](r)))
		r.ok("UseDHCP", r.Client.UseDHCP(r.onLease))
		body(a)
	})
}

// join starts to join the network. If the application is one that insists, it does so
// again each time that it is told to be disconnected, from inside of the callback.
func (a *teller) join() {
	a.t.Helper()
	a.ok("Connect", a.Client.Connect(a.BSS(), a.Auth(), a.heard))
}

func (a *teller) heard(e driver.ConnEvent) {
	a.onConn(e)
	if e.State == driver.Disconnected && a.insists {
		if err := a.Client.Connect(a.BSS(), a.Auth(), a.heard); err != nil {
			a.tell(none, err)
		}
	}
}

// online joins, and begins the story when that is over.
func (a *teller) online() {
	a.t.Helper()
	a.join()
	a.story(settling,
		"1s Wi-Fi: connected; link down, no address",
		"1s DHCP: 10.9.0.100; link up, 10.9.0.100",
		"1s IP: leased 10.9.0.100")
	a.begin()
}

// begin counts the times of the story from now on.
func (a *teller) begin() { a.from = a.Now() }

// called gives a socket the name by which the story knows it.
func (a *teller) called(name string, s driver.Socket) driver.Socket {
	a.names[s] = name
	return s
}

// story lets d pass and wants to have been told just this, line by line, since the
// last time. A line begins with the seconds since begin, which may be half a second or a
// tenth wrong.
func (a *teller) story(d time.Duration, want ...string) {
	a.t.Helper()
	a.Sleep(d)
	a.mu.Lock()
	events := a.fresh
	a.fresh = nil
	a.mu.Unlock()
	same := len(events) == len(want)
	var got []string
	for i, e := range events {
		at, what := e.at.Sub(a.from).Seconds(), a.line(e)
		got = append(got, fmt.Sprintf("%.1fs %s", at, what))
		if !same {
			continue
		}
		var about float64
		fmt.Sscanf(want[i], "%fs", &about)
		_, text, _ := strings.Cut(want[i], "s ")
		same = text == what && math.Abs(at-about) <= max(0.5, about/10)
	}
	if !same {
		a.t.Errorf("the application was told\n\t%s\nand should have been told\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		a.fatalf("the story differs")
	}
}

// line is an event in words.
func (a *teller) line(e *event) string {
	state := func(linkUp bool, addr netip.Addr) string {
		s := map[bool]string{false: "link down, ", true: "link up, "}[linkUp]
		if !addr.IsValid() {
			return s + "no address"
		}
		return s + addr.String()
	}
	switch m := e.msg.(type) {
	case connHeard:
		s := fmt.Sprintf("Wi-Fi: %v", m.State)
		if m.Err != nil {
			s += fmt.Sprintf(" (%v)", m.Err)
		}
		return s + "; " + state(m.linkUp, m.addr)
	case leaseHeard:
		return fmt.Sprintf("DHCP: %v; %s", m.given, state(m.linkUp, m.addr))
	case driver.IPEvent:
		s := fmt.Sprintf("IP: %v", m.Kind)
		if m.Addr.IsValid() {
			s += " " + m.Addr.String()
		}
		return s
	case resolved:
		if !m.addr.IsValid() {
			return fmt.Sprintf("name %s: none", m.name)
		}
		return fmt.Sprintf("name %s: %v", m.name, m.addr)
	case driver.EchoReply:
		return fmt.Sprintf("echo: %v", m.Err)
	case driver.AcceptMsg:
		if m.Err != nil {
			return fmt.Sprintf("%s: ACCEPT %v", a.names[e.sock], m.Err)
		}
		a.accepted = append(a.accepted, m.Socket)
		return fmt.Sprintf("%s: ACCEPT", a.names[e.sock])
	case driver.SendMsg:
		return fmt.Sprintf("%s: SEND %s", a.names[e.sock], verdictOf(m.N, m.Err))
	case driver.RecvMsg:
		return fmt.Sprintf("%s: RECV %s", a.names[e.sock], verdictOf(len(m.Data), m.Err))
	case driver.RecvFromMsg:
		return fmt.Sprintf("%s: RECVFROM %s", a.names[e.sock], verdictOf(len(m.Data), m.Err))
	case driver.ConnectMsg:
		return fmt.Sprintf("%s: CONNECT %s", a.names[e.sock], verdictOf(0, m.Err))
	}
	return fmt.Sprintf("%s: %s", a.names[e.sock], msgString(e.msg))
}

// verdictOf is the status of a message as the document has it: the length, or the code.
func verdictOf(n int, err error) string {
	var code driver.SockErr
	switch {
	case err == nil:
		return fmt.Sprint(n)
	case err == io.EOF:
		return "0"
	case errors.As(err, &code):
		return code.String()
	case errors.Is(err, driver.ErrConnAborted): // with more to it
		return driver.ErrConnAborted.String()
	}
	return err.Error()
}

// conn makes a connection, by the name under which the story knows it, that waits for
// data.
func (a *teller) conn(name string, peer *understudytest.Host, port uint16) (driver.Socket, net.Conn) {
	a.t.Helper()
	s, c := a.dial(peer, port)
	a.called(name, s)
	a.recv(s, 100)
	return s, c
}

// The link first, and inside of the callback it is down already. Then the sockets,
// in the order of their ids, whatever they were asked first: connect, sends,
// receive; then what has no id. A socket without a request says nothing until it
// is asked.
func TestToldOfLossOfWiFi(t *testing.T) {
	telling(t, func(a *teller) {
		a.online()
		peer, silent := a.AddHost("peer.test"), a.puppet()
		first := a.called("first", a.stream())
		second, _ := a.dial(peer, 7)
		idle, _ := a.dial(peer, 8)
		datagrams := a.bound(driver.Datagram, 9)
		a.called("second", second)
		a.called("idle", idle)
		a.called("datagrams", datagrams)
		a.called("listener", a.listener(80))

		a.begin()
		a.LoseWiFi()
		a.recvFrom(datagrams, 100)
		a.recv(second, 100)
		a.ok("Send", second.Send([]byte("one")))
		a.ok("Send", second.Send([]byte("two")))
		a.ok("Echo", a.Client.Echo(peer.Addr, 0, hear[driver.EchoReply](a.rig)))
		a.ok("Resolve", a.Client.Resolve("peer.test"))
		a.ok("Connect", first.Connect(silent.port(7)))
		a.story(time.Minute,
			"2.5s Wi-Fi: disconnected; link down, no address",
			"2.5s first: CONNECT CONN_ABORTED",
			"2.5s second: SEND CONN_ABORTED",
			"2.5s second: SEND CONN_ABORTED",
			"2.5s second: RECV CONN_ABORTED",
			"2.5s datagrams: RECVFROM CONN_ABORTED",
			"2.5s name peer.test: none",
			"2.5s echo: driver: destination unreachable")

		a.begin()
		a.ok("Send", idle.Send([]byte("late")))
		a.recv(idle, 100)
		a.recvFrom(datagrams, 100)
		a.story(time.Minute,
			"0s idle: SEND CONN_ABORTED",
			"0s idle: RECV CONN_ABORTED",
			"0s datagrams: RECVFROM CONN_ABORTED")
	})
}

// A lease that is not renewed is used to its end; then the address goes, then the
// connections. Wi-Fi stays, and the device asks on until there is a server again.
func TestToldOfLossOfTheLease(t *testing.T) {
	telling(t, func(a *teller) {
		silent := false
		a.serveDHCP(dhcp.ServerConfig{LeaseTime: 400 * time.Second}, func(dhcp.Message, *dhcp.Message) bool { return !silent })
		a.online()
		data, c := a.conn("data", a.AddHost("peer.test"), 7)
		a.locked(func(time.Time) { silent = true })
		a.story(390*time.Second,
			"350s IP: DHCP failed")
		a.peerWrites(c, "in the last seconds")
		a.story(time.Second,
			"390s data: RECV 19")
		a.recv(data, 100)
		a.story(19*time.Second,
			"398s IP: lost 10.9.0.100",
			"398s data: RECV CONN_ABORTED")
		a.locked(func(time.Time) { silent = false })
		for len(a.untaken()) < 2 {
			a.Sleep(time.Second)
		}
		a.from = a.untaken()[0].at // when the device asks next is random
		a.story(time.Minute,
			"0s DHCP: 10.9.0.100; link up, 10.9.0.100",
			"0s IP: leased 10.9.0.100")
	})
}

// A lease that another host has already is not used: the application hears of the
// conflict, and of the next address.
func TestToldOfATakenLease(t *testing.T) {
	telling(t, func(a *teller) {
		squatter := a.AddHost("squatter.test")
		a.serveDHCP(dhcp.ServerConfig{First: squatter.Addr, Last: squatter.Addr.Next()}, nil)
		a.join()
		a.story(time.Minute,
			"0.6s Wi-Fi: connected; link down, no address",
			"0.6s IP: conflict 10.9.0.10",
			"11s DHCP: 10.9.0.11; link up, 10.9.0.11",
			"11s IP: leased 10.9.0.11")
	})
}

// claim has a puppet claim an address.
func (p *puppet) claim(addr netip.Addr) {
	m := wire.ARP{Op: wire.ARPRequest, SenderMAC: p.mac, SenderIP: addr, TargetIP: addr}
	eth := wire.Ethernet{Dst: wire.Broadcast, Src: p.mac, Type: wire.EtherTypeARP}.Append(nil)
	p.r.locked(func(now time.Time) { p.r.AP.Send(now, m.Append(eth)) })
}

// Another host claims the address that is in use. Once is an accident, which is
// told. Twice within ten seconds, and a lease is given back (RFC 5227, 2.4): then
// its connections go, and there is another address.
func TestToldOfAConflict(t *testing.T) {
	telling(t, func(a *teller) {
		a.online()
		a.conn("data", a.AddHost("peer.test"), 7)
		thief := a.puppet()
		a.begin()
		thief.claim(a.Client.Addr())
		a.story(time.Minute,
			"0s IP: conflict 10.9.0.100")
		a.begin()
		thief.claim(a.Client.Addr())
		a.story(5*time.Second,
			"0s IP: conflict 10.9.0.100")
		thief.claim(a.Client.Addr())
		a.story(time.Minute,
			"5s IP: conflict 10.9.0.100",
			"5s IP: lost 10.9.0.100",
			"5s data: RECV CONN_ABORTED",
			"15s DHCP: 10.9.0.101; link up, 10.9.0.101",
			"15s IP: leased 10.9.0.101")
	})
}

// An access point that is restarted sends its stations away. The application tries
// to come back at once, from the callback, and as often as it must.
func TestToldOfARestartOfTheAccessPoint(t *testing.T) {
	telling(t, func(a *teller) {
		a.insists = true
		a.online()
		peer := a.AddHost("peer.test")
		a.conn("data", peer, 7)
		a.begin()
		a.StopWiFi()
		a.Sleep(10 * time.Second)
		a.RestoreWiFi()
		a.story(20*time.Second,
			"0s Wi-Fi: disconnected; link down, no address",
			"0s data: RECV CONN_ABORTED",
			"5s Wi-Fi: disconnected (connection: SCAN_FAIL: no such network in range); link down, no address",
			"10.1s Wi-Fi: disconnected (connection: SCAN_FAIL: no such network in range); link down, no address",
			"10.6s Wi-Fi: connected; link down, no address",
			"10.8s DHCP: 10.9.0.100; link up, 10.9.0.100",
			"10.8s IP: leased 10.9.0.100")
		a.conn("new", peer, 7)
	})
}

// A peer that resets a connection ends all that waits on it, and nothing else: the
// link stays, and the other connection.
func TestToldOfAResetByThePeer(t *testing.T) {
	telling(t, func(a *teller) {
		a.online()
		other, c := a.conn("other", a.AddHost("peer.test"), 7)
		data, peer := a.dialPuppet(a.puppet(), 7)
		a.called("data", data)
		a.begin()
		a.recv(data, 100)
		a.ok("Send", data.Send([]byte("one")))
		a.ok("Send", data.Send([]byte("two")))
		a.Sleep(time.Second)
		peer.send(wire.RST, nil)
		a.story(time.Second,
			"1s data: RECV CONN_ABORTED",
			"1s data: SEND CONN_ABORTED",
			"1s data: SEND CONN_ABORTED")
		a.recv(data, 100)
		a.ok("Send", data.Send([]byte("three")))
		a.peerWrites(c, "still here")
		a.story(time.Second,
			"2s data: RECV CONN_ABORTED",
			"2s data: SEND CONN_ABORTED",
			"2s other: RECV 10")
		a.ok("Send", other.Send([]byte("so am I")))
		a.close(data)
		a.story(time.Minute,
			"3s other: SEND 7")
	})
}

// With all sockets in use the application is refused at once, and hears nothing of
// those who call its listener until a socket is closed: the call of those that
// still wait is then an ACCEPT like the others.
func TestToldOfAFullSocketTable(t *testing.T) {
	telling(t, func(a *teller) {
		a.online()
		peer := a.AddHost("peer.test")
		a.called("listener", a.listener(80))
		a.begin()
		for range driver.MaxTCPSockets {
			a.Go(func() { peer.Dial(context.Background(), "tcp", a.at(80).String()) })
			a.Sleep(100 * time.Millisecond)
		}
		for range driver.MaxUDPSockets {
			a.datagram()
		}
		a.noSocket(driver.Stream, driver.ErrMaxTCP)
		a.noSocket(driver.Datagram, driver.ErrMaxUDP)
		a.story(2*time.Second,
			"0s listener: ACCEPT",
			"0.1s listener: ACCEPT",
			"0.2s listener: ACCEPT",
			"0.3s listener: ACCEPT",
			"0.4s listener: ACCEPT",
			"0.5s listener: ACCEPT")
		a.close(a.accepted[2])
		a.story(2*time.Second,
			"3.6s listener: ACCEPT")
		a.noSocket(driver.Stream, driver.ErrMaxTCP)
	})
}

package driver_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

func TestBND_OnTheDevice(t *testing.T) {
	onlineRig(t, func(r *rig) {
		bind := func(what string, typ driver.SockType, at, want string) driver.Socket {
			t.Helper()
			s := r.socket(typ)
			check(t, s.Bind(addrPort(at)))
			r.expect(what, time.Second, fmt.Sprintf("%d BIND%s", s.ID(), want))
			return s
		}
		s := bind("BND-01", driver.Stream, "0.0.0.0:80", "")
		bind("BND-02", driver.Stream, "0.0.0.0:0", " (-1)")
		bind("BND-03", driver.Stream, "0.0.0.0:80", " (-2)")
		bind("BND-04", driver.Datagram, "0.0.0.0:80", "")
		bind("BND-05", driver.Datagram, "10.1.2.3:81", " (-1)")
		u := bind("BND-06", driver.Datagram, r.here(82), "")
		check(t, s.Bind(addrPort("0.0.0.0:90")))
		r.expect("BND-07", time.Second, "0 BIND (-9)")
		check(t, u.Close())
	})
}

func TestLSN_OnTheDevice(t *testing.T) {
	onlineRig(t, func(r *rig) {
		s := r.socket(driver.Stream)
		check(t, s.Listen(0))
		r.expect("LSN-02", time.Second, "0 LISTEN (-9)")
		check(t, s.Close())

		l := r.listen(80) // LSN-01
		a, b := r.AddHost("a.test"), r.AddHost("b.test")
		r.forget()
		ca, err := r.peerDial(a, 80)
		check(t, err)
		cb, err := r.peerDial(b, 80)
		check(t, err)
		if len(r.accepted) != 2 || r.accepted[0].ID() == r.accepted[1].ID() {
			t.Fatal("LSN-04: ", r.ev)
		}
		for i, h := range []*understudytest.Host{a, b} {
			if !strings.HasPrefix(r.ev[i], fmt.Sprintf("%d ACCEPT %d from %v:", l.ID(), r.accepted[i].ID(), h.Addr)) {
				t.Error("LSN-03: ", r.ev[i])
			}
		}
		r.wantAir("LSN-03", 2, "> TCP", "S.")
		r.forget()
		fmt.Fprint(ca, "from a")
		fmt.Fprint(cb, "from b")
		r.pass(time.Second)
		if len(r.ev) != 0 {
			t.Error("LSN-08: ", r.ev)
		}
		for i, want := range []string{"from a", "from b"} {
			check(t, r.accepted[i].Recv(make([]byte, 10), 0))
			r.expect("LSN-04, LSN-08", time.Second, fmt.Sprintf("%d RECV %q", r.accepted[i].ID(), want))
		}
		check(t, l.Close())
		r.forget()
		if c, err := r.peerDial(a, 80); err == nil {
			t.Error("LSN-06: a new connection", c)
		}
		r.wantAir("LSN-06", 1, "> TCP 80>", "R")
		fmt.Fprint(ca, "still")
		check(t, r.accepted[0].Recv(make([]byte, 10), 0))
		r.expect("LSN-06", time.Second, fmt.Sprintf("%d RECV %q", r.accepted[0].ID(), "still"))
		r.forget()
		if _, err := r.peerDial(a, 4711); err == nil {
			t.Error("LSN-07: connected")
		}
		r.wantAir("LSN-07", 1, "> TCP 4711>", "R")
	})
}

func TestLSN05_NoSlotForAConnection(t *testing.T) {
	onlineRig(t, func(r *rig) {
		l := r.listen(80)
		h := r.AddHost("a.test")
		for range 6 {
			if _, err := r.peerDial(h, 80); err != nil {
				t.Fatal(err)
			}
		}
		done := false
		r.Go(func() {
			c, err := h.Dial(ctx, "tcp", r.here(80))
			if err != nil {
				t.Error(err)
				return
			}
			done = true
			c.Close()
		})
		if r.until(2*time.Second, func() bool { return done }) || len(r.accepted) != 6 {
			t.Error("the seventh connection was completed")
		}
		check(t, r.accepted[0].Close())
		if !r.until(30*time.Second, func() bool { return done && len(r.accepted) == 7 }) {
			t.Error("the seventh connection was not completed after a slot was free")
		}
		_ = l
	})
}

func TestTCP_Connecting(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		all := r.served(h, 7)
		r.forget()
		s := r.socket(driver.Stream)
		check(t, s.Connect(at(h, 7)))
		r.wantAir("TCP-02", 0, "< TCP")
		r.until(time.Second, func() bool { return len(r.ev) > 0 })
		r.wantAir("TCP-01", 1, "< TCP", "S.")
		r.expect("TCP-01", 0, "0 CONNECT")
		_ = all

		c := r.socket(driver.Stream)
		start := r.Now()
		check(t, c.Connect(at(h, 9)))
		r.expect("TCP-03", 2*time.Second, "1 CONNECT (-12)")
		if d := r.Now().Sub(start); d > 2*time.Second {
			t.Error("TCP-03: took", d)
		}
		check(t, c.Accept()) // TCP-06: still there
		check(t, c.Close())

		r.SetCable(h, air.Link{Down: true})
		q := r.socket(driver.Stream)
		start = r.Now()
		r.forget()
		check(t, q.Connect(at(h, 7)))
		r.expect("TCP-04", 45*time.Second, fmt.Sprintf("%d CONNECT (-13)", q.ID()))
		if d := r.Now().Sub(start); d < 20*time.Second || d > 40*time.Second || r.saw("> TCP", " S ") < 3 {
			t.Error("TCP-04: after", d, r.air)
		}
		u := r.socket(driver.Datagram)
		check(t, u.Connect(at(h, 7)))
		r.expect("TCP-05", time.Second, fmt.Sprintf("%d CONNECT (-9)", u.ID()))
	})
}

func TestTCP_Sending(t *testing.T) {
	onlineRig(t, func(r *rig) {
		s, peer := r.pair(r.AddHost("peer.test"), 7)
		var got bytes.Buffer
		r.Go(func() { io.Copy(&got, peer) })
		var want bytes.Buffer
		send := func(p []byte) {
			check(t, s.Send(p))
			want.Write(p)
			clear(p)
		}
		send(bytes.Repeat([]byte{'x'}, 1400))
		r.expect("TCP-07", time.Second, "0 SEND 1400")
		for i := range 10 {
			send(bytes.Repeat([]byte{byte('0' + i)}, 100*i+1))
		}
		var lines []string
		for i := range 10 {
			lines = append(lines, fmt.Sprint("0 SEND ", 100*i+1))
		}
		r.expect("TCP-11", 5*time.Second, lines...)
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Error("TCP-07, TCP-13: the peer got other bytes")
		}

		// Acknowledgements withheld: no event, the data again, then the event.
		r.SetLink(air.Link{Down: true})
		r.forget()
		send([]byte("held back"))
		r.pass(time.Second)
		if len(r.ev) != 0 {
			t.Error("TCP-09: ", r.ev)
		}
		r.SetLink(air.Link{})
		r.expect("TCP-10", 20*time.Second, "0 SEND 9")
		if n := r.saw("> TCP", "len 9"); n < 2 {
			t.Errorf("TCP-10: sent %d times", n)
		}
		r.forget()
		check(t, s.Close())
		r.pass(time.Second)
		r.wantAir("TCP-25", 1, "> TCP", "F")
		if len(r.ev) != 0 {
			t.Error("TCP-25: ", r.ev)
		}
	})
}

func TestTCP12_FloodUntilFull(t *testing.T) {
	onlineRig(t, func(r *rig) {
		s, peer := r.pair(r.AddHost("peer.test"), 7)
		n, full := 0, false
		for ; n < 1000 && !full; n++ {
			full = s.Send(make([]byte, 1400)) == driver.ErrBufferFull
		}
		if !full {
			t.Fatal("a thousand sends without BUFFER_FULL")
		}
		r.Go(func() { io.Copy(io.Discard, peer) })
		r.until(time.Second, func() bool { return len(r.ev) > 0 })
		check(t, s.Send([]byte("more")))
		r.pass(5 * time.Second)
		if len(r.ev) != n {
			t.Errorf("%d events for %d sends", len(r.ev), n)
		}
	})
}

func TestTCP_Receiving(t *testing.T) {
	onlineRig(t, func(r *rig) {
		s, peer := r.pair(r.AddHost("peer.test"), 7)
		io.WriteString(peer, "0123456789abcdefghijklmno")
		r.pass(time.Second)
		for _, want := range []string{"0123456789", "abcdefghij", "klmno"} {
			check(t, s.Recv(make([]byte, 10), 0))
			r.expect("TCP-14", time.Second, fmt.Sprintf("0 RECV %q", want))
		}
		start := r.Now()
		check(t, s.Recv(make([]byte, 10), 500*time.Millisecond))
		r.expect("TCP-15", time.Second, `0 RECV "" (-13)`)
		if d := r.Now().Sub(start); d < 400*time.Millisecond || d > 600*time.Millisecond {
			t.Error("TCP-15: after", d)
		}
		check(t, s.Recv(make([]byte, 10), 0))
		io.WriteString(peer, "later")
		r.expect("TCP-16", time.Second, `0 RECV "later"`)
		check(t, s.Recv(make([]byte, 10), 0))
		r.pass(10 * time.Minute)
		if len(r.ev) != 0 {
			t.Error("TCP-17: ", r.ev)
		}
		io.WriteString(peer, "at last")
		r.expect("TCP-17", time.Second, `0 RECV "at last"`)
		p, q := make([]byte, 5), make([]byte, 5)
		check(t, s.Recv(p, 0))
		check(t, s.Recv(q, 0))
		io.WriteString(peer, "one")
		r.expect("TCP-19", time.Second, `0 RECV "one"`)
		r.pass(time.Second)
		if len(r.ev) != 0 || string(q[:3]) != "one" || p[0] != 0 {
			t.Error("TCP-19: ", r.ev, p, q)
		}
		io.WriteString(peer, "the end")
		peer.Close()
		r.pass(time.Second)
		check(t, s.Recv(make([]byte, 10), 0))
		r.expect("TCP-21", time.Second, `0 RECV "the end"`)
		check(t, s.Recv(make([]byte, 10), 0))
		r.expect("TCP-21", time.Second, `0 RECV "" EOF`)
		check(t, s.Accept()) // TCP-22
		check(t, s.Close())
	})
}

func TestTCP20_WindowClosesAndReopens(t *testing.T) {
	onlineRig(t, func(r *rig) {
		s, peer := r.pair(r.AddHost("peer.test"), 7)
		sent := 0
		r.Go(func() {
			for {
				n, err := peer.Write(make([]byte, 1000))
				if err != nil {
					return
				}
				sent += n
			}
		})
		r.pass(5 * time.Second)
		if r.saw("> TCP", "win 0") == 0 {
			t.Error("the window did not shrink to zero after", sent)
		}
		before := sent
		for range 100 {
			check(t, s.Recv(make([]byte, 1400), 0))
			r.until(time.Second, func() bool { return len(r.ev) > 0 })
			r.ev = nil
		}
		r.pass(10 * time.Second)
		if sent < before+50000 {
			t.Errorf("the peer had sent %d and then %d", before, sent)
		}
	})
}

func TestTCP23_TCP24_ResetOfOne(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		s, bad := r.pair(h, 7)
		o, good := r.pair(h, 8)
		check(t, s.Recv(make([]byte, 10), 0))
		check(t, o.Recv(make([]byte, 10), 0))
		reset(r, bad)
		r.expect("TCP-23", time.Second, `0 RECV "" (-12)`)
		io.WriteString(good, "well")
		r.expect("TCP-24", time.Second, `1 RECV "well"`)
		check(t, s.Send([]byte("x")))
		r.until(time.Second, func() bool { return len(r.ev) > 0 })
		if len(r.ev) != 1 || !strings.HasPrefix(r.ev[0], "0 SEND 0 (-") {
			t.Error("a send on a dead socket: ", r.ev)
		}
	})
}

// reset makes the peer's stack reset the connection.
func reset(r *rig, c net.Conn) {
	now := r.World.Lock()
	defer r.World.Unlock()
	abort(r.t, c, now)
}

func TestTCP26_CloseWithAReceivePending(t *testing.T) {
	onlineRig(t, func(r *rig) {
		s, peer := r.pair(r.AddHost("peer.test"), 7)
		check(t, s.Recv(make([]byte, 10), 0))
		check(t, s.Close())
		io.WriteString(peer, "too late")
		r.pass(5 * time.Second)
		if len(r.ev) != 0 {
			t.Error(r.ev)
		}
	})
}

func TestTCP30_TCP31_KeepAlive(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		idle, _ := r.pair(h, 7)
		check(t, idle.Recv(make([]byte, 10), 0))
		r.forget()
		r.pass(time.Hour)
		r.wantAir("TCP-31", 0, "TCP")

		s, _ := r.pair(h, 8)
		for o, v := range map[driver.Opt]int{driver.OptKeepIdle: 4, driver.OptKeepInterval: 2, driver.OptKeepCount: 3} {
			check(t, s.SetOpt(o, v))
		}
		check(t, s.SetOpt(driver.OptKeepAlive, 1))
		check(t, s.Recv(make([]byte, 10), 0))
		r.SetCable(h, air.Link{Down: true})
		r.forget()
		start := r.Now()
		r.expect("TCP-30", 10*time.Second, `1 RECV "" (-12)`)
		if d := r.Now().Sub(start); d < 4*time.Second || d > 6*time.Second {
			t.Error("TCP-30: after", d)
		}
		r.wantAir("TCP-30", 3, "> TCP", ">8 . len 0")
	})
}

func TestUDP_OnTheDevice(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		pc, err := h.ListenPacket("udp", ":7")
		check(t, err)
		read := func() string {
			p := make([]byte, 2000)
			pc.SetReadDeadline(r.Now().Add(time.Second))
			n, _, err := pc.ReadFrom(p)
			if err != nil {
				t.Error(err)
			}
			return string(p[:n])
		}
		s := r.socket(driver.Datagram)
		check(t, s.SendTo([]byte("x"), addrPort0))
		r.expect("UDP-06", time.Second, "7 SENDTO 0 (-11)")
		check(t, s.Send([]byte("x")))
		r.expect("UDP-07, none yet", time.Second, "7 SEND 0 (-11)")
		check(t, s.SendTo([]byte("hello"), at(h, 7)))
		r.expect("UDP-01", time.Second, "7 SENDTO 5")
		if got := read(); got != "hello" {
			t.Errorf("UDP-01: %q", got)
		}
		r.wantAir("UDP-01", 1, "> UDP", ">"+h.Addr.String()+":7 len 5")
		check(t, s.SendTo([]byte("again"), addrPort0))
		check(t, s.Send([]byte("thrice")))
		r.expect("UDP-05, UDP-07", time.Second, "7 SENDTO 5", "7 SEND 6")
		if a, b := read(), read(); a != "again" || b != "thrice" {
			t.Errorf("UDP-05, UDP-07: %q %q", a, b)
		}

		u := r.socket(driver.Datagram)
		check(t, u.Bind(addrPort("0.0.0.0:5000")))
		r.expect("bind", time.Second, "8 BIND")
		to := &net.UDPAddr{IP: r.c.Addr().AsSlice(), Port: 5000}
		from := fmt.Sprintf("%v:7", h.Addr)
		pc.WriteTo([]byte(strings.Repeat("a", 100)), to)
		pc.WriteTo([]byte("second"), to)
		r.pass(time.Second)
		check(t, u.RecvFrom(make([]byte, 40), 0))
		r.expect("UDP-03", time.Second, fmt.Sprintf("8 RECVFROM %q from %s", strings.Repeat("a", 40), from))
		check(t, u.RecvFrom(make([]byte, 40), 0))
		r.expect("UDP-02, UDP-03, UDP-04", time.Second, `8 RECVFROM "second" from `+from)
		check(t, u.RecvFrom(make([]byte, 40), 500*time.Millisecond))
		r.expect("UDP-09", time.Second, "8 RECVFROM \"\" from invalid AddrPort (-13)")

		check(t, u.SetOpt(driver.OptUDPSendEvents, 0))
		r.forget()
		check(t, u.SendTo([]byte("silent"), at(h, 7)))
		r.pass(time.Second)
		if len(r.ev) != 0 || read() != "silent" {
			t.Error("UDP-10: ", r.ev)
		}
		v := r.socket(driver.Datagram)
		check(t, v.SetOpt(driver.OptUDPSendEvents, 0))
		check(t, v.Bind(addrPort("0.0.0.0:5001")))
		check(t, v.SendTo([]byte("told"), at(h, 7)))
		r.expect("UDP-11", time.Second, "9 BIND", "9 SENDTO 4")

		r.forget()
		pc.WriteTo([]byte("nobody"), &net.UDPAddr{IP: r.c.Addr().AsSlice(), Port: 6000})
		r.pass(time.Second)
		r.wantAir("UDP-12", 1, "> ICMP")
		check(t, u.RecvFrom(make([]byte, 40), 0))
		pc.WriteTo([]byte("to all"), &net.UDPAddr{IP: net.IPv4(10, 9, 0, 255), Port: 5000})
		r.expect("UDP-13", time.Second, `8 RECVFROM "to all" from `+from)
		r.forget()
		check(t, v.SendTo([]byte("to all"), addrPort("255.255.255.255:7")))
		r.expect("UDP-14", time.Second, "9 SENDTO 6")
		r.wantAir("UDP-14", 1, "> UDP", ">255.255.255.255:7", "broadcast")
		w := r.socket(driver.Stream)
		r.forget()
		check(t, w.SendTo([]byte("x"), at(h, 7)))
		r.expect("UDP-17", time.Second, "0 SENDTO 0 (-9)")
		r.wantAir("UDP-17", 0, "> TCP")
	})
}

func TestWIF_OnTheDevice(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		s, _ := r.pair(h, 7)
		check(t, s.Recv(make([]byte, 10), 0))
		r.SetCable(h, air.Link{Down: true})
		q := r.socket(driver.Stream)
		check(t, q.Connect(at(h, 9)))
		r.SetCable(r.Router, air.Link{Down: true})
		check(t, r.c.Resolve("peer.test"))
		r.LoseWiFi()
		r.expect("WIF-01 to WIF-04", 20*time.Second,
			"disconnected <nil>", `0 RECV "" (-12)`, "1 CONNECT (-12)", "peer.test invalid IP")
		if r.c.LinkUp() {
			t.Error("WIF-01: the link is up")
		}
		r.SetCable(h, air.Link{})
		r.SetCable(r.Router, air.Link{})
		r.RestoreWiFi()
		r.connect()
		if !r.until(30*time.Second, r.c.LinkUp) {
			t.Fatal("WIF-05: no link")
		}
		r.forget()
		check(t, s.Send([]byte("x")))
		r.until(time.Second, func() bool { return len(r.ev) > 0 })
		if len(r.ev) != 1 || !strings.HasPrefix(r.ev[0], "0 SEND 0 (-") {
			t.Error("WIF-05: ", r.ev)
		}
		r.forget()
		check(t, s.Close())
		r.dial(h, 7)
	})
}

func TestICM_OnTheDevice(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		ping := func(a driver.Addr, ttl uint8) (got []driver.EchoReply) {
			check(t, r.c.Echo(a, ttl, func(e driver.EchoReply) { got = append(got, e) }))
			r.pass(8 * time.Second)
			return got
		}
		ping(h.Addr, 0) // ARP
		r.SetCable(h, air.Link{Delay: 100 * time.Millisecond})
		r.forget()
		got := ping(h.Addr, 0)
		if len(got) != 1 || got[0].Err != nil || got[0].Addr != h.Addr || got[0].RTT < 160*time.Millisecond || got[0].RTT > 240*time.Millisecond {
			t.Error("ICM-01: ", got)
		}
		r.wantAir("ICM-01", 1, "> ICMP echo 1")
		r.wantAir("ICM-05", 0, "> ICMP echo 1", "ttl 0 ")
		r.forget()
		ping(h.Addr, 3)
		r.wantAir("ICM-05", 1, "> ICMP echo 1", "ttl 3 ")
		r.SetCable(h, air.Link{Down: true})
		start := r.Now()
		var after time.Duration
		check(t, r.c.Echo(h.Addr, 0, func(e driver.EchoReply) {
			after = r.Now().Sub(start)
			wantErr(t, "ICM-02", e.Err, driver.ErrEchoTimeout)
		}))
		r.pass(10 * time.Second)
		if after < 3500*time.Millisecond || after > 4500*time.Millisecond {
			t.Error("ICM-02: after", after)
		}
		r.SetCable(h, air.Link{})
		r.forget()
		fill(t, r.c) // ICM-12
		if got := ping(h.Addr, 0); len(got) != 1 || got[0].Err != nil {
			t.Error("ICM-12: ", got)
		}
		r.Go(func() { // ICM-11
			if _, err := h.Ping(ctx, r.c.Addr(), pingConfig()); err != nil {
				t.Error("ICM-11: ", err)
			}
		})
		r.pass(time.Second)
		check(t, r.c.Disconnect())
		r.pass(time.Second)
		if got := ping(h.Addr, 0); len(got) != 1 || got[0].Err != error(driver.ErrUnreachable) {
			t.Error("ICM-10: ", got)
		}
	})
}

func TestCBK_OnTheDevice(t *testing.T) {
	onlineRig(t, func(r *rig) {
		h := r.AddHost("peer.test")
		r.forget()
		check(t, r.c.Resolve("PEER.test"))
		check(t, r.c.Resolve("nobody.test"))
		r.expect("CBK-02, CBK-03, CBK-10", 5*time.Second, "PEER.test "+h.Addr.String(), "nobody.test invalid IP")
		r.forget()
		check(t, r.c.Resolve("10.1.2.3"))
		r.expect("CBK-13", time.Second, "10.1.2.3 10.1.2.3")
		r.wantAir("CBK-13", 0, "UDP", ":53 ")
		r.SetCable(r.Router, air.Link{Down: true})
		start := r.Now()
		check(t, r.c.Resolve("silent.test"))
		r.expect("CBK-04", 40*time.Second, "silent.test invalid IP")
		if d := r.Now().Sub(start); d < 10*time.Second || d > 35*time.Second || r.saw("> UDP", ":53 ") < 2 {
			t.Error("CBK-04: after", d)
		}
	})
}

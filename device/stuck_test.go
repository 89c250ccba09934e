package device

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/stack"
)

// Each cause has a line that says who owes the next step, and the line goes when the step is made.
func TestStuckNamesEachCause(t *testing.T) {
	for _, tc := range []struct {
		line string
		make func(t *testing.T) (*bench, func()) // returns what makes the step
	}{
		{"host: talks to the chip and has not started its firmware", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.m.Init()
			return b, func() { b.h.boot() }
		}},
		{"host: WIFI/CURRENT_RSSI is posted and was not fetched; 0 messages wait behind it", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot()
			send(b.h, hif.OpGetRSSI, hif.None{})
			return b, func() { b.h.fetch() }
		}},
		{"host: has not enabled the interrupt, so it is not told of WIFI/CURRENT_RSSI", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot()
			b.h.write(0x1a00, 0)
			send(b.h, hif.OpGetRSSI, hif.None{})
			return b, func() { b.h.write(0x1a00, 1<<16); b.h.fetch() }
		}},
		{"host: has a buffer for WIFI/GET_CURRENT_RSSI and has not rung the doorbell", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot()
			b.h.request(hif.OpGetRSSI, false, 8)
			return b, func() { send(b.h, hif.OpSleep, hif.Sleep{}) }
		}},
		{"host: fetches too few of its messages; data messages are refused until it does", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot()
			b.h.hold = true
			for range maxReplies {
				send(b.h, hif.OpGetRSSI, hif.None{})
			}
			return b, func() { b.h.hold = false; b.h.pump() }
		}},
		{`network: joining "nowhere"`, func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot()
			c := hif.Connect{SSID: "nowhere", Channel: hif.AllChannels}
			c.Security = hif.SecurityOpen
			b.h.deliver(hif.OpConnect, false, c.Append(nil))
			return b, func() { await(b.h, time.Minute, hif.OpStateChanged, hif.ParseStateChanged) }
		}},
		{`network: no lease from a DHCP server on "bench"`, func(t *testing.T) (*bench, func()) {
			b := newBench(t).withAP("")
			b.h.boot()
			b.h.join("")
			return b, func() {
				serveDHCP(t, b.withPeer(peerIP), time.Hour)
				await(b.h, 2*time.Minute, hif.OpDHCPConf, hif.ParseIPConfig)
			}
		}},
		{`network: no address on "bench": DHCP is off and the host has set none`, func(t *testing.T) (*bench, func()) {
			b := newBench(t).withAP("")
			b.h.boot()
			send(b.h, hif.OpDisableDHCP, hif.None{})
			b.h.join("")
			return b, func() {
				send(b.h, hif.OpDisconnect, hif.None{})
				await(b.h, 0, hif.OpStateChanged, hif.ParseStateChanged)
			}
		}},
		{"network: a scan goes on", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot()
			send(b.h, hif.OpScan, hif.Scan{Channel: 255})
			return b, func() { await(b.h, time.Minute, hif.OpScanDone, hif.ParseScanDone) }
		}},
		{"network: 1 DNS look-ups have no answer", func(t *testing.T) (*bench, func()) {
			b, _ := online(t)
			send(b.h, hif.OpDNSResolve, hif.DNSResolve{Name: "example.test"})
			return b, func() { await(b.h, time.Minute, hif.OpDNSResolve, hif.ParseDNSReply) }
		}},
		{"network: 1 echo requests have no answer", func(t *testing.T) (*bench, func()) {
			b, _ := online(t)
			send(b.h, hif.OpPing, hif.Ping{IP: [4]byte{192, 168, 1, 99}, Count: 1})
			return b, func() { await(b.h, time.Minute, hif.OpPing, hif.ParsePingReply) }
		}},
		{"network: socket 1 has no answer to SYN from 192.168.1.99:80", func(t *testing.T) (*bench, func()) {
			b, _ := online(t)
			send(b.h, hif.OpSockConnect, hif.SockConnect{Addr: netip.MustParseAddrPort("192.168.1.99:80"), Sock: 1, Session: 2})
			return b, func() { b.h.close(1, 2) }
		}},
		{"host: 6 bytes wait on socket 0 for a RECV", func(t *testing.T) (*bench, func()) {
			b, _, c := pair(t)
			c.Write(b.now, []byte("unread"))
			b.run(time.Second)
			return b, func() { b.h.recv(time.Second, recvOf(0, 1)) }
		}},
		{"host: datagrams wait on socket 7 for a RECVFROM", func(t *testing.T) (*bench, func()) {
			b, p := online(t)
			b.h.bind(7, 5353, 1)
			p.s.SendUDP(b.now, netip.AddrPortFrom(peerIP, 1), netip.AddrPortFrom(staticIP, 5353), []byte("unread"))
			b.run(time.Second)
			return b, func() {
				send(b.h, hif.OpRecvFrom, recvOf(7, 1))
				await(b.h, 0, hif.OpRecvFrom, hif.ParseRecvReply)
			}
		}},
		{"host: socket 0 is dead and was not closed", func(t *testing.T) (*bench, func()) {
			b, _, c := pair(t)
			c.Abort(b.now)
			b.run(time.Second)
			return b, func() { b.h.close(0, 1) }
		}},
		{"host: connections wait at socket 1, because all 7 ids of TCP are taken", func(t *testing.T) (*bench, func()) {
			b, p := online(t)
			b.h.bind(1, 80, 1)
			b.h.listen(1, 1)
			for range 7 {
				p.s.Dial(b.now, netip.AddrPort{}, netip.AddrPortFrom(staticIP, 80))
				b.run(2 * time.Second)
				b.h.pump()
			}
			b.h.inbox = nil
			return b, func() {
				b.h.close(6, 0)
				b.run(10 * time.Second)
				b.h.pump()
			}
		}},
		{"network: the peer of socket 0 takes no data; 8 SENDs wait", func(t *testing.T) (*bench, func()) {
			b, p, c := pair(t)
			n := 0
			for ; b.h.sendData(hif.OpSend, hif.Send{Session: 1}, make([]byte, 1400)); n++ {
				b.run(time.Second)
				b.h.pump()
			}
			b.h.inbox = nil
			return b, func() { p.read(c, n*1400); b.run(time.Second); b.h.pump() }
		}},
		{`network: no station has joined "soft"`, func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot().enableAP(apConfig(secret))
			c := b.withClient(1)
			return b, func() { c.join(apName, secret) }
		}},
		{`network: no station has joined "soft"; 3 key messages were made with another passphrase`, func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot().enableAP(apConfig(secret))
			c := b.withClient(1)
			c.join(apName, "wrong horse")
			return b, func() { c.join(apName, secret) }
		}},
		{`network: station 02:cc:00:00:00:01 has not finished the 4-way handshake of "soft"`, func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot().enableAP(apConfig(secret))
			c := b.withClient(1)
			if err := c.sta.Join(b.now, wifi.JoinParams{SSID: apName, Passphrase: secret}); err != nil {
				t.Fatal(err)
			}
			b.until(5*time.Second, "an association", func() bool { return len(b.dev.fw.ap.radio.Stations()) == 1 })
			return b, func() { b.h.state(hif.Connected); c.lease() }
		}},
		{"network: station 02:cc:00:00:00:01 has not asked the DHCP server for an address", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot().enableAP(apConfig(""))
			c := b.withClient(1)
			c.join(apName, "")
			b.h.state(hif.Connected)
			return b, func() { c.lease() }
		}},
		{"network: station 02:cc:00:00:00:01 has not asked for 192.168.5.100, which it was offered", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			b.h.boot().enableAP(apConfig(""))
			c := b.withClient(1)
			c.join(apName, "")
			b.h.state(hif.Connected)
			if err := c.s.UseDHCP(b.now, stack.DHCPConfig{}); err != nil {
				t.Fatal(err)
			}
			offers := func() bool { return b.dev.fw.ap.server.Counters().Offers == 1 }
			b.until(20*time.Second, "an offer", offers)
			return b, func() { b.until(20*time.Second, "a lease", func() bool { return c.s.Addr().IsValid() }) }
		}},
		{"device: no address is left for station 02:cc:00:00:00:01", func(t *testing.T) (*bench, func()) {
			b := newBench(t)
			ap := apConfig("")
			ap.IP[3] = 100 // the first address to lease is our own
			b.h.boot().enableAP(ap)
			c := b.withClient(1)
			c.join(apName, "")
			b.h.state(hif.Connected)
			if err := c.s.UseDHCP(b.now, stack.DHCPConfig{}); err != nil {
				t.Fatal(err)
			}
			b.run(15 * time.Second)
			return b, func() { c.sta.Leave(b.now); b.h.state(hif.Disconnected) }
		}},
		{"network: 1 closed connections still have data that their peers have not acknowledged", func(t *testing.T) (*bench, func()) {
			b, p, c := pair(t)
			n := 0
			for ; b.h.sendData(hif.OpSend, hif.Send{Session: 1}, make([]byte, 1400)); n++ {
				b.run(time.Second)
				b.h.pump()
			}
			b.h.close(0, 1)
			return b, func() { p.read(c, n*1400); b.run(time.Second) }
		}},
	} {
		t.Run(tc.line, func(t *testing.T) {
			b, step := tc.make(t)
			if s := b.dev.Snapshot().Stuck; !slices.Contains(s, tc.line) {
				t.Fatalf("got %q", s)
			}
			step()
			if s := b.dev.Snapshot().Stuck; slices.ContainsFunc(s, func(l string) bool { return strings.HasPrefix(l, tc.line[:20]) }) {
				t.Errorf("still %q", s)
			}
		})
	}
}

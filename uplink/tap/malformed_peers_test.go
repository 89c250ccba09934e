//go:build linux

package tap_test

import (
	"strings"
	"testing"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack"
)

// TestMalformedPacketsOfNping has nping send what no kernel would. Each kind is to be dropped and counted, and the stack to
// be as well as before.
func TestMalformedPacketsOfNping(t *testing.T) {
	peers.Need(t, "nping")
	b := newWire(t)
	b.SetAddr(t)
	l, err := b.Net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	stats := func() stack.Stats {
		b.World.Lock()
		defer b.World.Unlock()
		return *b.Stack.Stats()
	}
	for _, c := range []struct {
		name, args string
		counter    func(s stack.Stats) uint64 // goes up by the three packets that are sent
	}{
		{"wrong IP checksum", "--tcp -p 80 --badsum-ip", func(s stack.Stats) uint64 { return s.IP.BadChecksum }},
		{"wrong TCP checksum", "--tcp -p 80 --badsum", func(s stack.Stats) uint64 { return s.TCP.BadChecksum }},
		{"wrong UDP checksum", "--udp -p 53 --badsum", func(s stack.Stats) uint64 { return s.UDP.BadChecksum }},
		{"source 255.255.255.255", "--udp -p 53 -S 255.255.255.255", func(s stack.Stats) uint64 { return s.IP.BadSource }},
		{"source 224.0.0.1", "--tcp -p 80 -S 224.0.0.1", func(s stack.Stats) uint64 { return s.IP.BadSource }},
		{"source 127.0.0.1", "--tcp -p 80 -S 127.0.0.1", func(s stack.Stats) uint64 { return s.IP.BadSource }},
		{"our own address as source", "--tcp -p 80 -S 10.77.0.2", func(s stack.Stats) uint64 { return s.IP.BadSource + s.Link.OurOwn }},
		{"source route", "--tcp -p 80 --ip-options L10.77.0.9", func(s stack.Stats) uint64 { return s.IP.SourceRouted }},
		{"unknown ICMP type", "--icmp --icmp-type 200", func(s stack.Stats) uint64 { return s.ICMP.Ignored }},
		{"no flags, to a port that listens", "--tcp -p 80 --flags 0", nil},
		{"all flags", "--tcp -p 80 --flags 255", nil},
		{"SYN and FIN", "--tcp -p 80 --flags syn,fin", nil},
		{"to a closed port", "--tcp -p 81 --flags fin,psh,urg", func(s stack.Stats) uint64 { return s.TCP.ResetsSent }},
		{"record route", "--icmp --ip-options R", nil},
		{"tiny fragments", "--udp -p 53 --data-length 40 --mtu 8", func(s stack.Stats) uint64 { return s.IP.Fragments }},
		{"a reverse ARP request", "--arp --arp-type rarp", func(s stack.Stats) uint64 { return s.ARP.Malformed }},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := stats()
			args := append(strings.Fields(c.args), "-e", "tap0", "-c", "3", "--delay", "1ms", "--no-capture", "10.77.0.2")
			if strings.Contains(c.args, "--mtu") {
				args = append(args, "--send-ip") // the only way in which it makes fragments
			} else {
				args = append(args, "--send-eth", "--dest-mac", peers.StackMAC.String())
			}
			out := b.For(t).Run("nping", args...)
			if c.counter != nil {
				peers.Poll(t, "the counter to go up by 3", nil, func() bool { return c.counter(stats())-c.counter(before) >= 3 })
			}
			if _, err := b.Net.Ping(t.Context(), peers.KernelAddr.Addr(), stack.PingConfig{}); err != nil {
				t.Errorf("ping afterwards: %v\n%s", err, out)
			}
		})
	}
	ours, theirs := b.Accepted(t)
	peers.CheckExchange(t, ours, theirs, 1<<20, false)
}

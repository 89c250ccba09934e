package main

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-net/understudy/understudytest"
)

const waiting = `device   winc1500-19.7.7, firmware 19.7.7, host driver 19.7.7, 02:57:49:4e:43:01
link     joined, understudy (WPA2-PSK), 02:61:70:00:00:01, channel 6, -40 dBm
address  10.9.0.100/24 by DHCP, gateway 10.9.0.1, DNS 10.9.0.1
clock    2020-01-01 00:00:03 UTC, from time.nist.gov
bus      101 requests, 54 messages; nothing is before the host

ID  KIND  STATE      LOCAL             REMOTE          IN  OUT    HOST
0   TCP   listening  *:80              -               0   0      -
1   TCP   connected  10.9.0.100:56783  10.9.0.10:7000  0   63277  RECV, 46 SENDs
    ESTABLISHED, RTT 33.7 ms, peer's window 0
7   UDP   bound      *:5000            -               -   0      RECV

who owes the next step
  network  63277 bytes of socket 1 are not acknowledged  (0.0 s)
`

// What a person and a program see of a device that waits: for its host, and for a peer that reads nothing.
func TestLookAtADeviceThatWaits(t *testing.T) {
	b := understudytest.Virtual(t, 1)
	var l look
	err := b.Run(func() {
		peer := b.AddHost("peer.test")
		if _, err := peer.Listen("tcp", ":7000"); err != nil { // nobody accepts and reads
			t.Error(err)
			return
		}
		if err := b.Join(); err != nil {
			t.Error(err)
			return
		}
		if _, err := b.Net.Listen(t.Context(), "tcp", ":80"); err != nil {
			t.Error(err)
		}
		if _, err := b.Net.ListenPacket(t.Context(), "udp", ":5000"); err != nil {
			t.Error(err)
		}
		c, err := b.Net.DialContext(t.Context(), "tcp", netip.AddrPortFrom(peer.Addr, 7000).String())
		if err != nil {
			t.Error(err)
			return
		}
		c.SetWriteDeadline(b.Now().Add(3 * time.Second))
		if n, err := c.Write(make([]byte, 1<<20)); err == nil || n == 0 {
			t.Error(n, err)
		}
		now := b.World.Lock()
		s := b.Device.Snapshot()
		b.World.Unlock()
		l = newLook(now, &s)
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(waiting, l.text(false)); d != "" {
		t.Errorf("told is (-want +got)\n%s", d)
	}
	var again look
	if text, err := json.Marshal(l); err != nil || json.Unmarshal(text, &again) != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l.text(true), again.text(true)); d != "" {
		t.Errorf("what a program reads is not what was told:\n%s", d)
	}
}

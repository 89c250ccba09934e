//go:build linux

package tap_test

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/stack/sntp"
)

// TestTimeFromChrony asks chrony, which has its time from the clock of this machine, through the stack.
func TestTimeFromChrony(t *testing.T) {
	peers.Need(t, "chronyd")
	b := newWire(t)
	b.SetAddr(t)
	path, _ := peers.Config(t, "chrony.conf", `
local stratum 3
allow 10.77.0.0/24
bindaddress 10.77.0.1
cmdport 0
pidfile DIR/pid
driftfile DIR/drift
user root
`)
	p := b.Start("chronyd", "-d", "-x", "-U", "-f", path)
	b.WaitListen("udp", 123, p)

	c, err := sntp.NewClient(sntp.ClientConfig{Rand: rand.NewPCG(11, 12), Servers: []string{peers.KernelAddr.Addr().String()}, StartDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	c.Start(b.World.Now())
	c.Advance(b.World.Now())
	payload, port, to, ok := c.Output(b.World.Now(), nil)
	if !ok {
		t.Fatal("the client asks nothing")
	}
	conn, err := b.Net.ListenPacket("udp", netip.AddrPortFrom(peers.StackAddr.Addr(), port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.WriteTo(payload, net.UDPAddrFromAddrPort(to)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		t.Fatalf("no answer: %v\n%s", err, p.Output())
	}
	c.Input(b.World.Now(), from.(*net.UDPAddr).AddrPort(), port, buf[:n])
	e, ok := c.NextEvent()
	if !ok || e.Kind != sntp.EventSynced {
		t.Fatalf("%+v, %+v\n%x\n%s", e, c.Counters(), buf[:n], p.Output())
	}
	if e.Offset.Abs() > 100*time.Millisecond {
		t.Errorf("the clock of this machine differs from itself by %v", e.Offset)
	}
	got, known := c.Time(b.World.Now())
	if d := time.Since(got).Abs(); !known || d > time.Second {
		t.Errorf("it is %v, says the client: %v away", got, d)
	}
}

package interop

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/beevik/ntp"

	"github.com/understudy-net/understudy/stack/sntp"
)

// beevik/ntp asks our server over our stack.
func TestNTPServerAnswersAnotherClient(t *testing.T) {
	c := newCable(t)
	a, b := c.addOurs(t, 1), c.addOurs(t, 2)
	pc, err := b.ListenPacket("udp", ":123")
	if err != nil {
		t.Fatal(err)
	}
	const ahead = 42 * time.Second
	go func() {
		s := sntp.Server{Stratum: 2, RefID: [4]byte{10, 0, 0, 1}}
		buf := make([]byte, 1024)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, ok := s.Reply(time.Now().Add(ahead), nil, buf[:n]); ok {
				pc.WriteTo(reply, from)
			}
		}
	}()
	defer pc.Close()
	for _, version := range []int{3, 4} {
		r, err := ntp.QueryWithOptions("10.0.0.2", ntp.QueryOptions{Version: version, Timeout: 10 * time.Second,
			Dialer: func(_, remote string) (net.Conn, error) { return a.Dial(context.Background(), "udp", remote) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		if d := (r.ClockOffset - ahead).Abs(); d > 100*time.Millisecond {
			t.Errorf("version %d: %v ahead, want %v", version, r.ClockOffset, ahead)
		}
		if r.Stratum != 2 {
			t.Errorf("version %d: stratum %d", version, r.Stratum)
		}
	}
}

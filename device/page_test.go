package device

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/remote"
	"github.com/understudy-net/understudy/uplink/user"
	"github.com/understudy-net/understudy/world"
)

// Each known driver fetches a page from a real web server, over a Unix socket and on the wall clock.
func TestKnownHostsFetchAPage(t *testing.T) {
	page := strings.Repeat("a page of some length\n", 150)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, page) }))
	t.Cleanup(web.Close)
	u, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range knownHosts {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{habits: h, t: t, port: realBus(t), crc: true, packet: 1024, sleep: time.Sleep, keep: 5 * time.Millisecond}
			s.boot(s)
			s.join("")
			s.dial(0, 1, netip.AddrPortFrom(s.resolve("host.internal"), uint16(port)))
			s.must(s.sendData(0x45, 0, 1, []byte("GET / HTTP/1.0\r\nHost: host.internal\r\n\r\n")), "SEND")
			var got []byte
			for {
				data, n := s.recv(hif.OpRecv, 0, 1)
				if n <= 0 {
					if n != 0 {
						t.Errorf("status %d at the end", n)
					}
					break
				}
				got = append(got, data...)
			}
			head, body, _ := strings.Cut(string(got), "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.0 200") || body != page {
				t.Errorf("got %q and %d bytes, want %d", head, len(body), len(page))
			}
		})
	}
}

// realBus runs a device in an open network with an uplink to this machine, and returns its bus behind a Unix socket.
func realBus(t *testing.T) *remote.Client {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	w := world.New()
	wg.Go(func() { w.Run(ctx) })

	now := w.Lock()
	medium := air.New(air.Config{Rand: rand.NewPCG(1, 2)})
	medium.OnSend = w.Add(medium).Touch
	var up *user.Uplink
	var apSlot, devSlot *world.Slot
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: medium, MAC: apMAC, Rand: rand.NewPCG(3, 4), SSID: ssid, Channel: 6, Touch: func() { apSlot.Touch() },
		Output: func(now time.Time, eth []byte) {
			if up != nil {
				up.Input(now, eth)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	apSlot = w.Add(ap)
	ap.Start(now)
	d, err := New(Config{MAC: devMAC, Rand: rand.NewPCG(5, 6), Air: medium, Touch: func() { devSlot.Touch() }})
	if err != nil {
		t.Fatal(err)
	}
	devSlot = w.Add(d)
	w.Unlock()
	uplink, err := user.New(user.Config{
		World: w, Rand: rand.NewPCG(7, 8), AllowHost: true,
		Output: func(now time.Time, eth []byte) { ap.Send(now, eth); apSlot.Touch() },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Lock()
	up = uplink
	w.Unlock()
	t.Cleanup(func() { uplink.Close(); w.Close() })

	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("no Unix socket here: %v", err)
	}
	wg.Go(func() { remote.Serve(ctx, l, d.Port(w, devSlot.Touch)) })
	c, err := remote.Dial(ctx, "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

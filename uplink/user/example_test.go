package user_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/uplink/user"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// A device joins a virtual access point, gets an address from the uplink behind it, and fetches a page from a real
// server on this machine's loopback, which AllowHost has opened.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.Host)
	}))
	defer server.Close()

	// The world, its medium, and an access point with an uplink on its far side.
	w := world.New()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go w.Run(ctx)
	rnd := rand.NewPCG(1, 2)
	medium := air.New(air.Config{})
	var uplink *user.Uplink
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: medium, MAC: wire.MAC{2, 0, 0, 0, 0, 1}, Rand: rnd, SSID: "lab", Channel: 6,
		Output: func(now time.Time, eth []byte) { uplink.Input(now, eth) },
	})
	if err != nil {
		log.Fatal(err)
	}
	uplink, err = user.New(user.Config{
		World:     w,
		Output:    ap.Send,
		AllowHost: true,
		Log:       func(e user.Event) { log.Print(e) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer uplink.Close()

	// The device: a station with a stack on it.
	joined := make(chan struct{})
	configured := make(chan stack.Event, 1)
	var host *stack.Host
	var hostSlot *world.Slot
	sta, err := wifi.NewStation(wifi.StationConfig{
		Air: medium, MAC: wire.MAC{2, 0, 0, 0, 0, 2}, Rand: rnd,
		Output: func(now time.Time, eth []byte) { host.Stack.Input(now, eth); hostSlot.Touch() },
		Handle: func(now time.Time, e wifi.Event) {
			if e.Kind == wifi.EventJoined {
				close(joined)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := stack.New(stack.Config{MAC: sta.MAC(), Rand: rnd, Output: sta.Send, ACD: stack.ACD{Off: true}})
	if err != nil {
		log.Fatal(err)
	}
	host = &stack.Host{Stack: s, Handle: func(now time.Time, e stack.Event) {
		if e.Flags.Has(stack.Configured) {
			configured <- e
			return
		}
		stack.HandleSock(now, e)
	}}

	// All of them belong to the world.
	now := w.Lock()
	medium.OnSend = w.Add(medium).Touch
	w.Add(ap)
	w.Add(sta)
	hostSlot = w.Add(host)
	ap.Start(now)
	sta.Join(now, wifi.JoinParams{SSID: "lab"})
	w.Unlock()

	<-joined
	now = w.Lock()
	s.UseDHCP(now, stack.DHCPConfig{})
	hostSlot.Touch()
	w.Unlock()
	fmt.Println("address", (<-configured).Address.Prefix)

	// To the device the host is host.internal.
	dev := &stack.Net{Owner: w, Stack: s}
	client := http.Client{Transport: &http.Transport{DialContext: dev.Dial, DisableKeepAlives: true}}
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	resp, err := client.Get("http://" + net.JoinHostPort(uplink.Host().String(), port) + "/")
	if err != nil {
		log.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(resp.Status, len(body) > 0)
	// Output:
	// address 10.77.0.10/24
	// 200 OK true
}

package sntp_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/understudy-net/understudy/stack/sntp"
)

// A client whose clock is six years slow, and a server 40 ms away.
func Example() {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	truth := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var server sntp.Server

	client, err := sntp.NewClient(sntp.ClientConfig{
		Rand: rand.NewPCG(1, 2), Servers: []string{"192.0.2.123"}, StartDelay: -1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Start(now)
	client.Advance(now)
	request, port, to, _ := client.Output(now, nil)

	reply, _ := server.Reply(truth.Add(20*time.Millisecond), nil, request)
	now = now.Add(40 * time.Millisecond)
	client.Input(now, to, port, reply)

	e, _ := client.NextEvent()
	t, _ := client.Time(now)
	fmt.Println(e.Kind, t.Round(time.Millisecond))
	// Output: synced 2026-01-01 00:00:00.04 +0000 UTC
}

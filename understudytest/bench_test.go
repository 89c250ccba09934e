package understudytest_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/understudytest"
)

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello from "+r.Host) }

// get is an HTTP GET without net/http's goroutines.
func get(t *testing.T, b *understudytest.Bench, host string) string {
	t.Helper()
	c, err := b.Net.DialContext(context.Background(), "tcp", host+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req, _ := http.NewRequest("GET", "http://"+host+"/", nil)
	if err := req.Write(c); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func tour(t *testing.T, b *understudytest.Bench) {
	start := b.Now()
	www := b.AddHost("www.test")
	if err := www.HandleHTTP(80, http.HandlerFunc(hello)); err != nil {
		t.Fatal(err)
	}
	if err := b.Join(); err != nil {
		t.Fatal(err)
	}
	if !b.Client.LinkUp() {
		t.Error("no link after Join")
	}
	if rtt, err := b.Net.Ping(context.Background(), www.Addr); err != nil || rtt > time.Second {
		t.Error(rtt, err)
	}
	if got := get(t, b, "www.test"); got != "hello from www.test" {
		t.Errorf("%q", got)
	}
	t.Log("took", b.Now().Sub(start))
}

func TestVirtual(t *testing.T) {
	b := understudytest.Virtual(t, 1)
	if err := b.Run(func() { tour(t, b) }); err != nil {
		t.Fatal(err)
	}
}

func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { tour(t, understudytest.New(t)) })
}

func TestWall(t *testing.T) { tour(t, understudytest.New(t)) }

func TestParallel(t *testing.T) {
	for range 4 {
		t.Run("bench", func(t *testing.T) {
			t.Parallel()
			b := understudytest.Virtual(t, 0)
			if err := b.Run(func() { tour(t, b) }); err != nil {
				t.Fatal(err)
			}
		})
	}
}

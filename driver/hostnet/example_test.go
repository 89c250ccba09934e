package hostnet_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// An HTTP request through driver, bus, device, Wi-Fi and a peer's TCP, in
// virtual time.
func Example() {
	bench, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bench.Close()
	bench.Run(func() {
		web := bench.AddHost("web.test")
		web.HandleHTTP(80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello from %s", r.Host)
		}))

		ctx := context.Background()
		var n *hostnet.Net = bench.Net
		if err := n.Join(ctx, bench.BSS(), bench.Auth()); err != nil {
			fmt.Println(err)
			return
		}
		c, err := n.DialContext(ctx, "tcp", "web.test:80")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer c.Close()
		req, _ := http.NewRequest("GET", "http://web.test/", nil)
		req.Write(c)
		resp, err := http.ReadResponse(bufio.NewReader(c), req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		fmt.Println(resp.Status, string(body))

		_, err = n.DialContext(ctx, "tcp", "web.test:81")
		fmt.Println(err)
	})
	// Output:
	// 200 OK hello from web.test
	// dial tcp 10.9.0.10:81: socket: CONN_ABORTED (-12): connection refused, or nobody there
}

// A server on the device.
func ExampleNet_Listen() {
	bench, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bench.Close()
	bench.Run(func() {
		ctx := context.Background()
		var n *hostnet.Net = bench.Net
		if err := n.Join(ctx, bench.BSS(), bench.Auth()); err != nil {
			fmt.Println(err)
			return
		}
		l, err := n.Listen(ctx, "tcp", ":7")
		if err != nil {
			fmt.Println(err)
			return
		}
		bench.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return // closed
				}
				bench.Go(func() { echoTo(c) })
			}
		})
		peer := bench.AddHost("peer.test")
		c, err := peer.Dial(ctx, "tcp", l.Addr().String())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Fprint(c, "there and back")
		p := make([]byte, 14)
		io.ReadFull(c, p)
		fmt.Println(string(p))
		c.Close()
		l.Close()
	})
	// Output: there and back
}

func echoTo(c net.Conn) {
	defer c.Close()
	io.Copy(c, c)
}

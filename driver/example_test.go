package driver_test

import (
	"fmt"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// A program in the documented style: everything is asked for, and told later.
// Here the controller is one in software, in virtual time; a real one differs
// in the port given to driver.New.
func Example() {
	bench, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bench.Close()
	bench.Run(func() {
		bench.AddHost("server.test").HandleUDP(7, upper)
		d, c := bench.Driver, bench.Client
		done := false
		buf := make([]byte, 100)
		c.OnSocket(func(s driver.Socket, m driver.Msg) {
			switch m := m.(type) {
			case driver.SendToMsg:
				fmt.Println("sent", m.N, "bytes")
			case driver.RecvFromMsg:
				fmt.Printf("%v says %q\n", m.Peer, m.Data)
				done = true
			}
		})
		c.OnResolve(func(name string, addr driver.Addr) {
			fmt.Println(name, "is", addr)
			s, _ := c.Socket(driver.Datagram, driver.Plain)
			s.SendTo([]byte("hello"), addrPort(addr.String()+":7"))
			s.RecvFrom(buf, 0)
		})
		c.UseDHCP(func(addr driver.Addr) {
			fmt.Println("our address is", addr)
			c.Resolve("server.test")
		})
		c.Connect(bench.BSS(), bench.Auth(), func(e driver.ConnEvent) {
			fmt.Println(e.State, "link up:", c.LinkUp())
		})
		for !done {
			d.Tasks()
			d.Config().Idle(bench.Now().Add(1e9))
		}
	})
	// Output:
	// connected link up: false
	// our address is 10.9.0.100
	// server.test is 10.9.0.10
	// sent 5 bytes
	// 10.9.0.10:7 says "HELLO"
}

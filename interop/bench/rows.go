package main

import (
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/world"
)

// target is what a row is to reach: so many times the speed of another column, or of a Mbit/s if over is "".
type target struct {
	over  string
	times float64
}

// row is one kind of work.
type row struct {
	key, title string
	unit       string
	bytes      int  // of a unit, if that makes a rate
	wall       bool // judged by the clock, not by CPU time
	entrants   []entrant
	targets    []target
}

const ours = "understudy"

func rows() []row {
	return []row{
		{key: "bulk", title: "TCP bulk, one stream", unit: "1460 B", bytes: unit,
			entrants: []entrant{{name: ours, make: oursBulk(1, 0)}, {name: "floor", make: floor}, {name: "5 copies", make: fiveCopies},
				{name: "gvisor", make: gvisorBulk(1, 0)}, {name: "lneto", make: lnetoBulk(1)}},
			targets: []target{{"floor", 1 / 2.3}, {"gvisor", 11}, {"lneto", 4}}},
		{key: "cores", title: "TCP bulk, one stream, on two cores: each side its own goroutine", unit: "1460 B", bytes: unit, wall: true,
			entrants: []entrant{{name: ours, procs: 2, make: oursCores}, {name: "one core", make: oursBulk(1, 0)},
				{name: "gvisor", procs: 2, make: gvisorBulk(1, 0)}},
			targets: []target{{"one core", 0.8}}},
		{key: "netbulk", title: "TCP bulk, one stream, goroutines that block on the net adapters", unit: "1460 B", bytes: unit,
			entrants: []entrant{{name: ours, make: oursBulkBlocking}, {name: "by hand", make: oursBulk(1, 0)},
				{name: "gvisor", make: gvisorBulk(1, 0)}, {name: "lneto", make: lnetoBulkBlocking}}},
		{key: "streams", title: "64 streams beside 10,000 idle connections", unit: "1460 B", bytes: unit,
			entrants: []entrant{{name: ours, make: oursBulk(64, 10000)}, {name: "one stream", make: oursBulk(1, 0)},
				{name: "gvisor", make: gvisorBulk(64, 10000)}},
			targets: []target{{"one stream", 0.8}}},
		{key: "pingpong", title: "ping-pong of 1 byte, by events", unit: "round trip",
			entrants: []entrant{{name: ours, make: oursPingPong}, {name: "lneto", make: lnetoPingPong}},
			targets:  []target{{"lneto", 2}}},
		{key: "blocking", title: "ping-pong of 1 byte, goroutines that block on the net adapters", unit: "round trip",
			entrants: []entrant{{name: ours, make: oursPingPongBlocking}, {name: "gvisor", make: gvisorPingPong},
				{name: "lneto", make: lnetoPingPongBlocking}},
			targets: []target{{"gvisor", 18}, {"lneto", 3}}},
		{key: "connect", title: "connect + close", unit: "connection",
			entrants: []entrant{{name: ours, make: oursConnect}, {name: "gvisor", make: gvisorConnect}, {name: "lneto", make: lnetoConnect}},
			targets:  []target{{"gvisor", 25}, {"lneto", 1.5}}},
		{key: "udp64", title: "UDP, 64 bytes", unit: "datagram", bytes: 64,
			entrants: []entrant{{name: ours, make: oursUDP(64)}, {name: "gvisor", make: gvisorUDP(64)}, {name: "gvisor, gonet", make: gvisorUDPConn(64)}, {name: "lneto", make: lnetoUDP(64)}},
			targets:  []target{{"gvisor", 28}, {"lneto", 1.8}}},
		{key: "udp1400", title: "UDP, 1400 bytes", unit: "datagram", bytes: 1400,
			entrants: []entrant{{name: ours, make: oursUDP(1400)}, {name: "gvisor", make: gvisorUDP(1400)}, {name: "gvisor, gonet", make: gvisorUDPConn(1400)}, {name: "lneto", make: lnetoUDP(1400)}},
			targets:  []target{{"gvisor", 14}, {"lneto", 4.5}}},
		{key: "machine-up", title: "one TCP stream through the whole machine, from the driver", unit: "1460 B", bytes: unit, wall: true,
			entrants: machineEntrants(true), targets: []target{{"", 400}}},
		{key: "machine-down", title: "one TCP stream through the whole machine, to the driver", unit: "1460 B", bytes: unit, wall: true,
			entrants: machineEntrants(false), targets: []target{{"", 400}}},
	}
}

// machineEntrants runs it in virtual time, on the wall clock, and on the wall
// clock with an air as slow as a real one.
func machineEntrants(up bool) []entrant {
	return []entrant{
		{name: ours, make: wholeMachine(up, virtual, 0)},
		{name: "wall clock", make: wholeMachine(up, world.New, time.Nanosecond)},
		{name: "0.3 ms a frame", make: wholeMachine(up, world.New, air.TypicalDelay)},
	}
}

func virtual() *world.World { return world.NewVirtual(world.Epoch) }

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/bus/remote"
)

func newRun(std stdio) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a device for a host in another process, until Ctrl-C",
		Long: `Run a device with its bus on a socket, an access point on the virtual air, and
the uplink. A host is another verb with --bus, or any program that speaks the
protocol of docs/bus-socket.md. One host has the bus at a time.

When nothing moves for 2 s although something is pending, it says what, and who
owes the next step. "understudy sockets" shows that and more at any time, while
a host has the bus; so does the signal SIGUSR1, here.`,
		Example: `  understudy run --bus unix:/tmp/winc.sock
  understudy get --bus unix:/tmp/winc.sock http://example.com/
  understudy sockets --bus unix:/tmp/winc.sock --watch`,
		Args:    argCount(0, "no arguments"),
		PreRunE: func(*cobra.Command, []string) error { return o.check2() },
		RunE: func(c *cobra.Command, _ []string) error {
			return serve(c.Context(), std, &o)
		},
	}
	f := c.Flags()
	o.network(f)
	o.machine(c)
	f.StringVar(&o.bus, "bus", "", "offer the bus at `ADDR`: unix:PATH or tcp:HOST:PORT (required)")
	f.BoolVar(&o.json, "json", false, "print JSON, one object a line")
	return c
}

// check2 is check for run, which offers the bus.
func (o *options) check2() error {
	if o.bus == "" {
		return usagef("run needs --bus unix:PATH or --bus tcp:HOST:PORT")
	}
	if _, _, err := busAddr(o.bus); err != nil {
		return err
	}
	local := *o
	local.bus = ""
	return local.check()
}

func serve(ctx context.Context, std stdio, o *options) (err error) {
	l, err := listenBus(o.bus)
	if err != nil {
		return err
	}
	m, err := newMachine(o, std.err)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	port, traced, err := startTrace(o.trace, m.port)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, traced.Close()) }()
	p := printer{std.out, o.json}
	security := "WPA2"
	if o.passphrase == "" {
		security = "open"
	}
	err = p.result(map[string]any{"bus": o.bus, "addr": l.Addr().String(), "ssid": o.ssid, "uplink": o.uplink, "profile": o.profile, "mac": m.mac.String()},
		"device   %s, %v\nbus      %s:%v\nnetwork  %s (%s), uplink %s\nCtrl-C ends it.\n",
		o.profile, m.mac, l.Addr().Network(), l.Addr(), printable(o.ssid), security, o.uplink)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	watching, stop := context.WithCancel(ctx)
	asked, stopAsking := notifyStuck()
	defer stopAsking()
	var wg sync.WaitGroup
	wg.Go(func() { m.watch(watching, asked) })
	defer wg.Wait()
	defer stop()
	return (&remote.Server{Port: port, Inspect: m.inspect}).Serve(ctx, l) // closes l
}

// listenBus listens at unix:PATH or tcp:HOST:PORT. A socket that a dead process
// left behind is replaced, a living one is not.
func listenBus(bus string) (net.Listener, error) {
	network, addr, err := busAddr(bus)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen(network, addr)
	if network != "unix" || !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	if c, dialErr := net.Dial(network, addr); dialErr == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another device runs there", bus)
	} else if !errors.Is(dialErr, syscall.ECONNREFUSED) {
		return nil, err
	}
	if info, statErr := os.Lstat(addr); statErr != nil || info.Mode()&os.ModeSocket == 0 {
		return nil, err
	}
	if err := os.Remove(addr); err != nil {
		return nil, err
	}
	return net.Listen(network, addr)
}

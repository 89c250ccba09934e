package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-net/understudy/board"
	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/remote"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
)

// host is the host's side of a verb: a driver on a bus, on a device in this
// process or elsewhere.
type host struct {
	*hostnet.Net
	o       *options
	machine *machine // nil with --bus
	trace   *trace
	driver  *driver.Driver
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	closeBus func() error // with --bus; the second call does nothing
	calm     func() bool  // ends the wait for Ctrl-C
}

// busPatience is how long a bus may hold up the end of a verb.
const busPatience = 5 * time.Second

// hurry lets the verb end though the other end of its bus is silent: who waits
// there holds locks that Close needs, and hears of no context.
func (h *host) hurry() { time.AfterFunc(busPatience, func() { h.closeBus() }) }

// openHost boots a controller. Close the host at the end.
func openHost(ctx context.Context, o *options, log io.Writer) (*host, error) {
	h := &host{o: o}
	port, err := h.openBus(ctx, log)
	if h.closeBus != nil {
		h.calm = context.AfterFunc(ctx, h.hurry)
	}
	if err == nil {
		port, h.trace, err = startTrace(o.trace, port)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	run, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.driver = driver.New(port, driver.Config{})
	h.Net = hostnet.New(h.driver, hostnet.Config{})
	h.wg.Go(func() { h.driver.Run(run) })
	ctx, stop := context.WithTimeout(ctx, o.timeout)
	defer stop()
	if err := h.Ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("boot: %w", err), h.Close())
	}
	return h, nil
}

func (h *host) openBus(ctx context.Context, log io.Writer) (bus.Port, error) {
	if h.o.bus == "" {
		m, err := newMachine(h.o, log)
		if err != nil {
			return nil, err
		}
		h.machine = m
		return m.port, nil
	}
	if strings.HasPrefix(h.o.bus, spiBus) {
		p, err := board.Open(h.o.bus)
		if err != nil {
			return nil, err
		}
		h.closeBus = sync.OnceValue(p.Close)
		return p, nil
	}
	network, addr, err := busAddr(h.o.bus)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, h.o.timeout)
	defer stop()
	c, err := remote.Dial(ctx, network, addr)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil, fmt.Errorf("no device at %s: %w\nstart one with: understudy run --bus %s", h.o.bus, err, h.o.bus)
	case err != nil:
		return nil, fmt.Errorf("bus %s: %w", h.o.bus, err)
	}
	h.closeBus = sync.OnceValue(c.Close)
	return c, nil
}

// joinedHost is openHost and a join of the network.
func joinedHost(ctx context.Context, o *options, log io.Writer) (*host, error) {
	h, err := openHost(ctx, o, log)
	if err != nil {
		return nil, err
	}
	if err := h.join(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// join joins the network.
func (h *host) join(ctx context.Context) error {
	o := h.o
	ctx, stop := context.WithTimeout(ctx, o.timeout)
	defer stop()
	err := h.Join(ctx, driver.BSS{SSID: o.ssid}, o.auth())
	switch {
	case errors.Is(err, driver.ErrAuthFail):
		err = fmt.Errorf("%w (--passphrase)", err)
	case errors.Is(err, driver.ErrScanFail):
		err = fmt.Errorf("%w\nno such network; see what there is with: understudy scan", err)
	case errors.Is(err, context.DeadlineExceeded) && o.bus == "" && o.noDHCP() != "":
		err = fmt.Errorf("%w\n%s", err, o.noDHCP())
	}
	return err
}

// explain adds to a failure what the uplink knows about it.
func (h *host) explain(err error) error {
	if err == nil || h.machine == nil {
		return err
	}
	if hint := h.machine.hint(errors.Is(err, hostnet.ErrTimeUnknown)); hint != "" {
		return fmt.Errorf("%w\n%s", err, hint)
	}
	return err
}

// Close ends the driver, the bus and the machine, in this order.
func (h *host) Close() error {
	if h.closeBus != nil && h.calm() {
		h.hurry()
	}
	if h.driver != nil {
		h.driver.Close()
		h.cancel()
		h.wg.Wait()
	}
	var err error
	if h.closeBus != nil {
		err = h.closeBus()
	}
	if h.machine != nil {
		err = errors.Join(err, h.machine.Close())
	}
	return errors.Join(err, h.trace.Close())
}

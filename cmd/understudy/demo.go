package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

func newDemo(std stdio) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "A tour of the whole machine, in virtual time, without any network",
		Long: `A tour of the whole machine: a controller is booted over its SPI bus, scans, joins
a WPA2 network, gets an address and the time, resolves names, pings, talks UDP, TCP
and TLS, fetches a page over a bad link, survives the loss of the network, is an
access point itself, and gets new firmware in the end. Everything is in this process: the host, the bus,
the controller, the air, an access point and the hosts behind it. Time is virtual,
so a minute of theirs takes a moment of ours.

Each step is verified; the exit code is 0 only if all held.`,
		Args: argCount(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return demo(c.Context(), std, o) },
	}
	f := c.Flags()
	f.BoolVar(&o.realtime, "realtime", false, "let a second of theirs take a second of ours")
	f.Uint64Var(&o.seed, "seed", 1, "seed of all randomness; the same seed gives the same run")
	f.StringVar(&o.pcap, "pcap", "", "write what is on the air to `FILE`, as pcapng for Wireshark")
	f.BoolVar(&o.json, "json", false, "print JSON, one object a line")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell every message on the bus, not the first few of each kind")
	return c
}

type demoOptions struct {
	realtime, json, verbose bool
	seed                    uint64
	pcap                    string
}

// tour is a run of the demo: the bench, and the story that is told about it.
type tour struct {
	*understudytest.Bench
	certs certificates
	story *story
	ctx   context.Context
}

// step is one act of the demo. run tells what it does and returns what was
// verified, or why that failed.
type step struct {
	title string
	run   func(t *tour) (verified string, err error)
}

func demo(ctx context.Context, std stdio, o demoOptions) (err error) {
	began := time.Now()
	s := &story{w: std.out, json: o.json, ink: colors(std.out), all: o.verbose}
	certs, err := newCertificates()
	if err != nil {
		return err
	}
	chip, err := certs.newFlash()
	if err != nil {
		return err
	}
	b, err := understudytest.Make(world.NewVirtual(world.Epoch), understudytest.Config{
		Seed:   o.seed,
		NoBoot: true,
		Device: device.Config{Trace: s.message, Flash: chip},
	})
	if err != nil {
		return err
	}
	defer b.Close()
	s.begin(b.Now(), o)
	if o.realtime {
		s.pace = func(at time.Time) { sleepUntil(ctx, began.Add(at.Sub(world.Epoch))) }
	}
	stop, err := demoCapture(b, o.pcap)
	if err != nil {
		return err
	}
	t := &tour{Bench: b, certs: certs, story: s, ctx: ctx}
	var failed error
	if stalled := b.Run(func() { failed = t.play(ctx) }); stalled != nil {
		failed = stalled
	}
	failed = errors.Join(failed, stop())
	s.end(b.Now(), len(steps), time.Since(began), o, failed)
	if s.err != nil {
		failed = errors.Join(failed, s.err)
	}
	return failed
}

// play runs the steps one after the other, up to the first that fails.
func (t *tour) play(ctx context.Context) error {
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := t.Now()
		t.story.heading(start, step.title)
		verified, err := step.run(t)
		t.story.outcome(t.Now(), start, verified, err)
		if err != nil {
			return fmt.Errorf("step %q: %w", step.title, err)
		}
	}
	return nil
}

// call tells a call of the host's.
func (t *tour) call(format string, args ...any) { t.story.call(t.Now(), format, args...) }

// sleepUntil waits on the real clock.
func sleepUntil(ctx context.Context, at time.Time) {
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
	}
}

// demoCapture starts the capture, if there is to be one.
func demoCapture(b *understudytest.Bench, path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--pcap: %w", err)
	}
	flush, err := b.Capture(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		if err := errors.Join(flush(), f.Close()); err != nil {
			return fmt.Errorf("--pcap: %w", err)
		}
		return nil
	}, nil
}

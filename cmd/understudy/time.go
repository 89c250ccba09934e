package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/driver/hostnet"
)

// secondTurns bounds the wait for the device's second to turn.
const secondTurns = 5 * time.Second

// maxServerName is the longest name of a time server that a device takes.
const maxServerName = 32

func newTime(std stdio) *cobra.Command {
	var o options
	var server string
	c := &cobra.Command{
		Use:   "time",
		Short: "Show the device's time and how far this host's clock is from it",
		Long: `Join the network, wait until the device knows the time, and show it, in UTC,
with its offset: the device's clock minus this host's.

The device asks by itself (SNTP): a server that the network's DHCP names, then
time.nist.gov or the one of --server, then pool.ntp.org. It tells whole seconds;
the offset is finer, because the moment is caught in which its second turns.`,
		Args: argCount(0, "no arguments"),
	}
	c.Flags().StringVar(&server, "server", "", "ask the time server `NAME` first, also an IPv4 address; *.NAME is a pool")
	return hostVerb(std, c, &o, false, func(ctx context.Context, h *host, p printer, _ []string) error {
		if len(server) > maxServerName || server == "*" {
			return usagef("--server %s: want a name of 1 to %d characters", server, maxServerName)
		}
		if server != "" { // before the join: then it is the first that is asked
			c, err := h.Client()
			if err == nil {
				err = c.EnableSNTP(server, false)
			}
			if err != nil {
				return fmt.Errorf("--server: %w", err)
			}
		}
		if err := h.join(ctx); err != nil {
			return err
		}
		return h.time(ctx, p)
	})
}

func (h *host) time(ctx context.Context, p printer) error {
	limited, stop := context.WithTimeout(ctx, h.o.timeout)
	defer stop()
	err := h.timeKnown(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = hostnet.ErrTimeUnknown
	}
	if errors.Is(err, hostnet.ErrTimeUnknown) {
		return fmt.Errorf("%w: no time server has answered within %v\nservers answer on UDP port 123; name one that this network can reach with --server, or allow more --timeout", err, h.o.timeout)
	}
	if err != nil {
		return err
	}
	limited, stop = context.WithTimeout(ctx, secondTurns)
	defer stop()
	t, offset, within, err := h.clockOffset(limited)
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	return p.result(map[string]any{
		"time": t.Format(time.RFC3339), "offset_seconds": offset.Seconds(), "error_seconds": within.Seconds(),
	}, "time    %s\noffset  %+.3f s, give or take %.3f s\n", t.Format("2006-01-02 15:04:05 MST"), offset.Seconds(), within.Seconds())
}

// timeKnown waits until the device knows the time.
func (h *host) timeKnown(ctx context.Context) error {
	for {
		_, err := h.Time(ctx)
		if !errors.Is(err, hostnet.ErrTimeUnknown) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// clockOffset returns the time of the device at the moment in which its second
// turns, what it was ahead of ours then, and the bound of the error: half of the
// time between the question before the turn and the answer after it.
func (h *host) clockOffset(ctx context.Context) (device time.Time, offset, within time.Duration, err error) {
	var last, asked time.Time // the answer before, and when it was asked for
	for {
		now := time.Now()
		t, err := h.Time(ctx)
		if err != nil {
			return t, 0, 0, err
		}
		if t.Sub(last) == time.Second {
			within = time.Since(asked) / 2
			return t, t.Sub(asked.Add(within)).Round(time.Microsecond), within, nil
		}
		last, asked = t, now
		time.Sleep(2 * time.Millisecond)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/understudy-net/understudy/bus/remote"
)

// lookPatience is how long a device may take to answer.
const lookPatience = 5 * time.Second

func newSockets(std stdio) *cobra.Command {
	var bus string
	var asJSON, watch bool
	var interval time.Duration
	c := &cobra.Command{
		Use:   "sockets",
		Short: "Show the sockets of a running device, and who owes the next step",
		Long: `Show what a device of "understudy run" is doing: its firmware, link and address,
its sockets with what waits in them, and for each thing that waits who owes the
next step (the host, the network or the device), and since when.

It does not take the bus: a host may have it meanwhile, and may be stuck.
A real module shows nothing of this.

IN     bytes that have come and wait for a RECV of the host
OUT    bytes of the host that the peer has not acknowledged
HOST   requests of the host that wait for an answer`,
		Example: `  understudy sockets --bus unix:/tmp/winc.sock
  understudy sockets --bus unix:/tmp/winc.sock --watch
  understudy sockets --bus unix:/tmp/winc.sock --json | jq '.stuck[]'`,
		Args: argCount(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			network, addr, err := lookAddr(bus)
			if err != nil {
				return err
			}
			if interval <= 0 {
				return usagef("--interval %v: want a time", interval)
			}
			v := &viewer{std: std, bus: bus, network: network, addr: addr, json: asJSON}
			if !watch {
				return v.show(c.Context())
			}
			return v.watch(c.Context(), interval)
		},
	}
	f := c.Flags()
	f.StringVar(&bus, "bus", "", "the device of \"understudy run\" at `ADDR`, unix:PATH or tcp:HOST:PORT (required)")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	f.BoolVarP(&watch, "watch", "w", false, "look again and again, until Ctrl-C; into a pipe, print what has changed")
	f.DurationVar(&interval, "interval", time.Second, "time between looks of --watch")
	complete(c, "bus", "unix:", "tcp:")
	return c
}

// lookAddr is where a device is that can be looked at.
func lookAddr(bus string) (network, addr string, err error) {
	switch {
	case bus == "":
		return "", "", usagef("sockets needs --bus ADDR of a device that runs: understudy run --bus ADDR")
	case strings.HasPrefix(bus, spiBus):
		return "", "", usagef("--bus %s: a real module does not show its sockets; trace its bus with --trace FILE of any other verb", bus)
	}
	return busAddr(bus)
}

// viewer shows a device.
type viewer struct {
	std                stdio
	bus, network, addr string
	json               bool
}

// look asks the device.
func (v *viewer) look(ctx context.Context) (raw []byte, l look, err error) {
	ctx, stop := context.WithTimeout(ctx, lookPatience)
	defer stop()
	raw, err = remote.Inspect(ctx, v.network, v.addr)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil, l, fmt.Errorf("no device at %s: %w\nstart one with: understudy run --bus %s", v.bus, err, v.bus)
	case err != nil:
		return nil, l, fmt.Errorf("%s: %w", v.bus, err)
	}
	if err := json.Unmarshal(raw, &l); err != nil || l.Version != lookVersion {
		return nil, l, fmt.Errorf("%s: what it says of its device this understudy does not understand (version %d, not %d): %v",
			v.bus, l.Version, lookVersion, err)
	}
	return raw, l, nil
}

// show looks once.
func (v *viewer) show(ctx context.Context) error {
	raw, l, err := v.look(ctx)
	if err != nil {
		return err
	}
	if !v.json {
		raw = []byte(l.text(colors(v.std.out)))
	}
	_, err = v.std.out.Write(raw)
	return err
}

// watch looks until ctx is done, which is no error.
func (v *viewer) watch(ctx context.Context, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := ""
	for {
		raw, l, err := v.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case v.json:
			_, err = v.std.out.Write(raw)
		case isTerminal(v.std.out):
			err = v.draw(&l)
		default:
			last, err = v.append(&l, last)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// What the terminal is told.
const (
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// draw fills the terminal with a look, from the top, without flicker.
func (v *viewer) draw(l *look) error {
	head := fmt.Sprintf("%s  %s  Ctrl-C ends it", v.bus, l.At.Local().Format("15:04:05"))
	c := colors(v.std.out)
	text := fit(c.paint(dim, head)+"\n"+l.text(c), v.std.out.(*os.File))
	_, err := fmt.Fprint(v.std.out, home, strings.ReplaceAll(text, "\n", clearLine+"\n"), clearRest)
	return err
}

// fit cuts text to the height of a terminal.
func fit(text string, f *os.File) string {
	_, height, err := term.GetSize(int(f.Fd()))
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if err != nil || height < 3 || len(lines) < height {
		return text
	}
	rest := len(lines) - (height - 2)
	return strings.Join(lines[:height-2], "") + fmt.Sprintf("… %d more lines\n", rest)
}

// append prints a look if it is another than the last, times apart.
func (v *viewer) append(l *look, last string) (string, error) {
	quiet := *l
	quiet.Clock.Time, quiet.Stuck = time.Time{}, nil
	for _, s := range l.Stuck {
		quiet.Stuck = append(quiet.Stuck, lookStuck{Who: s.Who, What: s.What})
	}
	now := quiet.text(false)
	if now == last {
		return last, nil
	}
	_, err := fmt.Fprintf(v.std.out, "-- %s\n%s\n", l.At.Format("15:04:05.000 MST"), l.text(false))
	return now, err
}

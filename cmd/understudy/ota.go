package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/bus/remote"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/uplink/user"
)

func newOTA(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "ota",
		Short: "Update the device's firmware from a URL, switch to it, go back",
		Long: `Over-the-air updates. The device fetches an image (see "understudy image") into the
slot of its flash that does not run, checks it, and marks it valid; a switch makes it
the firmware that runs after the next reset, and a rollback goes back.

Without --bus the device lives as long as the verb: keep its flash with --flash FILE.
A cut of power, or of this program, at any moment leaves a device that boots.`,
		Example: `  understudy image build --version 19.8.1 -o new.img
  understudy image serve . --listen 127.0.0.1:8070                   # in another terminal
  understudy ota update --flash chip.bin --allow-host http://host.internal:8070/new.img
  understudy ota switch --flash chip.bin
  understudy ota status --flash chip.bin`,
	}
	c.AddCommand(newOTAUpdate(std), newOTAStatus(std), newOTAAbort(std),
		newOTAChange(std, otaChange{
			use: "switch", short: "Run the image of the other slot, from now on", ask: hostUpdater.SwitchImage,
			none: "get one with: understudy ota update URL",
		}),
		newOTAChange(std, otaChange{
			use: "rollback", short: "Go back to the image that ran before the last switch", ask: hostUpdater.Rollback,
			none: "an update since the last switch, complete or not, has taken its place",
		}))
	return c
}

// hostUpdater is what a hostnet.Net does about updates.
type hostUpdater interface {
	SwitchImage(ctx context.Context) error
	Rollback(ctx context.Context) error
}

func newOTAUpdate(std stdio) *cobra.Command {
	var o options
	var insecure bool
	var sni string
	c := &cobra.Command{
		Use:   "update URL",
		Short: "Have the device fetch a firmware image",
		Long: `Have the device fetch a firmware image from an http or https URL into the slot that does
not run, and check it. What is in that slot is lost at once, whatever follows; the firmware
that runs is not touched. Ctrl-C aborts.

With https the server must show a certificate that chains to a root in the device's flash
(understudy flash roots), unless --insecure says otherwise. This host's loopback is http://host.internal/, with
--allow-host.`,
		Example: `  understudy ota update --flash chip.bin --allow-host http://host.internal:8070/new.img
  understudy ota update --bus unix:/tmp/winc.sock http://updates.example.com/new.img --json`,
		Args: argCount(1, "one URL"),
	}
	c.Flags().BoolVar(&insecure, "insecure", false, "with https, take any certificate")
	c.Flags().StringVar(&sni, "server-name", "", "with https, the `NAME` that is sent to the server and that its certificate must be for")
	hostVerb(std, c, &o, true, func(ctx context.Context, h *host, p printer, args []string) error {
		if err := h.otaOptions(insecure, sni); err != nil {
			return err
		}
		return h.update(ctx, p, std, args[0])
	})
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error { // before a device is started
		u, err := url.Parse(args[0])
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			return usagef("ota update %s: want a URL such as http://example.com/new.img", args[0])
		case loopback(u.Hostname()):
			return usagef("ota update %s: %s would be the device itself; this host's loopback is %s, with --allow-host", args[0], u.Hostname(), user.HostName)
		}
		return run(c, args)
	}
	return c
}

// otaOptions sets what an update by https wants to know.
func (h *host) otaOptions(insecure bool, sni string) error {
	c, err := h.Client()
	if err != nil {
		return err
	}
	if insecure {
		if err := c.SetOTAVerify(false); err != nil {
			return err
		}
	}
	if sni == "" {
		return nil
	}
	if err := c.SetOTASNI(sni); err != nil {
		return usagef("--server-name %s: %v", sni, err)
	}
	return nil
}

// update fetches an image and tells how it goes.
func (h *host) update(ctx context.Context, p printer, std stdio, url string) error {
	t := newOTAProgress(p, std)
	start := time.Now()
	err := h.Update(ctx, url, t.tell)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w\nthe firmware that runs is untouched, and no other stands by", err)
	}
	t.bar.Clear() // its errors are those of the terminal
	d := time.Since(start)
	if err != nil {
		status := driver.OTAAborted.String()
		var s driver.OTAStatus
		if errors.As(err, &s) {
			status = s.String()
		}
		why := h.whyUpdate()
		if p.json {
			p.result(map[string]any{"url": url, "status": status, "why": why, "stored": t.stored}, "")
		}
		return h.otaFailed(err, s, url, why)
	}
	c, err := h.Client()
	if err != nil {
		return err
	}
	v, err := c.StandbyFirmware()
	if err != nil {
		return fmt.Errorf("the update is complete, but the version of the new firmware cannot be read: %w", err)
	}
	rate := float64(t.stored) / d.Seconds()
	return p.result(map[string]any{"url": url, "status": driver.OTAComplete.String(), "version": v.String(), "bytes": t.stored, "seconds": d.Seconds()},
		"firmware %v is stored and good: %s in %.2f s, %s/s\nrun it with: understudy ota switch%s\n", v, size(t.stored), d.Seconds(), size(int64(rate)), h.again())
}

// otaFailed says what can be done about a failed update.
func (h *host) otaFailed(err error, s driver.OTAStatus, url, why string) error {
	if why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	next := ""
	switch {
	case s == driver.OTAVerifyFailed:
		next = "look at the file with: understudy image verify FILE"
	case s == driver.OTANoFlash:
		next = "see how large it is with: understudy image inspect FILE"
	case s == driver.OTAServerError:
		next = "see what the server gives with: understudy get" + h.sameUplink() + " " + url
	case s == driver.OTAConnError && strings.Contains(why, unknownRoot):
		next = "have the device trust it with: understudy flash roots" + h.flashFile() + " --add ca.pem; or any server, with --insecure"
	default:
		return err
	}
	return fmt.Errorf("%w\n%s", err, next)
}

// unknownRoot is in what a device says of a server whose certificate chains to no root in its flash.
const unknownRoot = "the flash holds"

// flashFile is the file that has the flash of the device, as an argument.
func (h *host) flashFile() string {
	if h.o.flash != "" {
		return " " + h.o.flash
	}
	return " FILE" // of the process that has the device, or one to begin with
}

// sameUplink are the flags with which another verb reaches what this one does.
func (h *host) sameUplink() (flags string) {
	if h.o.bus != "" {
		return " --bus " + h.o.bus
	}
	if h.o.allowHost {
		flags += " --allow-host"
	}
	if h.o.uplink != "user" {
		flags += " --uplink " + h.o.uplink
	}
	return flags
}

// whyUpdate is what the device says about its latest update; "" if it does not show itself.
func (h *host) whyUpdate() string {
	if h.machine != nil {
		return h.machine.snapshot().Update.Why
	}
	if l, ok := h.o.lookBeside(context.Background()); ok {
		return l.Update.Why
	}
	return ""
}

// lookBeside looks at the device of a bus that shows itself.
func (o *options) lookBeside(ctx context.Context) (look, bool) {
	if o.bus == "" || strings.HasPrefix(o.bus, spiBus) {
		return look{}, false
	}
	network, addr, err := busAddr(o.bus)
	if err != nil {
		return look{}, false
	}
	v := viewer{bus: o.bus, network: network, addr: addr}
	_, l, err := v.look(ctx)
	return l, err == nil
}

// again are the flags with which another verb finds the same device.
func (h *host) again() string {
	switch o := h.o; {
	case o.bus != "":
		return " --bus " + o.bus
	case o.flash != "":
		return " --flash " + o.flash
	}
	return " --flash FILE, after an update with the same; without, this device and its flash are gone"
}

// otaProgress tells the progress of an update: a bar on a terminal, lines in a pipe, objects of JSON.
type otaProgress struct {
	p      printer
	bar    *progressbar.ProgressBar
	quiet  bool // there is a bar
	stored int64
	next   time.Time // of the next line
}

// otaLines is the time between two lines in a pipe.
const otaLines = time.Second

func newOTAProgress(p printer, std stdio) *otaProgress {
	visible := isTerminal(std.err) && !p.json
	return &otaProgress{p: p, quiet: visible, bar: progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(std.err),
		progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription("update"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

func (t *otaProgress) tell(stored, expected int64) {
	t.stored = stored
	if t.quiet {
		if expected > 0 && t.bar.GetMax64() != expected {
			t.bar.ChangeMax64(expected)
		}
		t.bar.Set64(stored)
		return
	}
	now := time.Now()
	if now.Before(t.next) && stored != expected {
		return
	}
	t.next = now.Add(otaLines)
	of := ""
	if expected > 0 {
		of = fmt.Sprintf(" of %d, %d %%", expected, 100*stored/expected)
	}
	t.p.result(map[string]any{"stored": stored, "expected": expected}, "stored %d bytes%s\n", stored, of)
}

// size prints a number of bytes.
func size(n int64) string {
	if n < 10_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	if n < 10_000_000 {
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func newOTAStatus(std stdio) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the firmware that runs, the one that stands by, and the update",
		Long: `Show the version of the firmware that runs, of that in the other slot, and what the
updater does or did last. On a device of "understudy run" it does not take the bus, so it
shows the update of another host while it runs.`,
		Args: argCount(0, "no arguments"),
	}
	hostVerb(std, c, &o, false, func(_ context.Context, h *host, p printer, _ []string) error {
		c, err := h.Client()
		if err != nil {
			return err
		}
		var s otaState
		v, err := c.Firmware()
		if err != nil {
			return err
		}
		s.Running = v.String()
		if v, err := c.StandbyFirmware(); err == nil {
			s.Standby = v.String()
		} else if !errors.Is(err, driver.ErrRequest) {
			return err
		}
		return s.print(p)
	})
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		l, ok := o.lookBeside(c.Context())
		if !ok || l.Device.Firmware == "" { // a real module, or one that no host has started yet
			return run(c, args)
		}
		return newOTAState(&l).print(printer{std.out, o.json})
	}
	return c
}

// otaState is what "ota status" tells.
type otaState struct {
	Running string      `json:"running"`
	Standby string      `json:"standby,omitempty"`
	Update  *lookUpdate `json:"update,omitempty"` // of a device that shows itself
}

func newOTAState(l *look) otaState {
	s := otaState{Running: l.Device.Firmware, Standby: l.Device.Standby}
	if l.Update.URL != "" || l.Update.Switch {
		s.Update = &l.Update
	}
	return s
}

func (s otaState) print(p printer) error {
	standby := s.Standby
	if standby == "" {
		standby = "none"
	}
	text := fmt.Sprintf("running  %s\nstandby  %s\n", s.Running, standby)
	if u := s.Update; u != nil {
		text += "update   " + u.text() + "\n"
	}
	return p.result(s, "%s", text)
}

func newOTAAbort(std stdio) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "abort",
		Short: "Stop an update that runs",
		Long: `Stop an update that runs on a device of "understudy run" or on a module, and whose host
has gone. A host that is still there stops its update itself: Ctrl-C on "ota update". The
firmware that runs is not touched.`,
		Args: argCount(0, "no arguments"),
	}
	var before look // what the device did before this host came
	hostVerb(std, c, &o, false, func(_ context.Context, h *host, p printer, _ []string) error {
		c, err := h.Client() // a new host resets the chip, which has ended what ran
		if err != nil {
			return err
		}
		if err := c.AbortUpdate(); err != nil {
			return err
		}
		if u := &before.Update; u.runs() {
			return p.result(map[string]any{"stopped": u}, "stopped: %s\n", u.text())
		}
		return p.result(map[string]any{"stopped": nil}, "no update runs\n")
	})
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		before, _ = o.lookBeside(c.Context())
		err := run(c, args)
		if errors.Is(err, remote.ErrBusy) && before.Update.runs() {
			return fmt.Errorf("%w\nthe update belongs to that host (%s): stop it there, with Ctrl-C", err, before.Update.text())
		}
		return err
	}
	return c
}

// otaChange is switch or rollback.
type otaChange struct {
	use, short string
	ask        func(n hostUpdater, ctx context.Context) error
	none       string // what to say when there is no image
}

func newOTAChange(std stdio, k otaChange) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   k.use,
		Short: k.short,
		Long:  k.short + ".\nThe chip is reset at the end, and the version that then runs is read from it.",
		Args:  argCount(0, "no arguments"),
	}
	return hostVerb(std, c, &o, false, func(ctx context.Context, h *host, p printer, _ []string) error {
		ctx, stop := context.WithTimeout(ctx, o.timeout)
		defer stop()
		was, err := h.firmware()
		if err != nil {
			return err
		}
		if err := k.ask(h.Net, ctx); errors.Is(err, driver.OTANoRollback) {
			return fmt.Errorf("%w\n%s", err, k.none)
		} else if err != nil {
			return err
		}
		if err := h.driver.Restart(); err != nil {
			return fmt.Errorf("%s: the chip does not come up again: %w", k.use, err)
		}
		is, err := h.firmware()
		if err != nil {
			return err
		}
		return p.result(map[string]any{"running": is.String(), "standby": was.String()}, "running  %v\nstandby  %v\n", is, was)
	})
}

// firmware is the version that runs.
func (h *host) firmware() (driver.Version, error) {
	c, err := h.Client()
	if err != nil {
		return 0, err
	}
	return c.Firmware()
}

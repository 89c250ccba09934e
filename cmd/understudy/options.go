package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/understudy-net/understudy/board"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
)

// options are the flags that several verbs share.
type options struct {
	bus        string // of a running device; "": one in this process
	uplink     string
	ssid       string
	passphrase string
	profile    string
	pcap       string
	flash      string
	asVersion  string // of foreign firmware
	trace      string
	allowHost  bool
	softAP     bool // the device is to be the only access point
	seed       uint64
	timeout    time.Duration
	json       bool
	verbose    bool
}

const (
	defaultSSID       = "understudy"
	defaultPassphrase = "understudy"
)

// network adds the flags that say which Wi-Fi network to join or to offer.
func (o *options) network(f *pflag.FlagSet) {
	f.StringVar(&o.ssid, "ssid", defaultSSID, "name of the Wi-Fi network")
	f.StringVar(&o.passphrase, "passphrase", defaultPassphrase, `its passphrase, 8 to 63 characters; "" for an open network`)
}

// machine adds the flags of a device in this process.
func (o *options) machine(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.uplink, "uplink", "user", "way to the real network: user (no root needed), tap:NAME or packet:IFACE (Linux, root), or none")
	f.StringVar(&o.profile, "profile", "winc1500-19.7.7", "the chip to be: winc1500-19.7.7 or unlimited")
	f.StringVar(&o.pcap, "pcap", "", "write what is on the air to `FILE`, as pcapng for Wireshark")
	f.StringVar(&o.flash, "flash", "", "keep the flash of the chip in `FILE`, which is made if there is none")
	f.StringVar(&o.asVersion, "as-version", "", "what firmware of somebody else in the flash is said to be, as `VERSION`; that of the profile without it")
	f.StringVar(&o.trace, "trace", "", "write what passes on the bus to `FILE`, as text; passphrases too")
	f.BoolVar(&o.allowHost, "allow-host", false, "let the device reach this host's loopback, as host.internal")
	f.Uint64Var(&o.seed, "seed", 0, "seed of all randomness; 0: from the operating system")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell messages on the bus and refused flows, on standard error")
	complete(c, "uplink", "user", "tap:", "packet:", "none")
	complete(c, "profile", "winc1500-19.7.7", "unlimited")
}

// host adds the flags of a verb that acts as a host.
func (o *options) host(c *cobra.Command) {
	f := c.Flags()
	o.network(f)
	o.machine(c)
	f.StringVar(&o.bus, "bus", "", "use the device of \"understudy run\" at `ADDR`, unix:PATH or tcp:HOST:PORT, or a module, spi:/dev/spidev0.0,irq=PIN,reset=PIN[,en=PIN]")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "time limit for joining and for each answer")
	f.BoolVar(&o.json, "json", false, "print JSON, one object a line")
	c.PreRunE = func(*cobra.Command, []string) error { return o.check() }
}

func complete(c *cobra.Command, flag string, values ...string) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(cobra.AppendActiveHelp(values, ""), cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // no such flag
	}
}

// check finds mistakes in the values of flags, before anything starts.
func (o *options) check() error {
	if o.bus != "" {
		if err := checkBus(o.bus); err != nil {
			return err
		}
		if o.pcap != "" {
			return usagef("--pcap captures the air of a device in this process; with --bus give it to \"understudy run\"")
		}
		if o.flash != "" {
			return usagef("--flash is the flash of a device in this process; with --bus give it to \"understudy run\"")
		}
		if o.asVersion != "" {
			return usagef("--as-version belongs to the process that has the flash; with --bus give it to \"understudy run\"")
		}
		if o.allowHost {
			return usagef("--allow-host belongs to the process that has the uplink; with --bus give it to \"understudy run\"")
		}
	}
	kind, _, err := uplinkKind(o.uplink)
	if err != nil {
		return err
	}
	if o.allowHost && (kind == "tap" || kind == "packet") {
		return usagef("--allow-host belongs to --uplink user; with %s the device reaches what that network reaches", o.uplink)
	}
	if _, err := o.deviceProfile(); err != nil {
		return err
	}
	if n := len(o.ssid); n == 0 || n > 32 {
		return usagef("--ssid has %d bytes: want 1 to 32", n)
	}
	if n := len(o.passphrase); n > 0 && (n < 8 || n > 64) {
		return usagef("--passphrase has %d characters: want 8 to 63, or 64 hexadecimal digits, or none for an open network", n)
	}
	return nil
}

func (o *options) deviceProfile() (p device.Profile, err error) {
	switch o.profile {
	case "winc1500-19.7.7":
		p = device.WINC1500()
	case "unlimited":
		p = device.Unlimited()
	default:
		return p, usagef("--profile %s: want winc1500-19.7.7 or unlimited", o.profile)
	}
	if o.asVersion != "" {
		v, err := parseVersion("--as-version", o.asVersion)
		p.Update.ForeignVersion = hif.Version(v)
		return p, err
	}
	return p, nil
}

func (o *options) auth() driver.Auth {
	if o.passphrase == "" {
		return driver.OpenAuth
	}
	return driver.WPA(o.passphrase)
}

// spiBus begins the address of a real module.
const spiBus = "spi:"

// checkBus checks where a host finds its bus.
func checkBus(s string) error {
	if strings.HasPrefix(s, spiBus) {
		if _, err := board.Parse(s); err != nil {
			return usagef("--bus: %w", err)
		}
		return nil
	}
	_, _, err := busAddr(s)
	return err
}

// busAddr splits unix:PATH or tcp:HOST:PORT into network and address.
func busAddr(s string) (network, addr string, err error) {
	network, addr, ok := strings.Cut(s, ":")
	switch {
	case !ok || addr == "" || network != "unix" && network != "tcp":
		return "", "", usagef("--bus %s: want unix:PATH or tcp:HOST:PORT", s)
	case network == "tcp":
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return "", "", usagef("--bus %s: %v", s, err)
		}
	}
	return network, addr, nil
}

// printer writes results, for people or as JSON.
type printer struct {
	w    io.Writer
	json bool
}

// result prints v as one line of JSON, or text.
func (p printer) result(v any, format string, args ...any) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(v)
	}
	_, err := fmt.Fprintf(p.w, format, args...)
	return err
}

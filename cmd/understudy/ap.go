package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/driver"
)

// apOptions are the flags of ap beside those of every host.
type apOptions struct {
	options
	channel     uint8
	hidden      bool
	addr        string
	router, dns string
	for_        time.Duration
	station     bool
	provision   bool
	page        string // its name
}

func newAP(std stdio) *cobra.Command {
	var o apOptions
	c := &cobra.Command{
		Use:   "ap",
		Short: "Make the device an access point and show who joins, until Ctrl-C",
		Long: `Make the device an access point (Soft-AP) with a DHCP server, and show who joins,
with which address, and who leaves: until Ctrl-C, or for the time of --for.

The air is virtual, so only stations of the device's own process can join. With
--with-station there is one: it joins, gets an address and pings the access point.

With --provision the access point has a web page, on which its user chooses the network
that the device is to join. The verb ends when that was submitted, and shows it; the
passphrase only with --json. The station of --with-station then fills the page in.`,
		Example: `  understudy ap --with-station --for 5s
  understudy ap --ssid lab --passphrase 'open sesame' --addr 192.168.5.1/24 --bus unix:/tmp/winc.sock
  understudy ap --provision --with-station`,
		Args: argCount(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return softAP(c.Context(), std, &o) },
	}
	o.host(c)
	f := c.Flags()
	f.Uint8Var(&o.channel, "channel", apChannel, "channel, 1 to 14")
	f.BoolVar(&o.hidden, "hidden", false, "do not tell the name in beacons")
	f.StringVar(&o.addr, "addr", "192.168.10.1/24", "address of the access point, and of its DHCP server, with its mask")
	f.StringVar(&o.router, "router", "", "router that stations are told; default: the access point")
	f.StringVar(&o.dns, "dns", "", "DNS server that stations are told; default: the access point")
	f.DurationVar(&o.for_, "for", 0, "end after this time; 0: at Ctrl-C")
	f.BoolVar(&o.station, "with-station", false, "have a station join and ping, in this process")
	o.provisionFlags(c)
	for _, name := range []string{"uplink", "allow-host"} { // there is no way out of a Soft-AP
		if err := f.MarkHidden(name); err != nil {
			panic(err) // no such flag
		}
	}
	c.PreRunE = func(c *cobra.Command, _ []string) error { return o.check(c) }
	return c
}

// check is that of every host, and of the flags of ap.
func (o *apOptions) check(c *cobra.Command) error {
	for _, name := range []string{"uplink", "allow-host"} {
		if c.Flags().Changed(name) {
			return usagef("--%s: an access point leads nowhere but to its stations", name)
		}
	}
	o.softAP = true
	switch {
	case o.station && o.bus != "":
		return usagef("--with-station needs the device in this process; without --bus it is")
	case o.channel < 1 || o.channel > 14:
		return usagef("--channel %d: want 1 to 14", o.channel)
	case o.for_ < 0:
		return usagef("--for %v: want a time, or 0 for \"until Ctrl-C\"", o.for_)
	}
	if _, err := netip.ParsePrefix(o.addr); err != nil {
		return usagef("--addr %s: want an address with the length of its mask, such as 192.168.5.1/24", o.addr)
	}
	for name, s := range map[string]string{"router": o.router, "dns": o.dns} {
		if _, err := optionalAddr(s); err != nil {
			return usagef("--%s %s: want an IPv4 address", name, s)
		}
	}
	if err := o.checkProvision(c); err != nil {
		return err
	}
	return o.options.check()
}

// optionalAddr parses an IPv4 address; "" is none.
func optionalAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err == nil && !a.Is4() {
		err = errors.New("not IPv4")
	}
	return a, err
}

// accessPoint is a device that is one, seen from its host.
type accessPoint struct {
	*host
	o      *apOptions
	p      printer
	client *driver.Client
	guest  *visitor // nil without --with-station
	start  time.Time
	news   chan any // driver.ConnEvent, driver.NetworkEvent, or the address that a station was given
	over   bool     // it has ended by itself: a network was submitted

	there  []driver.MAC // who has joined
	joined int          // in all
}

// softAP runs the verb.
func softAP(ctx context.Context, std stdio, o *apOptions) (err error) {
	h, err := openHost(ctx, &o.options, std.err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	a := &accessPoint{host: h, o: o, p: printer{std.out, o.json}, news: make(chan any, 64)}
	if a.client, err = h.Client(); err != nil {
		return err
	}
	if err := a.begin(); err != nil {
		return err
	}
	var end <-chan time.Time
	if o.for_ > 0 {
		end = time.After(o.for_)
	}
	if o.station {
		if a.guest, err = newVisitor(ctx, h.machine, o); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return a.finish()
		case <-end:
			if o.station && a.joined == 0 {
				err = errors.New("ap: the station did not join in time; give it more with --for")
			} else if o.provision {
				err = errors.New("ap: nothing was submitted in time; give it more with --for")
			}
			return errors.Join(err, a.finish())
		case n := <-a.news:
			err = a.tell(ctx, n)
		case n := <-a.guest.news():
			err = a.tell(ctx, n)
		}
		if err != nil || a.over {
			return errors.Join(err, a.finish())
		}
	}
}

// begin goes on the air and says so.
func (a *accessPoint) begin() error {
	o := a.o
	prefix := netip.MustParsePrefix(o.addr) // see check
	router, _ := optionalAddr(o.router)
	dns, _ := optionalAddr(o.dns)
	if err := a.client.ConfigDHCPServer(prefix, func(addr netip.Addr) { a.news <- addr }); err != nil {
		if errors.Is(err, driver.ErrInvalid) {
			return usagef("--addr %s: %w", o.addr, err)
		}
		return err
	}
	if err := errors.Join(a.client.SetGateway(router), a.client.SetDNS(dns)); err != nil {
		return err
	}
	bss := driver.BSS{SSID: o.ssid, Channel: driver.Channel(o.channel), Hidden: o.hidden}
	if err := a.startAP(bss, func(e driver.ConnEvent) { a.news <- e }); err != nil {
		return err
	}
	mac, err := a.client.MAC()
	if err != nil {
		return err
	}
	a.start = time.Now()
	security, until := "WPA2", "Ctrl-C ends it."
	if o.passphrase == "" {
		security = "open"
	}
	if o.for_ > 0 {
		until = fmt.Sprintf("It ends in %v.", o.for_)
	}
	prefix = a.client.IPConfig().Prefix
	v := map[string]any{
		"event": "started", "ssid": o.ssid, "bssid": mac.String(), "channel": o.channel, "hidden": o.hidden,
		"security": o.auth().Type.String(), "address": prefix.String(),
	}
	page := ""
	if o.provision {
		v["page"] = "http://" + o.page + "/"
		page = fmt.Sprintf("page     http://%s/ and http://%v/, for those who have joined\n", o.page, prefix.Addr())
	}
	return a.p.result(v, "network  %s (%s), channel %d, %v\naddress  %v, DHCP from .100 on\n%s%s\n",
		printable(o.ssid), security, o.channel, mac, prefix, page, until)
}

// tell shows a piece of news.
func (a *accessPoint) tell(ctx context.Context, news any) error {
	switch n := news.(type) {
	case driver.ConnEvent:
		return a.tellConn(ctx, n)
	case netip.Addr:
		return a.tellLease(ctx, n)
	case pong:
		if n.err != nil {
			return fmt.Errorf("the station's ping to %v: %w", n.to, n.err)
		}
		return a.line(map[string]any{"event": "ping", "mac": n.from.String(), "address": n.to.String(), "seq": n.seq, "ms": n.rtt.Milliseconds()},
			"%v pings %v: seq %d, %s", n.from, n.to, n.seq, millis(n.rtt))
	case driver.NetworkEvent:
		return a.tellNetwork(ctx, n)
	case submission:
		return a.tellSubmission(n)
	case error: // of the station
		return n
	}
	return nil
}

// tellConn asks who has joined. Who has left the device does not say: when there
// was only one it is clear.
func (a *accessPoint) tellConn(ctx context.Context, e driver.ConnEvent) error {
	if e.State == driver.Disconnected {
		var mac driver.MAC
		if len(a.there) == 1 {
			mac = a.there[0]
		}
		a.there = a.there[:max(0, len(a.there)-1)]
		if mac == (driver.MAC{}) {
			return a.line(map[string]any{"event": "left"}, "a station left")
		}
		return a.line(map[string]any{"event": "left", "mac": mac.String()}, "%v left", mac)
	}
	a.joined++
	info := a.lastStation(ctx)
	a.there = append(a.there, info.BSSID)
	if info.BSSID == (driver.MAC{}) { // it has left again
		return a.line(map[string]any{"event": "joined"}, "a station joined")
	}
	return a.line(map[string]any{"event": "joined", "mac": info.BSSID.String(), "rssi": info.RSSI}, "%v joined, %d dBm", info.BSSID, info.RSSI)
}

func (a *accessPoint) tellLease(ctx context.Context, addr netip.Addr) error {
	defer a.guest.ping()
	info := a.lastStation(ctx)
	if info.Addr != addr { // another one has joined meanwhile
		return a.line(map[string]any{"event": "address", "address": addr.String()}, "a station has the address %v", addr)
	}
	return a.line(map[string]any{"event": "address", "address": addr.String(), "mac": info.BSSID.String()}, "%v has the address %v", info.BSSID, addr)
}

// lastStation is the station that has joined last, zero if it is gone.
func (a *accessPoint) lastStation(ctx context.Context) driver.AssocInfo {
	ctx, stop := context.WithTimeout(ctx, a.o.timeout)
	defer stop()
	info, err := a.AssocInfo(ctx)
	if err != nil {
		return driver.AssocInfo{}
	}
	return info
}

// line shows an event with the time since the start.
func (a *accessPoint) line(v map[string]any, format string, args ...any) error {
	t := time.Since(a.start).Seconds()
	v["t"] = t
	return a.p.result(v, "%8.3f  %s\n", t, fmt.Sprintf(format, args...))
}

// farewell is how long finish waits for the news of who leaves.
const farewell = 2 * time.Second

// finish sends everybody away, shows that, and ends the access point.
func (a *accessPoint) finish() error {
	ctx := context.Background() // that of the verb may be over
	a.guest.Close()
	if err := a.client.StopAP(); err != nil && !a.over {
		return err
	}
	limit := time.After(farewell)
	for len(a.there) > 0 {
		select {
		case n := <-a.news:
			if err := a.tell(ctx, n); err != nil {
				return err
			}
		case <-limit:
			a.there = nil
		}
	}
	return a.line(map[string]any{"event": "stopped", "joined": a.joined}, "stopped; %s", plural(a.joined, "station has joined", "stations have joined"))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/driver"
)

// hostVerb makes a verb that acts as a host: act is given a host that has
// joined the network, or with join false one that has only booted.
func hostVerb(std stdio, c *cobra.Command, o *options, join bool, act func(ctx context.Context, h *host, p printer, args []string) error) *cobra.Command {
	o.host(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		open := openHost
		if join {
			open = joinedHost
		}
		h, err := open(c.Context(), o, std.err)
		if err != nil {
			return err
		}
		err = act(c.Context(), h, printer{std.out, o.json}, args)
		closed := h.Close() // and only then has the uplink told everything
		return errors.Join(h.explain(err), closed)
	}
	return c
}

func newScan(std stdio) *cobra.Command {
	var o options
	var channel uint8
	c := &cobra.Command{
		Use:   "scan",
		Short: "List the Wi-Fi networks that the device hears",
		Args:  argCount(0, "no arguments"),
	}
	c.Flags().Uint8Var(&channel, "channel", 0, "look at one channel, 1 to 14; 0: all")
	return hostVerb(std, c, &o, false, func(ctx context.Context, h *host, p printer, _ []string) error {
		if channel > 14 {
			return usagef("--channel %d: want 1 to 14, or 0 for all", channel)
		}
		ctx, stop := context.WithTimeout(ctx, o.timeout)
		defer stop()
		w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
		if !p.json {
			fmt.Fprintln(w, "SSID\tBSSID\tCHANNEL\tRSSI\tSECURITY")
		}
		for r, err := range h.Scan(ctx, driver.ScanReq{Channel: driver.Channel(channel)}) {
			if err != nil {
				return fmt.Errorf("scan: %w", err)
			}
			if p.json {
				err = p.result(map[string]any{"ssid": r.SSID, "bssid": r.BSSID.String(), "channel": r.Channel, "rssi": r.RSSI, "security": r.Auth.String()}, "")
			} else {
				_, err = fmt.Fprintf(w, "%s\t%v\t%d\t%d dBm\t%v\n", printable(r.SSID), r.BSSID, r.Channel, r.RSSI, r.Auth)
			}
			if err != nil {
				return err
			}
		}
		return w.Flush()
	})
}

// printable shows a name that may hold any bytes.
func printable(ssid string) string {
	if ssid == "" {
		return "(hidden)"
	}
	q := fmt.Sprintf("%+q", ssid)
	if q == `"`+ssid+`"` {
		return ssid
	}
	return q
}

func newResolve(std stdio) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "resolve NAME",
		Short: "Look up the IPv4 address of a name with the device's resolver",
		Args:  argCount(1, "one name"),
	}
	return hostVerb(std, c, &o, true, func(ctx context.Context, h *host, p printer, args []string) error {
		addr, err := h.lookup(ctx, args[0])
		if err != nil {
			return err
		}
		return p.result(map[string]any{"name": args[0], "address": addr.String()}, "%v\n", addr)
	})
}

// lookup is a look-up with the time limit of the verb.
func (h *host) lookup(ctx context.Context, name string) (netip.Addr, error) {
	ctx, stop := context.WithTimeout(ctx, h.o.timeout)
	defer stop()
	addrs, err := h.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("resolve %s: %w", name, err)
	}
	return addrs[0], nil
}

func newPing(std stdio) *cobra.Command {
	var o options
	var count int
	var interval time.Duration
	var ttl uint8
	c := &cobra.Command{
		Use:   "ping HOST",
		Short: "Send ICMP echo requests from the device",
		Args:  argCount(1, "one host"),
	}
	c.Flags().IntVarP(&count, "count", "c", 4, "number of requests")
	c.Flags().DurationVarP(&interval, "interval", "i", time.Second, "time between them")
	c.Flags().Uint8Var(&ttl, "ttl", 0, "time to live; 0: the device's default")
	return hostVerb(std, c, &o, true, func(ctx context.Context, h *host, p printer, args []string) error {
		if count < 1 {
			return usagef("--count %d: want at least 1", count)
		}
		dst, err := h.lookup(ctx, args[0])
		if err != nil {
			return err
		}
		return h.ping(ctx, p, dst, count, interval, ttl)
	})
}

// ping sends the requests one by one; it fails when none is answered.
func (h *host) ping(ctx context.Context, p printer, dst netip.Addr, count int, interval time.Duration, ttl uint8) error {
	answered := 0
	var last error
	for seq := 1; seq <= count; seq++ {
		if seq > 1 {
			select {
			case <-time.After(interval):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		rtt, err := h.PingTTL(ctx, dst, ttl)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		result := map[string]any{"address": dst.String(), "seq": seq, "ms": rtt.Milliseconds()}
		if err != nil {
			last = err
			result["error"] = err.Error()
			delete(result, "ms")
			err = p.result(result, "%v: seq %d: %v\n", dst, seq, err)
		} else {
			answered++
			err = p.result(result, "%v: seq %d, %s\n", dst, seq, millis(rtt))
		}
		if err != nil {
			return err
		}
	}
	if !p.json {
		fmt.Fprintf(p.w, "%d sent, %d answered\n", count, answered)
	}
	if answered == 0 {
		return fmt.Errorf("ping: no answer: %w", last)
	}
	return nil
}

// millis prints a round-trip time: the device tells whole milliseconds.
func millis(d time.Duration) string {
	if d < time.Millisecond {
		return "less than 1 ms"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func newIP(std stdio) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "ip",
		Short: "Join the network and show the address that the device gets",
		Args:  argCount(0, "no arguments"),
	}
	return hostVerb(std, c, &o, true, func(ctx context.Context, h *host, p printer, _ []string) error {
		ctx, stop := context.WithTimeout(ctx, o.timeout)
		defer stop()
		c, err := h.Client()
		if err != nil {
			return err
		}
		info, err := h.AssocInfo(ctx)
		if err != nil {
			return fmt.Errorf("association: %w", err)
		}
		mac, err := c.MAC()
		if err != nil {
			return err
		}
		ip := c.IPConfig()
		return p.result(map[string]any{
			"address": ip.Prefix.String(), "gateway": known(ip.Gateway, ""), "dns": known(ip.DNS, ""), "lease_seconds": int(ip.Lease.Seconds()),
			"mac": mac.String(), "ssid": info.SSID, "bssid": info.BSSID.String(), "channel": info.Channel, "rssi": info.RSSI,
		}, "address  %v\ngateway  %v\ndns      %v\nlease    %v\nmac      %v\nnetwork  %s, %v, channel %d, %d dBm, %v\n",
			ip.Prefix, known(ip.Gateway, "none"), known(ip.DNS, "none"), ip.Lease, mac, printable(info.SSID), info.BSSID, info.Channel, info.RSSI, info.Auth)
	})
}

// known prints an address that a network need not have.
func known(a netip.Addr, none string) string {
	if !a.IsValid() {
		return none
	}
	return a.String()
}

// colors says whether text for f may be coloured (https://no-color.org).
func colors(f any) ink {
	return ink(isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

// isTerminal says whether f, which may be any reader or writer, is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && terminal(file)
}

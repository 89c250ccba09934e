package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/understudy-net/understudy/uplink/packet"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/uplink/user"
)

// uplink is the far side of the access point.
type uplink interface {
	Input(now time.Time, eth []byte) // from a station; the world's lock is held
	Close() error
}

// uplinkKind splits user, none, tap:NAME or packet:IFACE.
func uplinkKind(s string) (kind, name string, err error) {
	kind, name, named := strings.Cut(s, ":")
	switch kind {
	case "user", "none":
		if !named {
			return kind, "", nil
		}
	case "tap", "packet":
		if name != "" {
			return kind, name, nil
		}
	}
	return "", "", usagef("--uplink %s: want user, tap:NAME, packet:IFACE or none", s)
}

// openUplink opens the uplink of the options; nil with none. output sends a
// frame to the stations. Lock of the world not held.
func (m *machine) openUplink(o *options, r rand.Source, output func(now time.Time, eth []byte)) (uplink, error) {
	kind, name, err := uplinkKind(o.uplink)
	if err != nil || kind == "none" {
		return nil, err
	}
	lost := func(err error) { m.tell("uplink  %v", err) }
	var up uplink
	switch kind {
	case "tap":
		up, err = tap.New(tap.Config{World: m.w, Output: output, Name: name, Failed: lost})
	case "packet":
		up, err = packet.New(packet.Config{World: m.w, Output: output, Interface: name, Failed: lost})
	default:
		up, err = user.New(user.Config{World: m.w, Output: output, Rand: r, AllowHost: o.allowHost, Log: m.refuse})
	}
	if err != nil {
		return nil, fmt.Errorf("--uplink %s: %w", o.uplink, err)
	}
	return up, nil
}

// noDHCP says why there may be no answer to DHCP on the other side; "" if that
// is not to be expected.
func (o *options) noDHCP() string {
	switch kind, _, _ := uplinkKind(o.uplink); kind {
	case "none":
		return "a network with --uplink none has no DHCP server"
	case "tap":
		return "a DHCP server has to be on the other side of --uplink " + o.uplink + ": give that interface an address, and start one there"
	case "packet":
		return "a DHCP server has to be on the network of --uplink " + o.uplink + ", and let in MAC addresses that it does not know"
	}
	return ""
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/understudytest"
)

// The access point of stepSoftAP.
const (
	softName = "controller"
	softKey  = "open sesame"
)

var softAddr = netip.MustParsePrefix("192.168.5.1/24")

// stepSoftAP turns the tables: the controller is the access point, and a phone
// joins it.
func stepSoftAP(t *tour) (string, error) {
	var given netip.Addr
	var events []driver.ConnState
	if err := t.startAP(&given, &events); err != nil {
		return "", err
	}
	l, err := t.Net.Listen(background, "tcp", ":80")
	if err != nil {
		return "", err
	}
	t.call("a phone joins %q, pings the controller and dials its port 80", softName)
	phone := t.AddStation("phone")
	var greeting string
	var failed error
	t.Go(func() {
		greeting, failed = visitController(phone)
		l.Close() // if it did not come so far
	})
	if err := serveOnce(l, "welcome"); err != nil {
		return "", errors.Join(failed, err)
	}
	t.call("Net.Ping(ctx, %v), which is the phone", given)
	if _, err := t.Net.Ping(background, given); err != nil {
		return "", err
	}
	address := phone.Addr
	t.call("Client.StopAP()")
	if err := t.Client.StopAP(); err != nil {
		return "", err
	}
	t.Sleep(time.Second)
	if err := t.Driver.Tasks(); err != nil { // the last callbacks
		return "", err
	}
	switch {
	case failed != nil:
		return "", fmt.Errorf("the phone: %w", failed)
	case address != netip.MustParseAddr("192.168.5.100") || given != address || greeting != "welcome":
		return "", fmt.Errorf("the phone has %v and read %q, the host was told %v", address, greeting, given)
	case !slices.Equal(events, []driver.ConnState{driver.Connected, driver.Disconnected}) || phone.Joined() || t.Client.LinkUp():
		return "", fmt.Errorf("the host was told %v; in the end the phone is there: %v, the link is up: %v", events, phone.Joined(), t.Client.LinkUp())
	}
	return fmt.Sprintf("the phone got %v, was served and pinged, and was sent away in the end", address), nil
}

// startAP begins it. What the host is told of comes into given and events.
func (t *tour) startAP(given *netip.Addr, events *[]driver.ConnState) error {
	t.call("Client.ConfigDHCPServer(%v, fn), Client.StartAP(%q, channel 11, WPA2, fn)", softAddr, softName)
	if err := t.Client.ConfigDHCPServer(softAddr, func(a netip.Addr) { *given = a }); err != nil {
		return err
	}
	bss := driver.BSS{SSID: softName, Channel: 11}
	err := t.Client.StartAP(bss, driver.WPA(softKey), func(e driver.ConnEvent) { *events = append(*events, e.State) })
	if err == nil && (!t.Client.LinkUp() || t.Client.Addr() != softAddr.Addr()) {
		err = fmt.Errorf("the link is up: %v, the address is %v", t.Client.LinkUp(), t.Client.Addr())
	}
	return err
}

// serveOnce accepts one connection and sends it text.
func serveOnce(l net.Listener, text string) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	_, err = io.WriteString(c, text)
	return errors.Join(err, c.Close())
}

// visitController is what the phone does. It returns what it was served.
func visitController(phone *understudytest.Station) (string, error) {
	if err := phone.Join(softName, softKey); err != nil {
		return "", err
	}
	if _, err := phone.Ping(background, softAddr.Addr(), stack.PingConfig{}); err != nil {
		return "", fmt.Errorf("ping: %w", err)
	}
	c, err := phone.Dial(background, "tcp", netip.AddrPortFrom(softAddr.Addr(), 80).String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	return string(text), err
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// steps is the tour, in order. Each goes on where the last one ended.
var steps = []step{
	{"boot: reset, chip id, boot ROM, firmware", stepBoot},
	{"scan: which networks are there?", stepScan},
	{"a wrong passphrase", stepWrongPassphrase},
	{"join: WPA2 handshake, DHCP", stepJoin},
	{"NTP: what time is it?", stepTime},
	{"DNS: names, an alias, a name that is not there", stepResolve},
	{"ping", stepPing},
	{"UDP: a datagram there and back", stepUDP},
	{"HTTP: a page of 256 KiB", stepHTTP},
	{"the same page over a bad link", stepBadLink},
	{"TLS: the page again, from a server that proves who it is", stepTLS},
	{"a TCP server on the controller", stepServer},
	{"the network is lost, and comes back", stepLoss},
	{"leave", stepLeave},
	{"Soft-AP: the controller is the access point", stepSoftAP},
	{"OTA: new firmware, a switch, a reset", stepUpdate},
}

// What the demo's network offers.
const (
	wwwName   = "www.demo.test"
	aliasName = "web.demo.test"
	pageSize  = 256 << 10
)

// demoTime is what the demo's time server says when the demo begins.
var demoTime = time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)

var background = context.Background()

func stepBoot(t *tour) (string, error) {
	t.call("driver.New(port), Net.Ready(ctx)")
	if err := t.Boot(); err != nil {
		return "", err
	}
	v, err := t.Client.Firmware()
	if err != nil {
		return "", err
	}
	mac, err := t.Client.MAC()
	if err != nil {
		return "", err
	}
	if want := wire.MAC(mac); want != understudytest.DeviceMAC {
		return "", fmt.Errorf("the driver read the address %v, the chip has %v", mac, understudytest.DeviceMAC)
	}
	return fmt.Sprintf("chip %#x, firmware %v, MAC %v", t.Client.ChipID(), v, mac), t.furnish()
}

// furnish sets up what the tour will meet: a second access point and a web server.
func (t *tour) furnish() error {
	if err := t.addAccessPoint(); err != nil {
		return err
	}
	t.SetTime(demoTime.Add(t.Now().Sub(world.Epoch)))
	www := t.AddHost(wwwName)
	if err := t.Names.SetAlias(aliasName, time.Minute, wwwName); err != nil {
		return err
	}
	update, err := firmwareFile()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { w.Write(page()) }) // the writer keeps it
	mux.HandleFunc(imagePath, func(w http.ResponseWriter, _ *http.Request) { w.Write(update) })
	if err := www.HandleHTTP(80, mux); err != nil {
		return err
	}
	if err := t.certs.serveTLS(www); err != nil {
		return err
	}
	return www.HandleUDP(7, func(_ net.Addr, p []byte) []byte { return bytes.ToUpper(p) })
}

// addAccessPoint makes an open network beside the bench's own.
func (t *tour) addAccessPoint() error {
	now := t.World.Lock()
	defer t.World.Unlock()
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: t.Air, MAC: wire.MAC{2, 0x61, 0x70, 0, 0, 2}, Rand: rand.NewPCG(t.Seed, 2), SSID: "guests", Channel: 11,
	})
	if err != nil {
		return err
	}
	slot := t.World.Add(ap)
	ap.Start(now)
	slot.Touch()
	return nil
}

// page is the content of the web server: bytes that no cache or cut could fake.
func page() []byte {
	b := make([]byte, pageSize)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// serveOne answers one request for the page, on a conn that is not for [understudytest.Host.HandleHTTP].
func serveOne(c net.Conn) {
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return // the client tells what it thinks of it
	}
	resp := http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, ContentLength: pageSize, Body: io.NopCloser(bytes.NewReader(page())), Close: true,
	}
	resp.Write(c)
}

func stepScan(t *tour) (string, error) {
	t.call("Net.Scan(ctx, all channels)")
	found := map[string]bool{}
	for r, err := range t.Net.Scan(background, driver.ScanReq{}) {
		if err != nil {
			return "", err
		}
		found[r.SSID] = true
	}
	if !found[understudytest.SSID] || !found["guests"] || len(found) != 2 {
		return "", fmt.Errorf("found %v, want %q and %q", found, understudytest.SSID, "guests")
	}
	return "both networks were found", nil
}

func stepWrongPassphrase(t *tour) (string, error) {
	t.call("Net.Join(ctx, %q, WPA2 with a wrong passphrase)", understudytest.SSID)
	err := t.Net.Join(background, t.BSS(), driver.WPA("wrong battery staple"))
	if !errors.Is(err, driver.ErrAuthFail) {
		return "", fmt.Errorf("joined with a wrong passphrase, or failed in another way: %v", err)
	}
	return "refused: " + err.Error(), nil
}

func stepJoin(t *tour) (string, error) {
	t.call("Net.Join(ctx, %q, WPA2)", understudytest.SSID)
	if err := t.Join(); err != nil {
		return "", err
	}
	ip := t.Client.IPConfig()
	if !t.Client.LinkUp() || !understudytest.Prefix.Contains(ip.Prefix.Addr()) || ip.Gateway != understudytest.RouterAddr {
		return "", fmt.Errorf("link up %v, address %v, gateway %v", t.Client.LinkUp(), ip.Prefix, ip.Gateway)
	}
	return fmt.Sprintf("link is up, %v by DHCP for %v", ip.Prefix, ip.Lease), nil
}

// stepTime looks at the clock of the controller before and after the answer of
// the time server, whose clock is years ahead of the demo's own.
func stepTime(t *tour) (string, error) {
	t.call("Net.Time(ctx): the controller asks %s by itself, so nothing has to be done but to wait", "time.nist.gov")
	if _, err := t.Net.Time(background); !errors.Is(err, hostnet.ErrTimeUnknown) {
		return "", fmt.Errorf("right after the join the controller's time was known, or the question failed: %v", err)
	}
	var got time.Time
	err := hostnet.ErrTimeUnknown
	for range 5 {
		t.Sleep(time.Second)
		if got, err = t.Net.Time(background); !errors.Is(err, hostnet.ErrTimeUnknown) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	want := demoTime.Add(t.Now().Sub(world.Epoch))
	if d := got.Sub(want); d < -time.Second || d > time.Second {
		return "", fmt.Errorf("the controller says %v, the time server %v", got, want)
	}
	return fmt.Sprintf("unknown at first, then the server's %v", got), nil
}

func stepResolve(t *tour) (string, error) {
	for _, name := range []string{wwwName, aliasName} {
		t.call("Net.LookupNetIP(ctx, %q)", name)
		addrs, err := t.Net.LookupNetIP(background, "ip4", name)
		if err != nil {
			return "", err
		}
		if len(addrs) != 1 || addrs[0] != understudytest.FirstHost {
			return "", fmt.Errorf("%s is %v, want %v", name, addrs, understudytest.FirstHost)
		}
	}
	t.call("Net.LookupNetIP(ctx, %q)", "nobody.demo.test")
	_, err := t.Net.LookupNetIP(background, "ip4", "nobody.demo.test")
	var missing *net.DNSError
	if !errors.As(err, &missing) {
		return "", fmt.Errorf("a name that does not exist gave %v", err)
	}
	return fmt.Sprintf("name and alias are %v, the third is refused", understudytest.FirstHost), nil
}

func stepPing(t *tour) (string, error) {
	t.call("Net.Ping(ctx, %v)", understudytest.RouterAddr)
	rtt, err := t.Net.Ping(background, understudytest.RouterAddr)
	if err != nil {
		return "", err
	}
	nobody := netip.MustParseAddr("10.9.0.250")
	t.call("Net.Ping(ctx, %v), where nobody lives", nobody)
	if _, err := t.Net.Ping(background, nobody); !errors.Is(err, driver.ErrUnreachable) && !errors.Is(err, driver.ErrEchoTimeout) {
		return "", fmt.Errorf("a ping to nobody gave %v", err)
	}
	return fmt.Sprintf("the router answers in %s, nobody does not", millis(rtt)), nil
}

func stepUDP(t *tour) (string, error) {
	t.call("Net.DialContext(ctx, \"udp\", %q), Write, Read", wwwName+":7")
	c, err := t.Net.DialContext(background, "udp", wwwName+":7")
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello, understudy")); err != nil {
		return "", err
	}
	answer := make([]byte, 100)
	n, err := c.Read(answer)
	if err != nil {
		return "", err
	}
	if got := string(answer[:n]); got != "HELLO, UNDERSTUDY" {
		return "", fmt.Errorf("the echo is %q", got)
	}
	return fmt.Sprintf("%q came back", answer[:n]), nil
}

func stepHTTP(t *tour) (string, error) {
	start := t.Now()
	if err := t.fetch(); err != nil {
		return "", err
	}
	rate := float64(pageSize) * 8 / 1e6 / t.Now().Sub(start).Seconds()
	return fmt.Sprintf("256 KiB, SHA-256 as served, %.1f Mbit/s on the virtual clock", rate), nil
}

// fetch gets the page and compares it with what was served.
func (t *tour) fetch() error {
	t.call("Net.DialContext(ctx, \"tcp\", %q), GET /page", wwwName+":80")
	c, err := t.Net.DialContext(background, "tcp", wwwName+":80")
	if err != nil {
		return err
	}
	return getPage(c)
}

// getPage gets the page over c, compares it with what was served, and closes c.
func getPage(c net.Conn) error {
	defer c.Close()
	req, err := http.NewRequest(http.MethodGet, "http://"+wwwName+"/page", nil)
	if err != nil {
		return err
	}
	if err := req.Write(c); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	h := sha256.New()
	n, err := io.Copy(h, resp.Body)
	if err != nil {
		return err
	}
	if want := sha256.Sum256(page()); resp.StatusCode != http.StatusOK || n != pageSize || !bytes.Equal(h.Sum(nil), want[:]) {
		return fmt.Errorf("status %s, %d bytes, SHA-256 %x, want %x", resp.Status, n, h.Sum(nil), want)
	}
	return nil
}

func stepBadLink(t *tour) (string, error) {
	t.call("the air now loses 3 %%, reorders 2 %%, duplicates 1 %% and corrupts 1 %% of all frames, each way")
	t.SetLink(air.Link{Loss: 0.03, Reorder: 0.02, Duplicate: 0.01, Corrupt: 0.01, Delay: 2 * time.Millisecond, Jitter: time.Millisecond})
	defer t.SetLink(air.Link{})
	if err := t.fetch(); err != nil {
		return "", err
	}
	t.World.Lock()
	counts := t.Air.Counters()
	t.World.Unlock()
	return fmt.Sprintf("not a byte is wrong; %d frames were lost, %d duplicated", counts.Drops.Loss, counts.Duplicated), nil
}

func stepServer(t *tour) (string, error) {
	t.call("Net.Listen(ctx, \"tcp\", \":8080\"), Accept; a host of the network dials it")
	l, err := t.Net.Listen(background, "tcp", ":8080")
	if err != nil {
		return "", err
	}
	defer l.Close()
	addr := fmt.Sprintf("%v:8080", t.Client.Addr())
	var answer []byte
	var peerErr error
	t.Go(func() {
		c, err := t.Router.Dial(background, "tcp", addr)
		if err != nil {
			peerErr = err
			return
		}
		defer c.Close()
		answer, peerErr = io.ReadAll(c)
	})
	c, err := l.Accept()
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, "hello from the controller"); err != nil {
		return "", err
	}
	peer := c.RemoteAddr()
	if err := c.Close(); err != nil {
		return "", err
	}
	t.Sleep(time.Second)
	if peerErr != nil || string(answer) != "hello from the controller" {
		return "", fmt.Errorf("the peer read %q, %v", answer, peerErr)
	}
	return fmt.Sprintf("%v read what the controller served", peer), nil
}

func stepLoss(t *tour) (string, error) {
	c, err := t.Net.DialContext(background, "tcp", wwwName+":80")
	if err != nil {
		return "", err
	}
	defer c.Close()
	t.call("the access point loses power while a Read waits")
	t.LoseWiFi()
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the read ended with %v though the network is gone", err)
	}
	if t.Client.LinkUp() {
		return "", errors.New("the link is still up")
	}
	t.call("power is back: Net.Join(ctx, %q, WPA2)", understudytest.SSID)
	t.RestoreWiFi()
	if err := t.Join(); err != nil {
		return "", err
	}
	if err := t.fetch(); err != nil {
		return "", err
	}
	return "the read failed, the link was down, and all works again", nil
}

func stepLeave(t *tour) (string, error) {
	t.call("Net.Leave(ctx)")
	if err := t.Net.Leave(background); err != nil {
		return "", err
	}
	if t.Client.LinkUp() {
		return "", errors.New("the link is still up")
	}
	return "the network is left", nil
}

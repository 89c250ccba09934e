package understudytest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// Web provisioning, end to end: a phone joins the controller's access point, opens its page and submits it, and the
// controller joins the network that was chosen there.

var setupBSS = driver.BSS{SSID: "controller setup", Channel: 3}

const setupName = "setup.understudy"

// benchContext has a deadline on the bench's clock.
type benchContext struct {
	context.Context
	at time.Time
}

func (c benchContext) Deadline() (time.Time, bool) { return c.at, true }

// browse sends one request on a connection of its own, as a browser without keep-alive does.
func browse(s *understudytest.Station, method, address string, form url.Values) (status int, header http.Header, body string, err error) {
	var in io.Reader
	if form != nil {
		in = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, address, in)
	if err != nil {
		return 0, nil, "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://"+req.Host)
	}
	c, err := s.Dial(context.Background(), "tcp", req.URL.Hostname()+":80")
	if err != nil {
		return 0, nil, "", err
	}
	defer c.Close()
	if err := req.Write(c); err != nil {
		return 0, nil, "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		return 0, nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

// provisioned runs a controller that asks its user, beside a phone that does what user says. It returns what the controller
// was told, and why it did not join that.
func provisioned(t *testing.T, b *understudytest.Bench, p driver.Provisioning, user func(phone *understudytest.Station)) (bss driver.BSS, auth driver.Auth, err error) {
	t.Helper()
	stalled := b.Run(func() {
		phone := b.AddStation("phone")
		b.Go(func() {
			if err := phone.Join(setupBSS.SSID, "open sesame"); err != nil {
				t.Error(err)
				return
			}
			user(phone)
		})
		ctx := benchContext{context.Background(), b.Now().Add(3 * time.Minute)}
		if bss, auth, err = b.Net.Provision(ctx, setupBSS, driver.WPA("open sesame"), p); err == nil {
			err = b.Net.Join(ctx, bss, auth)
		}
	})
	if stalled != nil {
		t.Error(stalled)
	}
	return bss, auth, err
}

// radio finds the button of a network in the page.
var radio = regexp.MustCompile(`name="network" value="([0-9a-f]+)"[^>]*><span>([^<]*)<`)

func TestProvisioningOnThePage(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	bss, auth, err := provisioned(t, b, driver.Provisioning{Domain: setupName}, func(phone *understudytest.Station) {
		if b.Client.Mode() != driver.ModeProvisioning {
			t.Error("mode", b.Client.Mode())
		}
		own := netip.MustParseAddr("192.168.10.1")
		for _, name := range []string{setupName, "connectivitycheck.example", "www.captive.test"} {
			if a, err := phone.LookupNetIP(context.Background(), name); err != nil || len(a) != 1 || a[0] != own {
				t.Errorf("%s: %v %v", name, a, err)
			}
		}
		// A phone looks whether there is an Internet, and is sent to the page.
		status, h, _, err := browse(phone, "GET", "http://connectivitycheck.example/generate_204", nil)
		if err != nil || status != http.StatusSeeOther || h.Get("Location") != "http://"+setupName+"/" {
			t.Error("captive portal:", status, h, err)
		}
		status, _, page, err := browse(phone, "GET", h.Get("Location"), nil)
		m := radio.FindStringSubmatch(page)
		if err != nil || status != 200 || m == nil || m[2] != understudytest.SSID {
			t.Error("the page:", status, err, m, page)
			return
		}
		status, _, _, _ = browse(phone, "GET", "http://"+setupName+"/favicon.ico", nil)
		if status != http.StatusNotFound {
			t.Error("favicon:", status)
		}
		form := url.Values{"network": {m[1]}, "passphrase": {"short"}, "name": {"lamp-7"}}
		status, _, page, err = browse(phone, "POST", "http://"+setupName+"/join", form)
		if err != nil || status != http.StatusUnprocessableEntity || !strings.Contains(page, "A passphrase has at least 8 characters; this one has 5.") ||
			!strings.Contains(page, `value="lamp-7"`) || !strings.Contains(page, `value="`+m[1]+`" checked`) {
			t.Error("a short passphrase:", status, err, page)
		}
		form.Set("passphrase", understudytest.Passphrase)
		status, _, page, err = browse(phone, "POST", "http://"+own.String()+"/join", form)
		if err != nil || status != 200 || !strings.Contains(page, "All set") {
			t.Error("the end:", status, err, page)
		}
	})
	if err != nil || bss.SSID != understudytest.SSID || auth != driver.WPA(understudytest.Passphrase) {
		t.Fatal(bss, auth, err)
	}
	b.World.Lock()
	s := b.Device.Snapshot()
	b.World.Unlock()
	if s.Name != "lamp-7" || s.SoftAP != nil || !b.Client.LinkUp() {
		t.Errorf("the controller afterwards: %q, %+v", s.Name, s.SoftAP)
	}
}

// A wrong passphrase shows when the controller joins; then the host asks again.
func TestProvisioningTwice(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	fill := func(ssid, key string) func(*understudytest.Station) {
		return func(phone *understudytest.Station) {
			status, _, page, err := browse(phone, "POST", "http://192.168.10.1/join", url.Values{"network": {"other"}, "ssid": {ssid}, "passphrase": {key}})
			if err != nil || status != 200 {
				t.Error(status, err, page)
			}
		}
	}
	if _, _, err := provisioned(t, b, driver.Provisioning{Domain: setupName}, fill(understudytest.SSID, "wrong horse")); !errors.Is(err, driver.ErrAuthFail) {
		t.Error("a wrong passphrase:", err)
	}
	if _, _, err := provisioned(t, b, driver.Provisioning{Domain: setupName, OneName: true}, fill(understudytest.SSID, understudytest.Passphrase)); err != nil {
		t.Error(err)
	}
}

// Without a wildcard the names of others do not exist, and their requests are refused.
func TestProvisioningWithOneName(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	_, _, err := provisioned(t, b, driver.Provisioning{Domain: "Setup.Understudy", OneName: true}, func(phone *understudytest.Station) {
		if a, err := phone.LookupNetIP(context.Background(), "www.captive.test"); err == nil {
			t.Error("a foreign name leads to", a)
		}
		if status, _, _, err := browse(phone, "GET", "http://"+setupName+"/", nil); status != 200 || err != nil {
			t.Error(status, err)
		}
		b.Client.StopAP()
	})
	if err == nil || b.Client.Mode() != driver.ModeStation {
		t.Error("stopped:", err, b.Client.Mode())
	}
}

// Nobody comes: the call ends with its context, and the access point with the call.
func TestProvisioningEndsWithItsContext(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	if err := b.Run(func() {
		ctx := benchContext{context.Background(), b.Now().Add(time.Minute)}
		if _, _, err := b.Net.Provision(ctx, setupBSS, driver.OpenAuth, driver.Provisioning{Domain: setupName}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if b.Client.Mode() != driver.ModeStation {
			t.Error("still", b.Client.Mode())
		}
		ctx.at = b.Now().Add(time.Minute)
		if _, _, err := b.Net.Provision(ctx, setupBSS, driver.OpenAuth, driver.Provisioning{Domain: "no name"}); !errors.Is(err, driver.ErrProvisioning) {
			t.Error("an impossible name:", err)
		}
		if err := b.Join(); err != nil {
			t.Error("afterwards:", err)
		}
	}); err != nil {
		t.Error(err)
	}
}

// In the event style: the callbacks, in their order.
func TestProvisioningEvents(t *testing.T) {
	b := understudytest.Virtual(t, 0)
	var got []string
	if err := b.Run(func() {
		note := func(s string) { got = append(got, s) }
		err := b.Client.StartProvisioning(setupBSS, driver.OpenAuth, driver.Provisioning{Domain: setupName, Done: func(e driver.NetworkEvent) {
			note(fmt.Sprint("network ", e.BSS.SSID, " ", e.Err))
			if err := b.Client.Connect(e.BSS, e.Auth, func(e driver.ConnEvent) { note("network " + e.State.String()) }); err != nil {
				t.Error(err)
			}
		}}, func(e driver.ConnEvent) { note("phone " + e.State.String()) })
		if err != nil {
			t.Error(err)
			return
		}
		phone := b.AddStation("phone")
		b.Go(func() {
			if err := phone.Join(setupBSS.SSID, ""); err != nil {
				t.Error(err)
			}
			browse(phone, "POST", "http://192.168.10.1/join", url.Values{"network": {"other"}, "ssid": {understudytest.SSID}, "passphrase": {understudytest.Passphrase}})
		})
		if err := b.Net.WaitLink(context.Background()); err != nil { // as a Soft-AP it is up
			t.Error(err)
		}
		for end := b.Now().Add(time.Minute); b.Now().Before(end) && len(got) < 4; {
			b.Net.Time(context.Background()) // pumps
			b.Sleep(100 * time.Millisecond)
		}
	}); err != nil {
		t.Error(err)
	}
	if s := strings.Join(got, ", "); s != "phone connected, phone disconnected, network understudy <nil>, network connected" {
		t.Error(s)
	}
}

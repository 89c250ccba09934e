package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/wire"
)

// The name of the page of ap --provision.
const (
	defaultPage = "setup.understudy"
	maxPage     = 63 // bytes, see driver.Provisioning
)

// What the station of --with-station fills in.
const (
	guestSSID       = "home"
	guestPassphrase = "correct horse"
)

// provisionFlags adds the flags of the page.
func (o *apOptions) provisionFlags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.provision, "provision", false, "serve a web page that asks for a network, and end with what was submitted")
	f.StringVar(&o.page, "page", defaultPage, "with --provision, the `NAME` under which stations find the page")
}

// checkProvision finds flags that do not go together.
func (o *apOptions) checkProvision(c *cobra.Command) error {
	for _, name := range []string{"router", "dns"} {
		if o.provision && c.Flags().Changed(name) {
			return usagef("--%s: with --provision it is always the access point", name)
		}
	}
	if !o.provision && c.Flags().Changed("page") {
		return usagef("--page goes with --provision")
	}
	if u, err := url.Parse("http://" + o.page + "/"); o.page == "" || err != nil || u.Hostname() != o.page || len(o.page) > maxPage {
		return usagef("--page %q: want the name of a host, of at most %d bytes, such as %s", o.page, maxPage, defaultPage)
	}
	return nil
}

// startAP goes on the air, with a page or without.
func (a *accessPoint) startAP(bss driver.BSS, fn func(driver.ConnEvent)) error {
	o := a.o
	if !o.provision {
		return a.client.StartAP(bss, o.auth(), fn)
	}
	p := driver.Provisioning{Domain: o.page, Done: func(e driver.NetworkEvent) { a.news <- e }}
	return a.client.StartProvisioning(bss, o.auth(), p, fn)
}

// tellNetwork shows what was submitted. With it the access point is over.
func (a *accessPoint) tellNetwork(ctx context.Context, e driver.NetworkEvent) error {
	a.over = true
	for more := true; more; { // what the station did comes first
		select {
		case n := <-a.guest.news():
			if err := a.tell(ctx, n); err != nil {
				return err
			}
		default:
			more = false
		}
	}
	if e.Err != nil {
		return e.Err
	}
	v := map[string]any{"event": "submitted", "ssid": e.BSS.SSID, "security": e.Auth.Type.String()}
	key := "open"
	if e.Auth.Key != "" {
		v["passphrase"] = e.Auth.Key
		key = fmt.Sprintf("%v, passphrase of %s (shown with --json)", e.Auth.Type, plural(len(e.Auth.Key), "byte", "bytes"))
	}
	return a.line(v, "submitted: network %s, %s", printable(e.BSS.SSID), key)
}

// submission is what the station did on the page.
type submission struct {
	from  wire.MAC
	url   string
	bytes int // of the page
}

func (a *accessPoint) tellSubmission(s submission) error {
	return a.line(map[string]any{"event": "page", "mac": s.from.String(), "url": s.url, "bytes": s.bytes},
		"%v opens %s (%s), and chooses network %s", s.from, s.url, plural(s.bytes, "byte", "bytes"), guestSSID)
}

// fillIn opens the page as the browser of a telephone does, and submits a network that the device does not hear.
func (v *visitor) fillIn(ctx context.Context, page string) error {
	client := &http.Client{Timeout: pageTime, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return v.net.Dial(ctx, network, addr)
		},
	}}
	at := "http://" + page + "/"
	got, err := browse(ctx, client, http.MethodGet, at, "")
	if err != nil {
		return err
	}
	v.out <- submission{v.mac, at, len(got)}
	form := url.Values{"network": {"other"}, "ssid": {guestSSID}, "passphrase": {guestPassphrase}}
	_, err = browse(ctx, client, http.MethodPost, at+"join", form.Encode())
	return err
}

// pageTime is how long the station waits for an answer.
const pageTime = 20 * time.Second

// browse sends one request and returns the page.
func browse(ctx context.Context, client *http.Client, method, at, form string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the station: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the page says %s", resp.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("the station: %s %s: %w", method, at, err)
	}
	return b, nil
}

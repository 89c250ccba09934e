package provision

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/http"

	"github.com/understudy-net/understudy/bus/hif"
)

//go:embed page.html
var pageSource string

// page has two faces: the form, and the page behind it.
var page = template.Must(template.New("page").Parse(pageSource))

// view is what the template is given.
type view struct {
	Device   string // its name, in the heading
	Fault    string // what was wrong with the last entry
	Networks []line
	Other    bool // a network that is not in the list is chosen
	SSID     string
	Key      string
	Name     string
	Joining  string // the network that was chosen: the form is done
}

// line is a network of the list.
type line struct {
	ID      string // its SSID in hexadecimal digits
	SSID    string // as it can be read
	Bars    int    // 1 to 4
	Locked  bool
	Why     string // it cannot be chosen
	Checked bool
}

// bars tells a strength in dBm in one of four steps.
func bars(dBm int8) int {
	switch {
	case dBm >= -55:
		return 4
	case dBm >= -67:
		return 3
	case dBm >= -78:
		return 2
	}
	return 1
}

// form is the page with the form, filled in with e.
func (c *Conn) form(status int, e entry, fault string) response {
	c.s.counts.Pages++
	v := view{Device: c.s.cfg.Name, Fault: fault, SSID: e.ssid, Key: e.key, Name: e.name, Other: e.network == otherNetwork}
	for _, n := range c.networks() {
		l := line{ID: hex.EncodeToString([]byte(n.SSID)), SSID: printable(n.SSID), Bars: bars(n.RSSI), Locked: n.Security != hif.SecurityOpen}
		if n.Security != hif.SecurityOpen && n.Security != hif.SecurityPSK {
			l.Why = n.Security.String()
		}
		l.Checked = l.ID == e.network
		v.Networks = append(v.Networks, l)
	}
	v.Other = v.Other || len(v.Networks) == 0
	return render(status, v)
}

// done is the page behind the form.
func (c *Conn) done() response {
	return render(http.StatusOK, view{Device: c.s.cfg.Name, Joining: printable(c.s.result.SSID)})
}

func render(status int, v view) response {
	if v.Device == "" {
		v.Device = "This device"
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return text(http.StatusInternalServerError, "The page cannot be made: %v", err)
	}
	return response{status: status, header: [][2]string{{"Content-Type", "text/html; charset=utf-8"}}, body: b.Bytes()}
}

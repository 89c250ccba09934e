package understudytest_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// report is the code under test: it posts a measurement.
func report(c *http.Client) error {
	resp, err := c.Post("http://api.test/report", "text/plain", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestReportsGoOnAfterALossOfWiFi(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time costs nothing in here
		b := understudytest.New(t) // controller, driver, access point, DHCP, DNS
		reports, events := 0, ""
		b.AddHost("api.test").HandleHTTP(80, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reports++ }))
		c := &http.Client{Transport: &http.Transport{DialContext: b.Net.DialContext, DisableKeepAlives: true}}

		join := func() {
			b.Client.Connect(b.BSS(), b.Auth(), func(e driver.ConnEvent) { events += fmt.Sprint(e.State, " ") })
			b.Net.WaitLink(t.Context())
		}
		join()
		before := report(c)
		b.LoseWiFi()
		b.Sleep(10 * time.Second)
		during := report(c)
		b.RestoreWiFi()
		join()
		after := report(c)

		if before != nil || during == nil || after != nil || reports != 2 || events != "connected disconnected connected " {
			t.Error(before, during, after, reports, events)
		}
	})
}

// A bench in virtual time: the same seed gives the same run.
func Example() {
	t := &testing.T{} // in a test: its own
	b := understudytest.Virtual(t, 1)
	defer b.Close()
	b.Run(func() {
		b.AddHost("www.test").HandleHTTP(80, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hello")
		}))
		if err := b.Join(); err != nil {
			fmt.Println(err)
		}
		fmt.Println(b.Client.Addr(), b.Client.LinkUp())
	})
	// Output: 10.9.0.100 true
}

//go:build linux

package understudytest_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/uplink/tap"
	"github.com/understudy-net/understudy/wire"
)

// The kernel of a phone joins the controller, and curl fills in the page: with its own TCP and its own idea of HTTP.
func TestProvisioningWithCurl(t *testing.T) {
	peers.Need(t, "curl")
	b, n := understudytest.New(t), peers.NewNamespace(t)
	if err := b.Client.ConfigDHCPServer(netip.MustParsePrefix("192.168.5.1/24"), nil); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		bss driver.BSS
		err error
	}
	joined := make(chan outcome, 1)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	go func() {
		bss, auth, err := b.Net.Provision(ctx, setupBSS, driver.WPA("open sesame"), driver.Provisioning{Domain: setupName})
		if err == nil {
			err = b.Net.Join(ctx, bss, auth)
		}
		joined <- outcome{bss, err}
	}()
	sta, err := tap.NewStation(tap.StationConfig{
		World: b.World, Air: b.Air, Rand: rand.NewPCG(1, 2), MAC: wire.MAC{0x02, 0x6b, 0x65, 0x72, 0x6e, 0x03},
		Join: wifi.JoinParams{SSID: setupBSS.SSID, Passphrase: "open sesame"}, Name: "wlan0", Namespace: n.Path(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sta.Close()
	peers.Poll(t, "the carrier", nil, func() bool { return n.Carrier("wlan0") == "1" })
	n.SetUp("wlan0", netip.MustParsePrefix("192.168.5.100/24"))
	curl := func(args ...string) string {
		all := []string{"-sS", "-m", "10", "--resolve", setupName + ":80:192.168.5.1", "-w", " status=%{http_code} to=%{redirect_url}"}
		return n.Run("curl", append(all, args...)...)
	}
	page := "http://" + setupName + "/"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{page}, "status=200"},
		{[]string{"-I", page}, "status=200"},
		{[]string{"--http1.0", page}, "status=200"},
		{[]string{"http://192.168.5.1/generate_204"}, "status=303 to=" + page},
		{[]string{"-d", "@/proc/version", "-H", "Expect: 100-continue", page + "join"}, "Choose a network."},
		{[]string{"-H", "Transfer-Encoding: chunked", "-d", "ssid=x&passphrase=short", page + "join"}, "at least 8 characters"},
		{[]string{"--data-urlencode", "ssid=" + understudytest.SSID, "--data-urlencode", "passphrase=" + understudytest.Passphrase, page + "join"}, "All set"},
	} {
		if out := curl(tc.args...); !strings.Contains(out, tc.want) {
			t.Errorf("curl %q: want %q in\n%s", tc.args, tc.want, out)
		}
	}
	if o := <-joined; o.err != nil || o.bss.SSID != understudytest.SSID {
		t.Error(o.bss, o.err)
	}
}

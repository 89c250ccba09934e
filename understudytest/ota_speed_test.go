package understudytest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/understudytest"
)

// fullSlot is the largest file that fits.
const fullSlot = image.SlotSize

// otaBench is a bench on the wall clock with a server for one file, by http and https.
type otaBench struct {
	*understudytest.Bench
	file []byte
}

func newOTABench(t testing.TB) *otaBench {
	t.Helper()
	c := understudytest.Config{Delay: 1}
	base, err := device.WINC1500().FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	c.Device.Flash = base.New()
	b := &otaBench{Bench: understudytest.NewConfig(t, c)}
	if b.file, err = image.Build(image.Spec{Version: image.Version(newVersion), Chip: otaChip, Size: fullSlot}); err != nil {
		t.Fatal(err)
	}
	h := b.AddHost("ota.test")
	serve := func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			file(c, b.file)
		}
	}
	config := &tls.Config{Certificates: []tls.Certificate{identity(tlsKeys().ours, "ota.test")}, CipherSuites: deviceSuites}
	for _, err := range []error{
		h.HandleTCP(80, serve),
		h.HandleTCP(443, func(c net.Conn) { t := tls.Server(c, config); serve(t); t.Close() }),
		b.Join(),
		b.Client.SetOTAVerify(false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// get is what a host's own download costs, from the connection to the last byte.
func (b *otaBench) get(secure bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	port := "80"
	if secure {
		port = "443"
	}
	c, err := b.Net.DialContext(ctx, "tcp", "ota.test:"+port)
	if err != nil {
		return err
	}
	defer c.Close()
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, CipherSuites: deviceSuites, MaxVersion: tls.VersionTLS12})
	}
	io.WriteString(c, "GET /new.img HTTP/1.1\r\nHost: ota.test\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	if n, err := io.Copy(io.Discard, r.Body); n != fullSlot {
		return fmt.Errorf("%d bytes, %v", n, err)
	}
	return nil
}

// update is an update of a full slot, from the request of the host to its status.
func (b *otaBench) update(secure bool) error {
	url := otaURL
	if secure {
		url = tlsURL
	}
	return b.Net.Update(context.Background(), url, nil)
}

// BenchmarkUpdate is the download of a full slot through the whole machine: by the device, which checks and stores it, and by its
// host over the bus.
func BenchmarkUpdate(bm *testing.B) {
	for _, tc := range otaWays {
		bm.Run(tc.name, func(bm *testing.B) {
			b := newOTABench(bm)
			bm.SetBytes(fullSlot)
			bm.ReportAllocs()
			for bm.Loop() {
				if err := tc.run(b); err != nil {
					bm.Fatal(err)
				}
			}
		})
	}
}

var otaWays = []struct {
	name string
	run  func(*otaBench) error
}{
	{"get/http", func(b *otaBench) error { return b.get(false) }},
	{"update/http", func(b *otaBench) error { return b.update(false) }},
	{"get/https", func(b *otaBench) error { return b.get(true) }},
	{"update/https", func(b *otaBench) error { return b.update(true) }},
}

// An update of a full slot reaches at least 80 % of what a get reaches over the same path, in one run. The two take turns, and the best
// of several counts: the machine does other things as well.
func TestSpeedOfAnUpdate(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	b := newOTABench(t)
	best := make([]time.Duration, len(otaWays))
	for i := range 40 {
		for k, way := range otaWays {
			begin := time.Now()
			if err := way.run(b); err != nil {
				t.Fatalf("%s: %v", way.name, err)
			}
			if d := time.Since(begin); best[k] == 0 || d < best[k] {
				best[k] = d
			}
		}
		if i >= 4 && best[1]*8 <= best[0]*10 {
			break
		}
	}
	for k, way := range otaWays {
		t.Logf("%-12s %6.1f MB/s", way.name, fullSlot/best[k].Seconds()/1e6)
	}
	if ratio := best[0].Seconds() / best[1].Seconds(); ratio < 0.8 {
		t.Errorf("an update reaches %.0f %% of a get, want at least 80 %%", 100*ratio)
	}
}

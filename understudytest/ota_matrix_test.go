package understudytest_test

// What becomes of an update when a server, the network or the user is bad: the
// matrix of docs and of the issue about updates. The test prints it.

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// badRow is a row of the matrix.
type badRow struct {
	name string
	is   driver.OTAStatus
	why  string                                              // in the device's words; "": any
	url  string                                              // "": otaURL
	play func(m *matrix, c net.Conn, n int, r *http.Request) // the server of otaURL; nil: it has the file
	do   func(m *matrix)                                     // while the update runs
	pre  func(m *matrix)                                     // before it
	conf func(c *understudytest.Config)
}

// matrix is what the rows play with.
type matrix struct {
	*rig
	file []byte
	s    *otaServer
	tls  *tls.Config // of the server at port 443
}

const matrixSize = 30_000

func (m *matrix) head(lines ...string) string {
	return "HTTP/1.1 200 OK\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func (m *matrix) length(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

// says answers with text, and the end.
func says(text string) func(*matrix, net.Conn, int, *http.Request) {
	return func(_ *matrix, c net.Conn, _ int, _ *http.Request) { io.WriteString(c, text) }
}

// gives answers with a file made from the good one.
func gives(change func(m *matrix, file []byte) []byte) func(*matrix, net.Conn, int, *http.Request) {
	return func(m *matrix, c net.Conn, _ int, _ *http.Request) { file(c, change(m, slices.Clone(m.file))) }
}

// built answers with another image.
func built(s image.Spec) func(*matrix, net.Conn, int, *http.Request) {
	return func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		b, err := image.Build(s)
		m.ok("build", err)
		file(c, b)
	}
}

// cutAt sends n bytes of the file each time, and is gone.
func cutAt(n int, etag string, times int) func(*matrix, net.Conn, int, *http.Request) {
	return func(m *matrix, c net.Conn, k int, r *http.Request) {
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		rest := m.file[from:]
		status := "200 OK"
		if from > 0 {
			status = fmt.Sprintf("206 Partial Content\r\nContent-Range: bytes %d-%d/%d", from, len(m.file)-1, len(m.file))
		}
		fmt.Fprintf(c, "HTTP/1.1 %s\r\nETag: %q\r\nContent-Length: %d\r\n\r\n", status, etag, len(rest))
		if k < times {
			rest = rest[:min(n, len(rest))]
		}
		c.Write(rest)
	}
}

// stall waits until the other side has given up.
func (m *matrix) stall(c net.Conn) { io.Copy(io.Discard, c) }

// in runs do as soon as the updater is in a phase.
func in(phase string, do func(m *matrix)) func(m *matrix) {
	return func(m *matrix) {
		for m.look().Phase != phase {
			m.Sleep(100 * time.Microsecond)
		}
		do(m)
	}
}

func abort(m *matrix) { m.ok("AbortUpdate", m.Client.AbortUpdate()) }

// slow is the file at 10 kB/s.
func slow(m *matrix, c net.Conn, _ int, _ *http.Request) { m.slowly(c, m.file) }

// mute says nothing.
func mute(m *matrix, c net.Conn, _ int, _ *http.Request) { m.stall(c) }

const tlsURL = "https://ota.test/new.img"

var badRows = []badRow{
	{name: "good", is: driver.OTAComplete},
	{name: "good, in chunks", is: driver.OTAComplete, play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(m.file), m.file)
	}},
	{name: "good, without a length", is: driver.OTAComplete, play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n\r\n%s", m.file)
	}},
	{name: "good, by https", is: driver.OTAComplete, url: tlsURL},

	{name: "no URL of http", is: driver.OTAInvalidURL, url: "ftp://ota.test/x"},
	{name: "no network", is: driver.OTAConnError, why: "no network", pre: func(m *matrix) { m.StopWiFi(); m.Sleep(patience) }},
	{name: "no such name", is: driver.OTAConnError, why: "no such host", url: "http://nowhere.test/x"},
	{name: "the DNS server says nothing", is: driver.OTAConnError, why: "no answer about the name", pre: func(m *matrix) { m.deaf(m.Router, 53) }},
	{name: "refused", is: driver.OTAConnError, why: "connection refused", url: "http://ota.test:81/x"},
	{name: "nobody has the address", is: driver.OTAConnError, why: "unreachable", url: "http://10.9.0.77/x"},
	{name: "no answer to SYN", is: driver.OTAConnError, why: "no answer to the connection", pre: func(m *matrix) {
		m.SetCable(m.s.Host, air.Link{Down: true})
	}, url: "http://10.9.0.10/new.img"},

	{name: "no answer to ClientHello", is: driver.OTAConnError, why: "handshake takes too long", url: "https://ota.test:444/x"},
	{name: "no answer to GET", is: driver.OTAConnError, why: "stalls", play: mute},
	{name: "closes at once", is: driver.OTAConnError, why: "EOF", play: says("")},
	{name: "closes in the head", is: driver.OTAConnError, why: "EOF", play: says("HTTP/1.1 200 OK\r\nContent")},
	{name: "stalls in the middle", is: driver.OTAConnError, why: "stalls", play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		io.WriteString(c, m.head(m.length(len(m.file))))
		c.Write(m.file[:10_000])
		m.stall(c)
	}},
	{name: "one byte every 20 s", is: driver.OTAConnError, why: "the whole takes too long", play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		io.WriteString(c, m.head(m.length(len(m.file))))
		for i := range m.file {
			if _, err := c.Write(m.file[i : i+1]); err != nil {
				return
			}
			m.Sleep(20 * time.Second)
		}
	}},

	{name: "404", is: driver.OTAServerError, play: says("HTTP/1.1 404 Not Found\r\n\r\n")},
	{name: "500 with a body", is: driver.OTAServerError, play: says("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nsorry")},
	{name: "500 with the file as its body", is: driver.OTAServerError, play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		fmt.Fprintf(c, "HTTP/1.1 500 Hm\r\n\r\n%s", m.file)
	}},
	{name: "500, on a real part", is: driver.OTAVerifyFailed, play: says("HTTP/1.1 500 Internal Server Error\r\n\r\n" + strings.Repeat("sorry", 100)),
		conf: func(c *understudytest.Config) { c.Device.Profile.Update.ErrorPages = true }},
	{name: "204", is: driver.OTAServerError, play: says("HTTP/1.1 204 No Content\r\n\r\n")},
	{name: "206 that nobody asked for", is: driver.OTAServerError, play: says("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\n\r\n0123456789")},
	{name: "401", is: driver.OTAServerError, play: says("HTTP/1.1 401 Unauthorized\r\n\r\n")},
	{name: "speaks no HTTP", is: driver.OTAServerError, play: says("220 smtp.test ESMTP\r\n\r\n")},
	{name: "a head without end", is: driver.OTAServerError, why: "longer than", play: says("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 10_000))},
	{name: "interim answers without end", is: driver.OTAServerError, why: "interim", play: says(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 500))},
	{name: "length and chunks", is: driver.OTAServerError, why: "both", play: says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{name: "gzip", is: driver.OTAServerError, why: "encoded", play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(m.file)
		w.Close()
		io.WriteString(c, m.head("Content-Encoding: gzip", m.length(z.Len())))
		c.Write(z.Bytes())
	}},

	{name: "3xx in a loop", is: driver.OTAServerError, why: "redirects", play: says("HTTP/1.1 302 Found\r\nLocation: /new.img\r\n\r\n")},
	{name: "3xx to ftp", is: driver.OTAServerError, play: says("HTTP/1.1 302 Found\r\nLocation: ftp://ota.test/x\r\n\r\n")},
	{name: "3xx to the device itself", is: driver.OTAServerError, why: "itself", play: says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\n\r\n")},
	{name: "3xx from https to http", is: driver.OTAServerError, why: "https to http", url: tlsURL, play: says("HTTP/1.1 302 Found\r\nLocation: http://ota.test/x\r\n\r\n")},
	{name: "3xx, then good", is: driver.OTAComplete, play: func(m *matrix, c net.Conn, n int, _ *http.Request) {
		if n < 3 {
			fmt.Fprintf(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: /%d\r\n\r\n", n)
			return
		}
		file(c, m.file)
	}},

	{name: "truncated, each time", is: driver.OTAConnError, play: cutAt(1000, "v1", 100)},
	{name: "truncated twice", is: driver.OTAComplete, play: cutAt(9000, "v1", 2)},
	{name: "truncated, and gone", is: driver.OTAConnError, play: func(m *matrix, c net.Conn, n int, r *http.Request) {
		if n == 0 {
			cutAt(9000, "v1", 1)(m, c, n, r)
		}
	}},
	{name: "truncated, without a length", is: driver.OTAVerifyFailed, why: "shorter", play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n\r\n%s", m.file[:9000])
	}},
	{name: "truncated, another file goes on", is: driver.OTAServerError, why: "changed", play: func(m *matrix, c net.Conn, n int, r *http.Request) {
		cutAt(9000, fmt.Sprint("v", n), 1)(m, c, n, r)
	}},
	{name: "longer than it says", is: driver.OTAVerifyFailed, why: "longer", play: gives(func(m *matrix, b []byte) []byte { return append(b, 'x') })},
	{name: "wrong digest", is: driver.OTAVerifyFailed, why: "digest", play: gives(func(m *matrix, b []byte) []byte { b[0] ^= 1; return b })},
	{name: "one bit wrong", is: driver.OTAVerifyFailed, why: "digest", play: gives(func(m *matrix, b []byte) []byte { b[len(b)-1] ^= 1; return b })},
	{name: "wrong magic", is: driver.OTAVerifyFailed, why: "magic", play: gives(func(m *matrix, b []byte) []byte { b[32] ^= 1; return b })},
	{name: "an empty file", is: driver.OTAVerifyFailed, play: gives(func(m *matrix, b []byte) []byte { return nil })},
	{name: "a page instead", is: driver.OTAVerifyFailed, play: says("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("<html>please log in</html>", 50))},
	{name: "too large", is: driver.OTANoFlash, why: "241704 bytes", play: gives(func(m *matrix, b []byte) []byte { return image.Wrap(make([]byte, image.SlotSize)) })},
	{name: "other chip", is: driver.OTAVerifyFailed, why: "another chip", play: built(image.Spec{Version: image.Version(newVersion), Chip: 0x3400d2, Size: matrixSize})},
	{name: "old version", is: driver.OTAComplete, play: built(image.Spec{Version: 0x1361, Chip: otaChip, Size: matrixSize})},
	{name: "old version, where that is refused", is: driver.OTAVerifyFailed, why: "too old", play: built(image.Spec{Version: 0x1361, Chip: otaChip, Size: matrixSize}),
		conf: func(c *understudytest.Config) { c.Device.Profile.Update.NoDowngrade = true }},

	{name: "TLS: another root", is: driver.OTAConnError, why: "another root", url: tlsURL, pre: func(m *matrix) { m.present(identity(tlsKeys().theirs, "ota.test")) }},
	{name: "TLS: expired", is: driver.OTAConnError, why: "expired", url: tlsURL, pre: func(m *matrix) {
		m.present(identity(tlsKeys().ours, "ota.test", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = world.Epoch.Add(-48*time.Hour), world.Epoch.Add(-24*time.Hour)
		}))
	}},
	{name: "TLS: another name", is: driver.OTAConnError, why: "mallory", url: tlsURL, pre: func(m *matrix) {
		m.present(identity(tlsKeys().ours, "mallory.test"))
		m.ok("SetOTASNI", m.Client.SetOTASNI("ota.test"))
	}},
	{name: "TLS: nothing is checked", is: driver.OTAComplete, url: tlsURL, pre: func(m *matrix) {
		m.present(identity(tlsKeys().theirs, "ota.test"))
		m.ok("SetOTAVerify", m.Client.SetOTAVerify(false))
	}},
	{name: "TLS: no suite in common", is: driver.OTAConnError, why: "handshake failure", url: tlsURL, pre: func(m *matrix) {
		m.tls.CipherSuites, m.tls.MaxVersion = []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}, tls.VersionTLS12
	}},
	{name: "TLS: none spoken", is: driver.OTAConnError, why: "EOF", url: "https://ota.test:80/x"},

	{name: "20 % loss each way", is: driver.OTAComplete, do: func(m *matrix) { m.SetLink(air.Link{Loss: 0.2}) },
		conf: func(c *understudytest.Config) { c.Seed = 1 }}, // so that it is always the same fifth
	{name: "40 % loss each way", is: driver.OTAComplete, url: "http://10.9.0.10/new.img", do: func(m *matrix) { m.SetLink(air.Link{Loss: 0.4}) },
		conf: func(c *understudytest.Config) { c.Seed = 1 }},
	{name: "Wi-Fi lost", is: driver.OTAConnError, why: "no network", play: slow, do: in("receiving", func(m *matrix) { m.LoseWiFi() })},
	{name: "Wi-Fi left", is: driver.OTAConnError, why: "no network", play: slow, do: in("receiving", func(m *matrix) { m.ok("Disconnect", m.Client.Disconnect()) })},
	{name: "lease lost", is: driver.OTAConnError, why: "no address", play: func(m *matrix, c net.Conn, _ int, _ *http.Request) {
		io.WriteString(c, m.head(m.length(len(m.file))))
		for p := range slices.Chunk(m.file, 1000) {
			if _, err := c.Write(p); err != nil {
				return
			}
			m.Sleep(time.Second)
		}
	}, do: in("receiving", func(m *matrix) { m.Router.Stack.StopServingDHCP() }),
		conf: func(c *understudytest.Config) { c.LeaseTime = 8 * time.Second }},
	{name: "the server's machine is gone", is: driver.OTAConnError, play: slow, do: in("receiving", func(m *matrix) { m.SetCable(m.s.Host, air.Link{Down: true}) })},

	{name: "aborted while resolving", is: driver.OTAAborted, pre: func(m *matrix) { m.deaf(m.Router, 53) }, do: in("resolving", abort)},
	{name: "aborted while connecting", is: driver.OTAAborted, url: "http://10.9.0.77/x", do: in("connecting", abort)},
	{name: "aborted while securing", is: driver.OTAAborted, url: "https://ota.test:444/x", do: in("securing", abort)},
	{name: "aborted while asking", is: driver.OTAAborted, play: mute, do: in("asking", abort)},
	{name: "aborted while receiving", is: driver.OTAAborted, play: slow, do: in("receiving", abort)},
	{name: "aborted while pausing", is: driver.OTAAborted, play: cutAt(1000, "v1", 100), do: in("pausing", abort)},
}

// present makes c the server's certificate.
func (m *matrix) present(c tls.Certificate) { m.tls.Certificates = []tls.Certificate{c} }

// serve plugs in the server of a row, for http and https.
func (m *matrix) serve(row badRow) {
	play := func(c net.Conn, n int, r *http.Request) {
		if row.play != nil {
			row.play(m, c, n, r)
			return
		}
		file(c, m.file)
	}
	m.s = &otaServer{Host: m.AddHost("ota.test")}
	m.ok("serve", m.s.HandleTCP(80, func(c net.Conn) { m.s.serve(c, play) }))
	m.ok("serve", m.s.HandleTCP(444, m.stall))
	m.tls = &tls.Config{Certificates: []tls.Certificate{identity(tlsKeys().ours, "ota.test")}, CipherSuites: deviceSuites, Time: m.Now}
	m.ok("serve", m.s.HandleTCP(443, func(c net.Conn) {
		t := tls.Server(c, m.tls)
		m.s.serve(t, play)
		t.Close()
	}))
}

// outcome is how a row ended.
type outcome struct {
	status           driver.OTAStatus
	standby, running driver.Version // the latter after a reset
	took             time.Duration
	asked            int
	why              string
}

func (o outcome) String() string {
	slot := "invalid"
	if o.standby != 0 {
		slot = o.standby.String()
	}
	return fmt.Sprintf("%-18s %-8s %-8v %8.1f s %3d  %.90s", o.status.String(), slot, o.running, o.took.Seconds(), o.asked, o.why)
}

// try runs a row.
func (m *matrix) try(row badRow) (o outcome) {
	m.t.Helper()
	if row.pre != nil {
		row.pre(m)
	}
	url := row.url
	if url == "" {
		url = otaURL
	}
	begin := m.Now()
	m.ok("Update", m.Client.Update(url, hear[driver.OTAStatus](m.rig)))
	if row.do != nil {
		row.do(m)
	}
	s, e := wantWithin[driver.OTAStatus](m.rig, none, 20*time.Minute)
	u := m.look()
	o = outcome{status: s, took: e.at.Sub(begin), asked: len(m.s.asked), why: u.Why}
	o.standby, _ = m.Client.StandbyFirmware()
	m.quiet(10*time.Second, "after the status")

	m.SetLink(air.Link{})
	m.SetCable(m.s.Host, air.Link{})
	m.ok("Restart", m.Driver.Restart())
	c, err := m.Driver.Open()
	m.ok("Open", err)
	m.Client = c
	m.attach()
	o.running, err = c.Firmware()
	m.ok("Firmware", err)
	return o
}

func TestMatrixOfBadServers(t *testing.T) {
	body := firmware(t, newVersion, matrixSize)
	var lines []string
	for _, row := range badRows {
		t.Run(row.name, func(t *testing.T) {
			c := understudytest.Config{Device: device.Config{Profile: device.WINC1500()}}
			c.Device.Flash = tlsFlash(t, c.Device.Profile)
			if row.conf != nil {
				row.conf(&c)
			}
			b := understudytest.VirtualConfig(t, c)
			r := &rig{Bench: b, t: t, start: b.Now()}
			r.tapAir()
			r.attach()
			r.Go(r.pump)
			stalled := b.Run(func() {
				m := &matrix{rig: r, file: body}
				r.ok("join", r.Join())
				r.Sleep(patience)
				m.serve(row)
				o := m.try(row)
				lines = append(lines, fmt.Sprintf("%-36s %v", row.name, o))
				if o.status != row.is || (o.standby != 0) != (o.status == driver.OTAComplete) || o.running != oldVersion {
					r.fatalf("%v; want %v", o, row.is)
				}
				if !strings.Contains(o.why, row.why) {
					r.fatalf("the reason is %q, want %q in it", o.why, row.why)
				}
				if (o.why == "") != (o.status == driver.OTAComplete) {
					r.fatalf("%v: the reason is %q", o.status, o.why)
				}
			})
			if stalled != nil {
				t.Error(stalled)
			}
		})
	}
	t.Logf("%d servers\n%-36s %-18s %-8s %-8s %10s %3s  %s\n%s", len(lines), "what is wrong", "status", "slot", "runs", "time", "GET", "why", strings.Join(lines, "\n"))
}

package understudytest_test

// OTA: firmware updates (spec/driver-api.md 5.14). OTA-22, cuts of power, is in
// behaviour_cut_test.go.

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/image"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// Versions of the tests, and the chip of the default profile.
const (
	oldVersion = driver.Version(0x1377)
	newVersion = driver.Version(0x1381)
	otaChip    = 0x1003a0
)

// firmware makes an update file of size bytes with a version.
func firmware(t *testing.T, v driver.Version, size int) []byte {
	t.Helper()
	b, err := image.Build(image.Spec{Version: image.Version(v), Chip: otaChip, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// otaSize is that of most images of the tests.
const otaSize = 60_000

// otaServer is a server for updates that plays what a test wants.
type otaServer struct {
	*understudytest.Host
	asked []string // what was asked for, the lines of the requests
	conns int
	open  int // connections that are not closed
}

// serveOTA plugs in a server at http://ota.test whose n-th request, from 0, is answered by play.
func (r *rig) serveOTA(play func(c net.Conn, n int, req *http.Request)) *otaServer {
	r.t.Helper()
	s := &otaServer{Host: r.AddHost("ota.test")}
	r.ok("serve", s.HandleTCP(80, func(c net.Conn) { s.serve(c, play) }))
	return s
}

func (s *otaServer) serve(c net.Conn, play func(c net.Conn, n int, req *http.Request)) {
	s.conns++
	s.open++
	defer func() { s.open-- }()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	n := len(s.asked)
	s.asked = append(s.asked, req.Method+" "+req.URL.String())
	play(c, n, req)
}

// file answers with a body.
func file(c net.Conn, body []byte) {
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	c.Write(body)
}

// serveFile is a server that has one file.
func (r *rig) serveFile(body []byte) *otaServer {
	return r.serveOTA(func(c net.Conn, _ int, _ *http.Request) { file(c, body) })
}

const otaURL = "http://ota.test/new.img"

// update starts one and wants its status.
func (r *rig) update(url string, is driver.OTAStatus) {
	r.t.Helper()
	r.ok("Update", r.Client.Update(url, hear[driver.OTAStatus](r)))
	r.wantOTA("Update", is)
}

func (r *rig) wantOTA(what string, is driver.OTAStatus) {
	r.t.Helper()
	if got, _ := wantWithin[driver.OTAStatus](r, none, 2*time.Minute); got != is {
		r.fatalf("%s: got %v, want %v (%s)", what, got, is, r.look().Why)
	}
}

// look is a look at the updater.
func (r *rig) look() (u device.UpdateState) {
	r.World.Lock()
	defer r.World.Unlock()
	return r.Device.Snapshot().Update
}

func (r *rig) switchImage(is driver.OTAStatus) {
	r.t.Helper()
	r.ok("SwitchImage", r.Client.SwitchImage(hear[driver.OTAStatus](r)))
	r.wantOTA("SwitchImage", is)
}

func (r *rig) rollback(is driver.OTAStatus) {
	r.t.Helper()
	r.ok("Rollback", r.Client.Rollback(hear[driver.OTAStatus](r)))
	r.wantOTA("Rollback", is)
}

// restart resets the chip and joins again.
func (r *rig) restart() {
	r.t.Helper()
	r.ok("Restart", r.Driver.Restart())
	c, err := r.Driver.Open()
	r.ok("Open", err)
	r.Client = c
	r.attach()
	r.ok("Join", r.Join())
}

// versions wants these to run and to stand by; 0: none stands by.
func (r *rig) versions(running, standby driver.Version) {
	r.t.Helper()
	got, err := r.Client.Firmware()
	r.ok("Firmware", err)
	if got != running {
		r.fatalf("%v runs, want %v", got, running)
	}
	got, err = r.Client.StandbyFirmware()
	if standby == 0 && !errors.Is(err, driver.ErrRequest) || got != standby {
		r.fatalf("%v stands by, %v, want %v", got, err, standby)
	}
}

func TestOTA01_OneGetAndOneCallback(t *testing.T) {
	behave(t, func(r *rig) {
		s := r.serveFile(firmware(t, newVersion, otaSize))
		r.update(otaURL, driver.OTAComplete)
		if !slices.Equal(s.asked, []string{"GET /new.img"}) || s.conns != 1 {
			r.fatalf("%d connections, requests %q", s.conns, s.asked)
		}
		r.quiet(time.Minute, "after the status")
	})
}

func TestOTA02_TheRunningVersionStays(t *testing.T) {
	behave(t, func(r *rig) {
		r.serveFile(firmware(t, newVersion, otaSize))
		r.versions(oldVersion, 0)
		r.update(otaURL, driver.OTAComplete)
		r.versions(oldVersion, newVersion)
		r.restart()
		r.versions(oldVersion, newVersion)
	})
}

func TestOTA03_SwitchAndReset(t *testing.T) {
	behave(t, func(r *rig) {
		r.serveFile(firmware(t, newVersion, otaSize))
		r.update(otaURL, driver.OTAComplete)
		r.switchImage(driver.OTAComplete)
		r.versions(oldVersion, newVersion) // not before the reset
		r.restart()
		r.versions(newVersion, oldVersion)
	})
}

func TestOTA04_SwitchWithoutAnImage(t *testing.T) {
	behave(t, func(r *rig) {
		r.switchImage(driver.OTANoRollback)
		r.rollback(driver.OTANoRollback)
		r.restart()
		r.versions(oldVersion, 0)
	})
}

// slowly sends body in pieces, with pauses.
func (r *rig) slowly(c net.Conn, body []byte) {
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	for p := range slices.Chunk(body, 1000) {
		if _, err := c.Write(p); err != nil {
			return
		}
		r.Sleep(100 * time.Millisecond)
	}
}

// downloading starts an update that takes a while, and returns in the middle of it.
func (r *rig) downloading(s *otaServer) {
	r.t.Helper()
	r.ok("Update", r.Client.Update(otaURL, hear[driver.OTAStatus](r)))
	r.Sleep(2 * time.Second)
	if u := r.look(); u.Phase != "receiving" || u.Stored < 5000 || s.open != 1 {
		r.fatalf("two seconds later: %+v", u)
	}
}

func slowServer(t *testing.T, body func(r *rig, s *otaServer)) {
	t.Helper()
	behave(t, func(r *rig) {
		image := firmware(t, newVersion, otaSize)
		body(r, r.serveOTA(func(c net.Conn, _ int, _ *http.Request) { r.slowly(c, image) }))
	})
}

func TestOTA05_Abort(t *testing.T) {
	slowServer(t, func(r *rig, s *otaServer) {
		r.downloading(s)
		r.ok("AbortUpdate", r.Client.AbortUpdate())
		r.wantOTA("Update", driver.OTAAborted)
		r.Sleep(time.Second)
		if s.open != 0 {
			r.fatalf("the connection to the server is still open")
		}
		r.switchImage(driver.OTANoRollback)
		r.quiet(time.Minute, "after the abort")
	})
}

func TestOTA06_AbortOfNothing(t *testing.T) {
	behave(t, func(r *rig) {
		requests := func() uint64 {
			r.World.Lock()
			defer r.World.Unlock()
			return r.Device.Counters().Requests
		}
		n, since := requests(), r.mark()
		r.ok("AbortUpdate", r.Client.AbortUpdate())
		r.Sleep(time.Second)
		if requests() != n || r.mark() != since {
			r.fatalf("%d requests, %d packets", requests()-n, r.mark()-since)
		}
	})
}

func TestOTA07_SecondUpdate(t *testing.T) {
	slowServer(t, func(r *rig, s *otaServer) {
		r.downloading(s)
		for _, url := range []string{otaURL, ""} {
			err := r.Client.Update(url, hear[driver.OTAStatus](r))
			r.refused("Update", err, driver.ErrBusy)
			r.refused("Update", err, driver.ErrRequest)
		}
		r.wantOTA("Update", driver.OTAComplete)
	})
}

func TestOTA08_ClosedAndEmpty(t *testing.T) {
	behave(t, func(r *rig) {
		r.refused("Update without a URL", r.Client.Update("", nil), driver.ErrInvalid)
		r.ok("Close", r.Client.Close())
		r.refused("Update of a closed client", r.Client.Update(otaURL, nil), driver.ErrNotOpen)
	})
}

func TestOTA09_LengthOfURLs(t *testing.T) {
	behave(t, func(r *rig) {
		s := r.serveFile(firmware(t, newVersion, otaSize))
		url := func(n int) string { return otaURL + "?" + strings.Repeat("x", n-len(otaURL)-1) }
		r.refused("255 bytes", r.Client.Update(url(255), nil), driver.ErrRequest)
		r.update(url(254), driver.OTAComplete)
		if s.asked[0] != "GET "+strings.TrimPrefix(url(254), "http://ota.test") {
			r.fatalf("asked for %q", s.asked[0])
		}
	})
}

func TestOTA10_NotFound(t *testing.T) {
	behave(t, func(r *rig) {
		r.serveOTA(func(c net.Conn, _ int, _ *http.Request) {
			io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")
		})
		r.update(otaURL, driver.OTAServerError)
	})
}

func TestOTA11_NoServer(t *testing.T) {
	behave(t, func(r *rig) {
		h := r.AddHost("idle.test")
		r.update("http://nowhere.test/x", driver.OTAConnError)
		r.update("http://idle.test/x", driver.OTAConnError)
		r.update("http://"+h.Addr.String()+":8080/x", driver.OTAConnError)
	})
}

func TestOTA12_UnknownScheme(t *testing.T) {
	behave(t, func(r *rig) {
		for _, url := range []string{"ftp://ota.test/new.img", "new.img", "http:///new.img", "http://ota.test:99999/x", "http://[::1]/x"} {
			r.update(url, driver.OTAInvalidURL)
		}
	})
}

func TestOTA13_OneFlippedByte(t *testing.T) {
	behave(t, func(r *rig) {
		body := firmware(t, newVersion, otaSize)
		body[otaSize/2] ^= 1
		r.serveFile(body)
		r.update(otaURL, driver.OTAVerifyFailed)
		r.switchImage(driver.OTANoRollback)
	})
}

func TestOTA14_TooLarge(t *testing.T) {
	behave(t, func(r *rig) {
		body := image.Wrap(bytes.Repeat([]byte("x"), image.SlotSize))
		known := true
		r.serveOTA(func(c net.Conn, _ int, _ *http.Request) {
			if known {
				file(c, body)
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			c.Write(body)
		})
		r.update(otaURL, driver.OTANoFlash)
		known = false // by the file's own size field
		r.update(otaURL, driver.OTANoFlash)
	})
}

func TestOTA15_ConnectionCut(t *testing.T) {
	behave(t, func(r *rig) {
		body := firmware(t, newVersion, otaSize)
		s := r.serveOTA(func(c net.Conn, n int, _ *http.Request) {
			if n == 0 {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
				c.Write(body[:otaSize/2])
			}
		})
		r.update(otaURL, driver.OTAConnError)
		if len(s.asked) < 2 {
			r.fatalf("the device has not tried to go on: %q", s.asked)
		}
		r.restart()
		r.versions(oldVersion, 0)
	})
}

func TestOTA16_AFailedUpdateEndsTheRollback(t *testing.T) {
	behave(t, func(r *rig) {
		body := firmware(t, newVersion, otaSize)
		r.serveOTA(func(c net.Conn, n int, _ *http.Request) {
			if n == 0 {
				file(c, body)
				return
			}
			io.WriteString(c, "HTTP/1.1 404 Not Found\r\n\r\n")
		})
		r.update(otaURL, driver.OTAComplete)
		r.switchImage(driver.OTAComplete)
		r.restart()
		r.versions(newVersion, oldVersion)
		r.update(otaURL, driver.OTAServerError)
		r.rollback(driver.OTANoRollback)
		r.versions(newVersion, 0)
		r.restart()
		r.versions(newVersion, 0)
	})
}

func TestOTA17_Rollback(t *testing.T) {
	behave(t, func(r *rig) {
		r.serveFile(firmware(t, newVersion, otaSize))
		r.update(otaURL, driver.OTAComplete)
		r.switchImage(driver.OTAComplete)
		r.restart()
		r.versions(newVersion, oldVersion)
		r.rollback(driver.OTAComplete)
		r.restart()
		r.versions(oldVersion, newVersion)
	})
}

func TestOTA18_WiFiLost(t *testing.T) {
	slowServer(t, func(r *rig, s *otaServer) {
		r.downloading(s)
		r.LoseWiFi()
		r.wantOTA("Update", driver.OTAConnError)
		r.RestoreWiFi()
		r.ok("join", r.Join())
		r.switchImage(driver.OTANoRollback)
	})
}

func TestOTA19_AgainFromTheCallback(t *testing.T) {
	behave(t, func(r *rig) {
		body := firmware(t, newVersion, otaSize)
		r.serveOTA(func(c net.Conn, n int, _ *http.Request) {
			if n > 0 {
				file(c, body)
				return
			}
			io.WriteString(c, "HTTP/1.1 500 Not today\r\n\r\n")
		})
		var again error
		r.ok("Update", r.Client.Update(otaURL, func(s driver.OTAStatus) {
			r.tell(none, s)
			again = r.Client.Update(otaURL, hear[driver.OTAStatus](r))
		}))
		r.wantOTA("the first", driver.OTAServerError)
		r.wantOTA("the second", driver.OTAComplete)
		r.ok("Update in the callback", again)
	})
}

func TestOTA20_SwitchWhileDownloading(t *testing.T) {
	slowServer(t, func(r *rig, s *otaServer) {
		r.downloading(s)
		r.switchImage(driver.OTABusy)
		r.rollback(driver.OTABusy)
		r.wantOTA("Update", driver.OTAComplete)
		r.switchImage(driver.OTAComplete)
	})
}

// All other tests end with "no event was left over"; here all outcomes come in a row.
func TestOTA21_ExactlyOneCallback(t *testing.T) {
	behave(t, func(r *rig) {
		body := firmware(t, newVersion, otaSize)
		bad := slices.Clone(body)
		bad[50]++
		r.serveOTA(func(c net.Conn, _ int, req *http.Request) {
			switch req.URL.Path {
			case "/good":
				file(c, body)
			case "/bad":
				file(c, bad)
			case "/cut":
				file(c, body[:1000])
			case "/error":
				io.WriteString(c, "HTTP/1.1 503 Later\r\n\r\n")
			}
		})
		for _, tc := range []struct {
			path string
			is   driver.OTAStatus
		}{
			{"/good", driver.OTAComplete}, {"/bad", driver.OTAVerifyFailed}, {"/cut", driver.OTAVerifyFailed},
			{"/error", driver.OTAServerError}, {"/closed", driver.OTAConnError}, {":81/", driver.OTAConnError},
			{":x/", driver.OTAInvalidURL}, {"/good", driver.OTAComplete},
		} {
			n := 0
			r.ok("Update", r.Client.Update("http://ota.test"+tc.path, func(s driver.OTAStatus) { n++; r.tell(none, s) }))
			r.wantOTA(tc.path, tc.is)
			r.quiet(10*time.Second, tc.path)
			if n != 1 {
				r.fatalf("%s: %d callbacks", tc.path, n)
			}
		}
	})
}

func TestOTA23_WithoutAnAddress(t *testing.T) {
	behaveWith(t, understudytest.Config{}, func(r *rig) {
		r.update(otaURL, driver.OTAConnError)
		r.Router.Stack.StopServingDHCP()
		r.associate()
		r.update(otaURL, driver.OTAConnError)
	})
}

func TestOTA24_SocketsWorkMeanwhile(t *testing.T) {
	slowServer(t, func(r *rig, s *otaServer) {
		r.downloading(s)
		for _, h := range r.allSockets() { // the update takes none of the host's
			r.close(h)
		}
		h := r.AddHost("peer.test")
		for i := range driver.MaxTCPSockets {
			tcp, c := r.dial(h, uint16(7+i))
			r.send(tcp, []byte("to the peer"))
			r.peerReads(c, []byte("to the peer"))
			r.peerWrites(c, "from the peer")
			r.recv(tcp, 100)
			r.wantData(tcp, "from the peer")
		}
		udp := r.bound(driver.Datagram, 9)
		pc := r.peerSocket(h, 9)
		r.sendTo(udp, []byte("x"), netip.AddrPortFrom(h.Addr, 9))
		r.peerGets(pc, "x")
		if !r.Client.Updating() {
			r.fatalf("the update is over already")
		}
		r.wantOTA("Update", driver.OTAComplete)
	})
}

func TestOTA25_CertificatesOfServers(t *testing.T) {
	withTLS(t, device.Profile{}, func(r *rig) {
		body := firmware(t, newVersion, otaSize)
		good, bad := r.AddHost("ota.test"), r.AddHost("other.test")
		serve := func(h *understudytest.Host, by issuer) {
			c := &tls.Config{Certificates: []tls.Certificate{identity(by, h.Name)}, CipherSuites: deviceSuites, Time: r.Now}
			r.ok("serve", h.HandleTCP(443, func(conn net.Conn) {
				t := tls.Server(conn, c)
				if _, err := http.ReadRequest(bufio.NewReader(t)); err == nil {
					file(t, body)
					t.Close()
				}
			}))
		}
		serve(good, tlsKeys().ours)
		serve(bad, tlsKeys().theirs)

		r.update("https://ota.test/new.img", driver.OTAComplete)
		r.update("https://other.test/new.img", driver.OTAConnError)
		if why := r.look().Why; !strings.Contains(why, "another root") {
			r.fatalf("the reason is %q", why)
		}
		r.ok("SetOTASNI", r.Client.SetOTASNI("somebody.else"))
		r.update("https://ota.test/new.img", driver.OTAConnError)
		r.ok("SetOTASNI", r.Client.SetOTASNI("ota.test"))
		r.update("https://ota.test/new.img", driver.OTAComplete)
		r.ok("SetOTAVerify", r.Client.SetOTAVerify(false))
		r.ok("SetOTASNI", r.Client.SetOTASNI(""))
		r.update("https://other.test/new.img", driver.OTAComplete)
	})
}

// The extension tells the progress: often enough for a bar, not more often than that, up to the end.
func TestProgressOfAnUpdate(t *testing.T) {
	slowServer(t, func(r *rig, s *otaServer) {
		type progress struct{ stored, expected int64 }
		var all []progress
		r.ok("OnUpdateProgress", r.Client.OnUpdateProgress(func(stored, expected int64) {
			all = append(all, progress{stored, expected})
		}))
		begin := r.Now()
		r.update(otaURL, driver.OTAComplete)
		most := int(r.Now().Sub(begin)/(100*time.Millisecond)) + 2
		if len(all) < 10 || len(all) > most || all[len(all)-1] != (progress{otaSize, otaSize}) {
			r.fatalf("%d times, at most %d; the last %+v", len(all), most, all[len(all)-1])
		}
		for i, p := range all[1:] {
			if p.stored <= all[i].stored || p.expected != otaSize {
				r.fatalf("%+v after %+v", p, all[i])
			}
		}
	})
}

package understudytest_test

// The file that a device keeps for its host (spec/driver-api.md 2.14,
// spec/hif-messages.md 4.2).

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/understudy-net/understudy/driver"
)

// content is n bytes that are the same in each run.
func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// loadFile has the device download what serveFile serves.
func (r *rig) loadFile(is driver.OTAStatus) (f driver.HostFile) {
	r.t.Helper()
	r.ok("DownloadFile", r.Client.DownloadFile(otaURL, func(g driver.HostFile, s driver.OTAStatus) {
		f = g
		r.tell(none, s)
	}))
	r.wantOTA("DownloadFile", is)
	return f
}

// findFile finds a file, and asks again if the driver had to ask.
func (r *rig) findFile(id int) (driver.HostFile, error) {
	f, err := r.Client.FindFile(id)
	if err == error(driver.ErrRetry) {
		r.Sleep(time.Second)
		return r.Client.FindFile(id)
	}
	return f, err
}

func TestHostFileOverTheAir(t *testing.T) {
	behave(t, func(r *rig) {
		body := content(5000)
		s := r.serveFile(body)
		f := r.loadFile(driver.OTAComplete)
		if f.Size() != int64(len(body)) || len(s.asked) != 1 {
			r.fatalf("%d bytes after %q", f.Size(), s.asked)
		}
		got := make([]byte, len(body)+10)
		r.ok("Read", f.Read(got, 0, func(n int, s driver.OTAStatus) { r.tell(none, n); r.tell(none, s) }))
		if n := want[int](r, none); !bytes.Equal(got[:n], body) {
			r.fatalf("read %d bytes, which are others", n)
		}
		r.wantOTA("Read", driver.OTAComplete)

		// It outlives the driver and its device's power.
		r.ok("Restart", r.Driver.Restart())
		c, err := r.Driver.Open()
		r.ok("Open", err)
		r.Client = c
		g, err := r.findFile(f.ID())
		r.ok("FindFile", err)
		if g.Size() != f.Size() {
			r.fatalf("found %d bytes", g.Size())
		}
		r.refused("of the old client", f.Read(got, 0, func(int, driver.OTAStatus) {}), driver.ErrNotOpen)
		r.ok("EraseFile", r.Client.EraseFile(hear[driver.OTAStatus](r)))
		r.wantOTA("EraseFile", driver.OTAComplete)
		_, err = r.findFile(driver.AnyFile)
		r.refused("after the end of it", err, driver.ErrRequest)
	})
}

func TestHostFileErrors(t *testing.T) {
	behave(t, func(r *rig) {
		s := r.serveOTA(func(c net.Conn, n int, req *http.Request) {
			io.WriteString(c, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
		})
		r.loadFile(driver.OTAServerError)
		r.ok("DownloadFile", r.Client.DownloadFile("gopher://x", func(_ driver.HostFile, s driver.OTAStatus) { r.tell(none, s) }))
		r.wantOTA("another scheme", driver.OTAInvalidURL)
		_, err := r.findFile(driver.AnyFile)
		r.refused("none", err, driver.ErrRequest)
		if len(s.asked) != 1 {
			r.fatalf("asked for %q", s.asked)
		}
	})
}

func TestHostFileTooLarge(t *testing.T) {
	behave(t, func(r *rig) {
		r.serveFile(make([]byte, driver.MaxHostFile+1))
		r.loadFile(driver.OTANoFlash)
	})
}

// While an update runs, the device does nothing about the file, which stays.
func TestHostFileBusyWithAnUpdate(t *testing.T) {
	behave(t, func(r *rig) {
		body := content(500)
		r.serveOTA(func(c net.Conn, n int, _ *http.Request) {
			if n == 0 {
				file(c, body)
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
			c.Read(make([]byte, 1)) // and no more, until the device goes
		})
		f := r.loadFile(driver.OTAComplete)
		r.ok("Update", r.Client.Update(otaURL, hear[driver.OTAStatus](r)))
		r.Sleep(time.Second)
		r.ok("Read", f.Read(make([]byte, 10), 0, func(_ int, s driver.OTAStatus) { r.tell(none, s) }))
		r.wantOTA("Read", driver.OTABusy)
		r.ok("EraseFile", r.Client.EraseFile(hear[driver.OTAStatus](r)))
		r.wantOTA("EraseFile", driver.OTABusy)
		r.loadFile(driver.OTABusy)
		r.ok("AbortUpdate", r.Client.AbortUpdate())
		r.wantOTA("Update", driver.OTAAborted)
		f, err := r.findFile(driver.AnyFile)
		r.ok("FindFile", err)
		got := make([]byte, 500)
		r.ok("Read", f.Read(got, 0, func(_ int, s driver.OTAStatus) { r.tell(none, s) }))
		r.wantOTA("Read", driver.OTAComplete)
		if !bytes.Equal(got, body) {
			r.fatalf("read others")
		}
	})
}

// The blocking form.
func TestHostFileOfNet(t *testing.T) {
	behave(t, func(r *rig) {
		ctx := context.Background()
		body := content(9001)
		stall := false
		r.serveOTA(func(c net.Conn, _ int, _ *http.Request) {
			if stall {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
				c.Read(make([]byte, 1))
				return
			}
			file(c, body)
		})
		_, err := r.Net.OpenFile(ctx, driver.AnyFile)
		r.refused("OpenFile", err, driver.ErrRequest)
		f, err := r.Net.Download(ctx, otaURL)
		r.ok("Download", err)
		got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
		if r.ok("ReadAll", err); !bytes.Equal(got, body) {
			r.fatalf("read others: %d bytes", len(got))
		}
		b := make([]byte, 20)
		for _, tc := range []struct {
			off int64
			n   int
			err error
		}{{8990, 11, io.EOF}, {8981, 20, nil}, {9001, 0, io.EOF}, {20000, 0, io.EOF}, {-1, 0, driver.ErrInvalid}} {
			if n, err := f.ReadAt(b, tc.off); n != tc.n || !errors.Is(err, tc.err) {
				r.fatalf("ReadAt %d: %d, %v", tc.off, n, err)
			}
		}
		g, err := r.Net.OpenFile(ctx, f.ID())
		r.ok("OpenFile", err)
		if g.Size() != f.Size() {
			r.fatalf("%d bytes", g.Size())
		}

		stall = true
		short, cancel := context.WithDeadline(ctx, r.Now().Add(3*time.Second))
		defer cancel()
		start := r.Now()
		_, err = r.Net.Download(short, otaURL)
		r.refused("Download that hangs", err, context.DeadlineExceeded)
		if d := r.Now().Sub(start); d > 4*time.Second {
			r.fatalf("after %v", d)
		}
		_, err = g.ReadAt(b, 0)
		r.refused("the file that it replaced", err, driver.ErrRequest)
		stall = false
		_, err = r.Net.Download(ctx, otaURL)
		r.ok("Download", err)
		r.ok("EraseFile", r.Net.EraseFile(ctx))
		_, err = r.Net.OpenFile(ctx, driver.AnyFile)
		r.refused("OpenFile", err, driver.ErrRequest)
	})
}

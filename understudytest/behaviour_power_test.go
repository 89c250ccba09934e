package understudytest_test

// Power save (spec/driver-api.md 2.10), which has no numbers of its own.

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/understudytest"
)

// In each mode a device joins, gets its address, resolves, and moves data both
// ways.
func TestPowerSaveModesCarryAWholeSession(t *testing.T) {
	for m := driver.PowerSaveOff; m <= driver.PowerManual; m++ {
		t.Run(m.String(), func(t *testing.T) {
			var wakes, sends atomic.Int32
			c := understudytest.Config{Bus: func(p bus.Port) bus.Port {
				return bus.NewTap(p, bus.TapConfig{Line: func(l string) {
					switch {
					case strings.HasPrefix(l, "W WAKE_CLK = 0x2"):
						wakes.Add(1)
					case strings.HasPrefix(l, "W RCV_CTRL_3"):
						sends.Add(1)
					}
				}})
			}}
			behaveWith(t, c, func(r *rig) {
				r.ok("SetPower", r.Client.SetPower(m))
				r.ok("SetListen", r.Client.SetListen(3))
				if m == driver.PowerManual {
					r.ok("Sleep", r.Client.Sleep(time.Second))
				}
				wakes.Store(0)
				sends.Store(0)
				r.ok("Join", r.Join())
				data := pattern(20000)
				r.AddHost("echo.test").HandleTCP(7, func(c net.Conn) { io.Copy(c, c) })
				conn, err := r.Net.DialContext(t.Context(), "tcp", "echo.test:7")
				r.ok("Dial", err)
				r.Go(func() { conn.Write(data) })
				got := make([]byte, len(data))
				conn.SetReadDeadline(r.Now().Add(time.Minute))
				_, err = io.ReadFull(conn, got)
				r.ok("ReadFull", err)
				if !bytes.Equal(got, data) {
					r.fatalf("other bytes came back")
				}
				r.ok("Close", conn.Close())
				if w, s := wakes.Load(), sends.Load(); w > 0 != (m != driver.PowerSaveOff) || w > 0 && w < s {
					r.fatalf("the chip was woken %d times for %d messages", w, s)
				}
				if mode := r.Client.Power(); mode != m {
					r.fatalf("mode %v", mode)
				}
			})
		})
	}
}

// What one client has set is not there for the next.
func TestPowerSaveEndsWithTheClient(t *testing.T) {
	var sleeps atomic.Int32
	c := understudytest.Config{Driver: driver.Config{Trace: func(s string) {
		if strings.Contains(s, hif.OpSleep.String()) {
			sleeps.Add(1)
		}
	}}}
	behaveWith(t, c, func(r *rig) {
		sleeps.Store(0)
		r.ok("SetPower", r.Client.SetPower(driver.PowerAutoLow))
		r.ok("Close", r.Client.Close())
		c, err := r.Driver.Open()
		r.ok("Open", err)
		if m := c.Power(); m != driver.PowerSaveOff || sleeps.Load() != 2 {
			r.fatalf("mode %v after %d settings", m, sleeps.Load())
		}
	})
}

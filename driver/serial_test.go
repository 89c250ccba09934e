package driver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/driver"
)

// windows is a chip on a bus that records chip-select windows. A window takes
// time, so that whoever else wants the bus gets a chance to butt in.
type windows struct {
	*chip
	n, inside int
	log       []spi.Access // what the windows mean
	dec       spi.Decoder
}

func (w *windows) Tx(o, i []byte) error {
	if w.inside++; w.inside != 1 {
		w.t.Error("a window is clocked inside another")
	}
	time.Sleep(time.Microsecond)
	if i == nil {
		i = make([]byte, len(o))
	}
	err := w.chip.Tx(o, i)
	w.n++
	w.dec.Window(o, i, func(a spi.Access) {
		a.Data = nil
		w.log = append(w.log, a)
	})
	w.inside--
	return err
}

func (w *windows) SetReset(low bool) error {
	w.dec.Reset()
	return w.chip.SetReset(low)
}

// exchanges reads the log as whole exchanges, one behind the other: the sends
// and receives that they are made of, or what stands where it must not.
func exchanges(log []spi.Access) (sends, receives, peeks int, err error) {
	at := 0
	take := func(op spi.Op, addr uint32) bool {
		if at < len(log) && log[at].Op == op && log[at].Addr == addr && log[at].Reason == 0 {
			at++
			return true
		}
		return false
	}
	for at < len(log) {
		switch begin := at; {
		case take(spi.OpWriteReg, reg.State):
			ok := take(spi.OpWriteReg, reg.RcvCtrl2) && take(spi.OpReadReg, reg.RcvCtrl2)
			for ok && take(spi.OpReadReg, reg.RcvCtrl2) { // polls for the grant
			}
			ok = ok && take(spi.OpReadReg, reg.RcvCtrl4) && take(spi.OpWriteBlock, bufferAt) && take(spi.OpWriteReg, reg.RcvCtrl3)
			if !ok {
				return sends, receives, peeks, fmt.Errorf("a send is broken up: %v", log[begin:min(at+1, len(log))])
			}
			sends++
		case take(spi.OpReadReg, reg.RcvCtrl0):
			if !take(spi.OpReadReg, reg.RcvCtrl1) { // a look, and there was nothing
				peeks++
				continue
			}
			if !take(spi.OpReadBlock, messageAt) || !take(spi.OpWriteReg, reg.RcvCtrl0) || !take(spi.OpWriteReg, reg.RcvCtrl0) {
				return sends, receives, peeks, fmt.Errorf("a receive is broken up: %v", log[begin:min(at+1, len(log))])
			}
			receives++
		default:
			return sends, receives, peeks, fmt.Errorf("access %v in no exchange", log[at])
		}
	}
	return sends, receives, peeks, nil
}

// Callers of all kinds at the same time, with every phase of an access in a
// window of its own: each access is whole, and so is each exchange of a
// message, while the pump takes what the device answers.
func TestBH12_ExchangesOfConcurrentCallersAreWhole(t *testing.T) {
	const callers, rounds = 5, 20
	synctest.Test(t, func(t *testing.T) {
		w := &windows{chip: newChip(t)}
		w.bootTime = 0
		w.onReq = func(r request) {
			w.chip.grants = len(w.requests) % 3 // the next grant takes that many polls more
			switch r.op {
			case hif.OpDNSResolve:
				w.post(hif.OpDNSResolve, hif.DNSReply{Name: "a", IP: [4]byte{10, 0, 0, 1}})
			case hif.OpSendTo:
				m, _ := hif.ParseSend(r.payload)
				w.post(hif.OpSendTo, hif.SendReply{Sock: m.Sock, Session: m.Session, Status: hif.Status(m.Size)})
			}
		}
		d := driver.New(w, driver.Config{SeparateWindows: true, Poll: -1})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		c, err := d.Open()
		check(t, err)
		s, err := c.Socket(driver.Datagram, driver.Plain)
		check(t, err)
		w.log, w.n = nil, 0
		before := len(w.requests)

		var wg sync.WaitGroup
		for range callers {
			for _, call := range []func() error{
				func() error { return c.Resolve("a") },
				func() error { return s.SendTo(make([]byte, 300), addrPort("10.0.0.1:7")) },
				func() error { return c.SetName("name") },
				d.Tasks,
			} {
				wg.Go(func() {
					for range rounds {
						err := call()
						for err == driver.ErrBufferFull { // too many questions without an answer
							time.Sleep(100 * time.Microsecond)
							err = call()
						}
						check(t, err)
					}
				})
			}
		}
		wg.Wait()
		time.Sleep(time.Second) // the pump takes the last answers
		synctest.Wait()
		sends, receives, peeks, err := exchanges(w.log)
		if err != nil {
			t.Error(err)
		}
		if n := len(w.requests) - before; sends != n || sends < 3*callers*rounds || receives != w.posted || receives < 2*callers*rounds || w.dones != w.posted {
			t.Errorf("%d sends of %d requests, %d receives of %d messages, RX done %d times, %d looks", sends, n, receives, w.posted, w.dones, peeks)
		}
		if st := w.slave.Stats(); st.Flushed+st.Aborted+st.Unsupported+st.CRC7Errors != 0 || w.n < 3*len(w.log) {
			t.Errorf("%d accesses in %d windows: %+v", len(w.log), w.n, st)
		}
		cancel()
		<-ended
	})
}

// edges is a chip whose interrupt only counts where it falls: a host that goes
// to sleep after an edge it has not noted sleeps for ever, as nobody polls.
type edges struct {
	*chip
	idle     func() // runs when the host was told that the line is idle, once
	released func() // runs when RX done is on the bus and not yet back, once
}

func (e *edges) IRQ() (bool, error) {
	v, err := e.chip.IRQ()
	if fn := e.idle; fn != nil && !v {
		e.idle = nil
		fn()
	}
	return v, err
}

func (e *edges) Tx(w, r []byte) error {
	dones := e.dones
	err := e.chip.Tx(w, r)
	if fn := e.released; fn != nil && e.dones > dones {
		e.released = nil
		fn()
	}
	return err
}

// The next message may be announced at any moment from RX done on. Its edge is
// noted before, at and after RX done, and when the host has just looked at the
// line for the last time.
func TestBH16_NoEdgeIsLostAroundRXDone(t *testing.T) {
	answer := func(e *edges) { e.post(hif.OpDNSResolve, hif.DNSReply{Name: "next"}) }
	for _, tc := range []struct {
		when string
		arm  func(e *edges)
	}{
		{"waits behind the first, and comes with RX done", func(e *edges) { answer(e) }},
		{"comes when RX done has been clocked", func(e *edges) { e.released = func() { answer(e) } }},
		{"comes when the line was idle at the last look", func(e *edges) {
			e.released = func() { e.idle = func() { answer(e) } }
		}},
		{"comes when the host sleeps", func(*edges) {}},
	} {
		t.Run(tc.when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &edges{chip: newChip(t)}
				e.bootTime = 0
				l := make(lock, 1)
				d := driver.New(e, driver.Config{Lock: l, Poll: -1})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- d.Run(ctx) }()
				time.Sleep(time.Second)
				synctest.Wait()
				c, err := d.Open()
				check(t, err)
				var got []string
				check(t, c.OnResolve(func(n string, _ driver.Addr) { got = append(got, n) }))
				check(t, c.Resolve("first"))
				check(t, c.Resolve("next"))
				l.do(func() {
					e.post(hif.OpDNSResolve, hif.DNSReply{Name: "first"})
					tc.arm(e)
				})
				synctest.Wait()
				if e.posted == 1 {
					l.do(func() { answer(e) })
					synctest.Wait()
				}
				wantLines(t, tc.when, &got, "first", "next")
				if e.posted != 2 || e.dones != 2 {
					t.Errorf("%d messages posted, RX done %d times", e.posted, e.dones)
				}
				cancel()
				<-ended
			})
		})
	}
}

// Good, odd and corrupt messages, and a bus that fails at any one access while
// a message is taken: RX done is said once for each. Where it cannot be known
// whether it was heard, the driver gives up instead of saying it again.
func TestBH15_RXDoneExactlyOnce(t *testing.T) {
	raw := func(op hif.Op, length, size int) []byte {
		return append([]byte{byte(op.Group()), op.Code(), byte(length), byte(length >> 8)}, make([]byte, size-4)...)
	}
	good := hif.DNSReply{Name: "a"}.Append(hif.Header{Op: hif.OpDNSResolve}.Append(nil))
	for name, msg := range map[string][]byte{
		"good":           append(raw(hif.OpDNSResolve, len(good), 8), good[8:]...),
		"unknown opcode": raw(hif.MakeOp(hif.GroupWiFi, 0x7e), 8, 8),
		"short payload":  raw(hif.OpDNSResolve, 12, 12),
		"corrupt sizes":  raw(hif.OpDNSResolve, 8, 64),
		"no header":      raw(hif.OpDNSResolve, 8, 4),
	} {
		gaveUp, tookAll := 0, 0
		for at := 0; ; at++ {
			b := newBench(t)
			b.postRaw(msg)
			n := 0
			b.fault = func() error {
				if n++; n == at+1 {
					return errCable
				}
				return nil
			}
			err := b.d.Tasks()
			switch done := b.dones; {
			case done > 1, err == nil && done != 1:
				t.Errorf("%s, fault at access %d: RX done %d times, %v", name, at, done, err)
			case err != nil:
				gaveUp++
			default:
				tookAll++
			}
			if n <= at { // the fault came too late for this message
				break
			}
		}
		if gaveUp != 2 || tookAll < 4 { // the two writes of the release
			t.Errorf("%s: gave up %d times, recovered %d times", name, gaveUp, tookAll)
		}
	}
}

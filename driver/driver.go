package driver

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/spi"
)

// State is the status of the driver, with the values of the document
// (spec/driver-api.md 1.1).
type State int8

// The states.
//
//	StateUninitialised ──Run, Restart──▶ StateBusy ──chip up──▶ StateReady
//	        ▲                               │                      │
//	        └──────Close, end of Run────────┴──── StateError ◀─────┘
const (
	StateError         State = -1 // see Driver.Err
	StateUninitialised State = 0  // closed
	StateBusy          State = 1  // start-up is pending or under way
	StateReady         State = 2
)

func (s State) String() string {
	switch s {
	case StateError:
		return "ERROR"
	case StateUninitialised:
		return "UNINITIALIZED"
	case StateBusy:
		return "BUSY"
	case StateReady:
		return "READY"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// Driver is one controller on one bus. Make it with New.
type Driver struct {
	cfg  Config
	port bus.Port
	spi  *spi.Master
	sig  chan struct{} // the interrupt line fell, or Run must look

	// verdict is state and err for those who must not wait for the lock, which
	// start-up holds for as long as it takes.
	verdict atomic.Pointer[verdict]

	// All that follows is guarded by cfg.Lock.

	state       State
	err         error // why state is StateError
	running     bool  // a Run is at work
	pumping     bool  // a goroutine drains messages; its hooks run unlocked
	dispatching bool  // a goroutine runs callbacks
	fails       int   // failed attempts to take a message, in a row
	stats       Stats

	chipID   uint32
	mac      MAC
	versions versions

	limits Limits
	rx, tx []byte     // one message each way
	calls  callQueue  // for the dispatcher
	hooks  []hookCall // for the pump

	client    *Client
	flash     *Flash // the exclusive user; there is a client or this one
	halted    bool   // StateUninitialised because a Flash was closed
	onSocket  func(Socket, Msg)
	onResolve func(name string, addr Addr)
	onNotice  func(Notice)

	roams bool // roaming is on
	dozes bool // the device sleeps between accesses: they are wrapped in wakeChip and sleepChip

	conn    connState
	ip      ipState
	ap      apState
	scan    scanState
	assoc   assocState
	echo    echoState
	resolve resolveState
	clock   clockState
	power   powerState
	ota     otaState
	file    hostFileState
	bypass  bypassState
	wps     wpsState
	otaOpts otaOptions
	sockets sockTable
}

// Stats counts what the driver met, as plain numbers.
type Stats struct {
	Sent       uint64 // messages that the device took
	Refused    uint64 // messages it had no buffer for
	Received   uint64 // messages taken and understood
	Corrupt    uint64 // dropped: announced size and header do not fit
	Short      uint64 // dropped: shorter than their layout, or an impossible field
	Unknown    uint64 // dropped: of no use to this driver
	Stale      uint64 // dropped: of a socket or request that is gone
	FramesLost uint64 // bypass mode: the callback of OnFrame is slower than the network
	BusError   uint64 // bus operations that failed after all retries
}

// New makes the driver of the controller at port and claims its interrupt.
// Nothing touches the chip yet: start-up happens in the first Tasks or in Run.
// It stands for WDRV_WINC_Initialize.
func New(port bus.Port, cfg Config) *Driver {
	d := &Driver{cfg: cfg.withDefaults(), port: port, sig: make(chan struct{}, 1)}
	d.become(StateBusy, nil)
	d.setLimits(realLimits)
	d.spi = spi.NewMaster(port, spi.MasterConfig{Sleep: d.cfg.Sleep, MultiWindow: cfg.SeparateWindows})
	onIRQ := d.cfg.OnIRQ
	port.OnIRQ(func() {
		d.signal()
		if onIRQ != nil {
			onIRQ()
		}
	})
	return d
}

type verdict struct {
	state State
	err   error
}

// become is the one way to another state. Lock held.
func (d *Driver) become(s State, err error) {
	d.state, d.err = s, err
	d.verdict.Store(&verdict{s, err})
}

// Status never blocks. It stands for WDRV_WINC_Status and, together with Err,
// for WDRV_WINC_StatusExt.
func (d *Driver) Status() State { return d.verdict.Load().state }

// Err is the cause of StateError: it matches ErrDeviceNotFound (extended
// status -11), ErrDeviceFailure (-12) or ErrBus. In other states it is nil. It
// never blocks.
func (d *Driver) Err() error { return d.verdict.Load().err }

// Stats returns the counters.
func (d *Driver) Stats() Stats {
	d.lock()
	defer d.unlock()
	return d.stats
}

// Config returns the configuration, its defaults filled in, for layers above.
func (d *Driver) Config() Config { return d.cfg }

// Restart brings the controller up again, from any state, after a hard reset:
// the client and all sockets are gone, their callbacks (but for OnSocket and
// OnResolve) dropped. It waits for start-up and returns its error. It stands
// for WDRV_WINC_Reinitialize, and for Deinitialize followed by Initialize.
func (d *Driver) Restart() error {
	d.lock()
	d.shutDown()
	d.halted = false
	d.become(StateBusy, nil)
	err := d.startUp()
	d.unlock()
	d.changed()
	return err
}

// changed tells everybody that the state is another one. Lock not held.
func (d *Driver) changed() {
	d.notify(Notice{Kind: NoticeState})
	d.wake()
	d.signal()
}

// Close ends everything at once, without asking the network: sockets and
// callbacks are gone, the chip is stopped and held in reset. Blocked calls of
// the layers above return. Restart, or a new Run, begins again. Closing twice
// is harmless. It stands for WDRV_WINC_Deinitialize with the Tasks after it.
func (d *Driver) Close() error {
	d.lock()
	if d.state == StateUninitialised && !d.halted {
		d.unlock()
		return nil
	}
	d.shutDown()
	d.halted = false
	d.become(StateUninitialised, nil)
	d.onSocket, d.onResolve = nil, nil
	d.powerDown()
	d.unlock()
	d.changed()
	return nil
}

// fail puts the driver into StateError: the device is gone. Everybody who waits
// for it is told. Only the pump calls it. Lock held.
func (d *Driver) fail(err error) {
	d.trace("driver: %v", err)
	d.become(StateError, fmt.Errorf("%w: %w", ErrDeviceFailure, err))
	if d.conn.linked || d.conn.joining || d.conn.leaving {
		d.linkLost(ConnEvent{State: Disconnected, Err: ErrUnknown})
	}
	if d.ap.on {
		d.apGone(ErrUnknown)
	}
	d.abortSockets(false)
	d.abortRequests()
	d.abortUpdates()
	d.abortFile()
	if d.wps.running {
		d.handleWPS(hif.WPSReply{})
	}
	d.hook(Notice{Kind: NoticeState})
}

// shutDown ends the client, its requests and its sockets. Lock held.
func (d *Driver) shutDown() {
	if c := d.client; c != nil {
		c.open = false
		d.client = nil
	}
	if f := d.flash; f != nil {
		f.open = false
		d.flash = nil
	}
	d.resetControl()
	d.sockets.clear()
	d.hooks = d.hooks[:0]
	d.fails = 0
}

func (d *Driver) lock()   { d.cfg.Lock.Lock() }
func (d *Driver) unlock() { d.cfg.Lock.Unlock() }

// signal tells Run to look at the device. It never blocks.
func (d *Driver) signal() {
	select {
	case d.sig <- struct{}{}:
	default:
	}
}

// wake ends an Idle elsewhere.
func (d *Driver) wake() {
	if d.cfg.Wake != nil {
		d.cfg.Wake()
	}
}

func (d *Driver) now() time.Time { return d.cfg.Now() }

// trace reports a line. Its arguments are only formatted when someone listens.
func (d *Driver) trace(format string, args ...any) {
	if d.cfg.Trace != nil {
		d.cfg.Trace(fmt.Sprintf(format, args...))
	}
}

package hostnet

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/sock"
)

// Config is how a Net behaves. The zero value is right beside Driver.Run.
type Config struct {
	// World is the virtual world whose actors call the Net; nil: the driver is
	// run by Driver.Run, or Idle of its configuration is of another make.
	World World

	// Lock guards the Net. Nil: World's, else a lock made of a channel. It is
	// taken before the driver's.
	Lock sync.Locker

	// OnConn is told, as a callback of the driver, what becomes of connections
	// that Join makes. Nil: nobody.
	OnConn func(driver.ConnEvent)

	// SendWindow is how many sends of a connection may be without the peer's
	// acknowledgement; each carries up to 1400 bytes. Zero: as many as fit into
	// 64 KiB, 46, which is what a socket of the software device holds: more
	// would occupy message buffers that all sockets share, and a peer that
	// stops reading would hold up the others. A device that has room for fewer
	// refuses, which is waited out.
	SendWindow int

	// ReadBuffer is how many bytes a connection holds for Read; what does not
	// fit stays on the device, whose window then closes. Zero: 16 KiB; at
	// least 2 KiB. The memory is only held while there is something in it.
	ReadBuffer int

	// AnswerLimit is how long the device may take to answer what it can answer
	// at once: RSSI, AssocInfo, Time, SwitchImage, Rollback, and what is
	// about the file of the device but for its download. Then the call ends with
	// ErrNoAnswer. Zero: 5 s.
	AnswerLimit time.Duration

	// Rand picks local ports where none is given. Nil: the runtime's.
	Rand rand.Source
}

const (
	sendBytes         = 64 << 10
	defaultReadBuffer = 16 << 10
	minReadBuffer     = 2 << 10

	defaultAnswerLimit = 5 * time.Second
)

// Net is the network as the driver's host sees it. All methods are safe for
// concurrent use, in callbacks of the driver too.
type Net struct {
	d   *driver.Driver
	cfg Config
	mu  sync.Locker
	now func() time.Time
	rnd *rand.Rand

	idle func(until time.Time) // not nil: who waits, pumps
	wake func()

	// All that follows is guarded by mu.

	c       *driver.Client
	closed  bool
	limits  driver.Limits // of the device
	table   []entry       // by socket id
	retryAt time.Time     // a refused send is to be tried again then; zero: none is
	free    *waiter       // records for reuse
	rings   [][]byte      // buffers for reuse

	stateq   sock.Waiters // the driver's state changed
	linkq    sock.Waiters // the association or the address changed
	resolveq sock.Waiters // a lookup ended
	pingq    sock.Waiters // an echo ended
	scanq    sock.Waiters
	infoq    sock.Waiters
	otaq     sock.Waiters // an update, a change of images or a call about the file went on

	joining *joining
	asking  *asking
	left    uint64 // counts disconnections
	pinging bool
	scan    scanState
	info    infoState

	updating *updating // nil: none
	swapping bool

	filing    bool   // a call is about the file of the device
	filesTold uint64 // counts answers to FindFile
}

var _ sock.Owner = (*Net)(nil)

// New makes the Net of a driver, and becomes the one layer above it
// (Driver.Hook).
func New(d *driver.Driver, cfg Config) *Net {
	dc := d.Config()
	if cfg.ReadBuffer == 0 {
		cfg.ReadBuffer = defaultReadBuffer
	}
	if cfg.AnswerLimit <= 0 {
		cfg.AnswerLimit = defaultAnswerLimit
	}
	cfg.ReadBuffer = max(cfg.ReadBuffer, minReadBuffer)
	if cfg.Lock == nil && cfg.World != nil {
		cfg.Lock = cfg.World.Locker()
	} else if cfg.Lock == nil {
		cfg.Lock = make(chanLock, 1)
	}
	n := &Net{d: d, cfg: cfg, mu: cfg.Lock, now: dc.Now, idle: dc.Idle, wake: dc.Wake}
	if cfg.Rand != nil {
		n.rnd = rand.New(cfg.Rand)
	}
	d.Hook(n.notice)
	return n
}

// Driver returns the driver below.
func (n *Net) Driver() *driver.Driver { return n.d }

// Client returns the driver's client, opening it if need be.
func (n *Net) Client() (*driver.Client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.client()
}

// client is Client with the lock held.
func (n *Net) client() (*driver.Client, error) {
	if n.closed {
		return nil, net.ErrClosed
	}
	if n.checkClient(); n.c != nil {
		return n.c, nil
	}
	c, err := n.d.Open()
	if err != nil && n.d.Status() == driver.StateBusy {
		return nil, err // not yet: nothing is closed
	} else if err != nil {
		return nil, closedErr(err)
	}
	n.c, n.limits = c, c.Limits()
	n.table = make([]entry, n.limits.TCP+n.limits.UDP)
	return c, nil
}

// usable is client that waits until the driver has started up. Lock held.
func (n *Net) usable(ctx context.Context) (*driver.Client, error) {
	if c, err := n.client(); err == nil {
		return c, nil
	}
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	return n.client()
}

// Lock implements sock.Owner. The time is the driver's.
func (n *Net) Lock() time.Time {
	n.mu.Lock()
	return n.now()
}

// Unlock implements sock.Owner.
func (n *Net) Unlock() { n.mu.Unlock() }

// Closed implements sock.Owner.
func (n *Net) Closed() bool {
	if n.closed || n.cfg.World == nil {
		return n.closed
	}
	n.cfg.World.Lock()
	defer n.cfg.World.Unlock()
	return n.cfg.World.Closed()
}

// Close ends the Net: all of its connections and listeners are closed, blocked
// calls return net.ErrClosed. The driver and its association go on.
func (n *Net) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return net.ErrClosed
	}
	n.closed = true
	now := n.now()
	for _, e := range n.table {
		if e.ep != nil {
			_ = e.sock.Close()
			e.ep.fail(now, net.ErrClosed)
		}
	}
	clear(n.table)
	n.wakeAll()
	return nil
}

func (n *Net) wakeAll() {
	for _, q := range []*sock.Waiters{&n.stateq, &n.linkq, &n.resolveq, &n.pingq, &n.scanq, &n.infoq, &n.otaq} {
		n.Wake(q)
	}
}

// notice is the driver's hook: what happened besides socket events. It runs on
// the pump.
func (n *Net) notice(nt driver.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch nt.Kind {
	case driver.NoticeState:
		n.checkClient()
		n.askNotice(nt)
		n.wakeAll()
	case driver.NoticeConn, driver.NoticeIP:
		n.linkNotice(nt)
		n.Wake(&n.linkq)
	case driver.NoticeProvision, driver.NoticeWPS:
		n.askNotice(nt)
		n.Wake(&n.linkq)
	case driver.NoticeScanDone, driver.NoticeScanResult:
		n.scanNotice(nt)
		n.Wake(&n.scanq)
	case driver.NoticeAssoc, driver.NoticeRSSI, driver.NoticeTime:
		n.infoNotice(nt)
		n.Wake(&n.infoq)
	case driver.NoticeFile:
		n.filesTold++
		n.Wake(&n.otaq)
	case driver.NoticeUpdate:
		n.updateNotice(nt)
		n.Wake(&n.otaq)
	}
}

// checkClient fails everything that hung on a client that is gone: when the
// driver says so, or before another is opened, whichever is first. Lock held.
func (n *Net) checkClient() {
	if n.c == nil {
		return
	}
	err := n.c.Err()
	if err == nil {
		return
	}
	n.c = nil
	now := n.now()
	for _, e := range n.table {
		if e.ep != nil {
			e.ep.fail(now, closedErr(err))
		}
	}
	clear(n.table)
}

// window is how many sends of a socket may be without an answer. Lock held.
func (n *Net) window() int {
	if n.cfg.SendWindow > 0 {
		return n.cfg.SendWindow
	}
	return max(sendBytes/n.limits.Send, 1)
}

// port picks an ephemeral port, 49152 to 65535.
func (n *Net) port() uint16 {
	const first, count = 49152, 65536 - 49152
	if n.rnd != nil {
		return first + uint16(n.rnd.IntN(count))
	}
	return first + uint16(rand.IntN(count))
}

// chanLock is a lock that may be held while sleeping (see driver.Config.Lock).
type chanLock chan struct{}

func (l chanLock) Lock()   { l <- struct{}{} }
func (l chanLock) Unlock() { <-l }

// Ready waits until the driver has started up, as other calls do too. The error
// is that of a start-up that failed, ctx's, or net.ErrClosed after Driver.Close.
func (n *Net) Ready(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.usable(ctx)
	return err
}

// ready is Ready with the lock held.
func (n *Net) ready(ctx context.Context) error {
	var failed error
	err := n.await(ctx, &n.stateq, func() bool {
		switch n.d.Status() {
		case driver.StateReady:
			return true
		case driver.StateError:
			failed = n.d.Err()
			return failed != nil
		case driver.StateUninitialised:
			failed = driver.ErrClosed
			return true
		}
		return false
	})
	if err == nil {
		err = closedErr(failed)
	}
	return err
}

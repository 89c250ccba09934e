package tinygo

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"tinygo.org/x/drivers/netdev"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/driver"
)

// Config has the settings of a [Device]; the zero value is fine.
type Config struct {
	Driver driver.Config                 // Now and Sleep are used here too
	Poll   time.Duration                 // between looks at the interrupt line while somebody waits; 0: 1 ms
	Trace  func(format string, a ...any) // told of what the watchdog does; nil: nobody
}

// Device is a module as TinyGo's package net wants it. Make it with [New].
type Device struct {
	cfg    Config
	d      *driver.Driver
	life   sync.Mutex    // one NetConnect, NetDisconnect or round of the watchdog at a time
	ticker chan struct{} // closed: the watchdog ends; guarded by life

	mu    sync.Mutex // of all below; never held while the bus is awaited
	c     *driver.Client
	socks map[int]*socket // by id
	port  uint16          // the next ephemeral port
	link  link
}

var _ netdev.Netdever = (*Device)(nil)

const (
	defaultPoll   = time.Millisecond
	resolveLimit  = 30 * time.Second
	requestLimit  = 60 * time.Second // for the module to answer a bind, listen or connect
	ephemeral     = 49152
	ephemeralSize = 1 << 14
	bindTries     = 8
)

// ErrNoAddress: the network is not joined, or it gave no address.
var ErrNoAddress = errors.New("tinygo: no address: NetConnect first")

// New makes a device of the module at port. Nothing touches it before NetConnect.
func New(port bus.Port, c Config) *Device {
	if c.Driver.Now == nil {
		c.Driver.Now = time.Now
	}
	if c.Driver.Sleep == nil {
		c.Driver.Sleep = time.Sleep
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	d := &Device{cfg: c, d: driver.New(port, c.Driver), socks: map[int]*socket{}}
	d.port = uint16(c.Driver.Now().UnixNano() / int64(time.Millisecond))
	return d
}

// Driver is the driver underneath, for what package net does not have.
func (d *Device) Driver() *driver.Driver { return d.d }

// await pumps the driver until done, which is called with d.mu held, or until the deadline: zero is none.
func (d *Device) await(deadline time.Time, done func() bool) error {
	for {
		err := d.d.Tasks()
		d.mu.Lock()
		ok := done()
		d.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return err
		case !deadline.IsZero() && !d.cfg.Driver.Now().Before(deadline):
			return netdev.ErrTimeout
		}
		d.cfg.Driver.Sleep(d.cfg.Poll)
	}
}

func (d *Device) in(t time.Duration) time.Time { return d.cfg.Driver.Now().Add(t) }

// client is the client of the driver, or an error before NetConnect.
func (d *Device) client() (*driver.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.c == nil {
		return nil, ErrNoAddress
	}
	return d.c, nil
}

// GetHostByName resolves a name on the module; dotted quads are answered without it.
func (d *Device) GetHostByName(name string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		if !a.Is4() {
			return netip.Addr{}, netdev.ErrMalAddr
		}
		return a, nil
	}
	c, err := d.client()
	if err != nil {
		return netip.Addr{}, err
	}
	var addr netip.Addr
	answered := false
	fn := func(a driver.Addr) {
		d.mu.Lock()
		addr, answered = a, true
		d.mu.Unlock()
	}
	limit := d.in(resolveLimit)
	err = d.patiently(limit, func() error { return c.ResolveHook(name, fn) })
	if err == nil {
		err = d.await(limit, func() bool { return answered })
	}
	switch {
	case errors.Is(err, driver.ErrSockArg):
		return addr, fmt.Errorf("%w: %q", netdev.ErrMalAddr, name)
	case err != nil:
		return addr, err
	case !addr.IsValid():
		return addr, fmt.Errorf("%w: %q", netdev.ErrHostUnknown, name)
	}
	return addr, nil
}

// patiently makes a request again until the module has room for it.
func (d *Device) patiently(deadline time.Time, request func() error) error {
	for {
		err := request()
		if !errors.Is(err, driver.ErrBufferFull) {
			return err
		}
		again := false
		if err := d.await(deadline, func() bool { was := again; again = true; return was }); err != nil {
			return err
		}
	}
}

// Addr is the address of the module.
func (d *Device) Addr() (netip.Addr, error) {
	c, err := d.client()
	if err != nil {
		return netip.Addr{}, err
	}
	if a := c.Addr(); a.IsValid() {
		return a, nil
	}
	return netip.Addr{}, ErrNoAddress
}

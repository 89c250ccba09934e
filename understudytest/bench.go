package understudytest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/driver"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/stack/dhcp"
	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// The network of a bench.
const (
	SSID       = "understudy"
	Passphrase = "correct horse"
	Channel    = 6
)

// Addresses of a bench.
var (
	Prefix     = netip.MustParsePrefix("10.9.0.0/24")
	RouterAddr = netip.MustParseAddr("10.9.0.1")  // DHCP, DNS and NTP
	FirstHost  = netip.MustParseAddr("10.9.0.10") // of AddHost
	FirstLease = netip.MustParseAddr("10.9.0.100")
	LastLease  = netip.MustParseAddr("10.9.0.199")

	DeviceMAC = wire.MAC{0x02, 0x57, 0x49, 0x4e, 0x43, 0x01}
	BSSID     = wire.MAC{0x02, 0x61, 0x70, 0x00, 0x00, 0x01}
)

// Config says how a bench is to be. The zero value is what New and Virtual
// make.
type Config struct {
	// Seed is what all randomness comes from. 0: the environment variable
	// UNDERSTUDY_SEED, or else a random one. A test that fails prints it.
	Seed uint64
	// Device is the controller; zero fields get the bench's defaults.
	Device device.Config
	// Driver is the host's driver; its clock, lock and Idle are the bench's.
	Driver driver.Config
	// Passphrase of the access point; "": Passphrase. Open: none.
	Passphrase string
	Open       bool
	// Delay is the time that a frame is on the air; 0: air.TypicalDelay.
	Delay time.Duration
	// NTP are the time servers that the router's DHCP server names (option 42).
	NTP []netip.Addr
	// LeaseTime of the router's DHCP server; 0: an hour.
	LeaseTime time.Duration
	// Bus, if not nil, is given the bus of the device and returns what the
	// driver gets instead: a bus.Tap or bus.Faults around it, for instance.
	Bus func(bus.Port) bus.Port
	// NoBoot leaves the controller in its boot ROM: Client and Net are nil
	// until Boot.
	NoBoot bool
}

// Bench is a controller with all that it needs around it. Fields may be used
// by the test; machines among them (Air, AP, Device) only between Lock and
// Unlock of World, and touched.
type Bench struct {
	World  *world.World
	Air    *air.Air
	AP     *wifi.AccessPoint
	Device *device.Device
	Driver *driver.Driver
	Client *driver.Client // callbacks and Berkeley sockets
	Net    *hostnet.Net   // blocking calls, net.Conn and friends
	Router *Host
	Names  *dns.Server // of the router; AddHost adds to it
	Seed   uint64

	TimeServer *sntp.Server // of the router, which is also time.nist.gov and pool.ntp.org; see SetTime

	c      Config
	master *rand.Rand // makes the seeds of all others
	lan    *lan
	ahead  time.Duration // of the time server's clock

	next     netip.Addr // of AddHost
	stations int        // of AddStation

	apSlot, devSlot *world.Slot
	ctx             context.Context // ends the goroutines of the wall clock
	cancel          context.CancelFunc
	wg              sync.WaitGroup
	closing         sync.Once
}

// New makes a bench on the wall clock, or on that of the synctest bubble that
// it is made in, with the controller booted. It ends with the test.
func New(t testing.TB) *Bench { return NewConfig(t, Config{}) }

// NewConfig is New with a configuration.
func NewConfig(t testing.TB, c Config) *Bench { return forTest(t, world.New(), c) }

// Virtual makes a bench in a virtual world, deterministic for a seed; 0 draws
// one. The test's body goes into Run.
func Virtual(t testing.TB, seed uint64) *Bench { return VirtualConfig(t, Config{Seed: seed}) }

// VirtualConfig is Virtual with a configuration.
func VirtualConfig(t testing.TB, c Config) *Bench {
	return forTest(t, world.NewVirtual(world.Epoch), c)
}

func forTest(t testing.TB, w *world.World, c Config) *Bench {
	t.Helper()
	b, err := Make(w, c)
	if err != nil {
		t.Fatalf("understudytest: %v", err)
	}
	t.Cleanup(func() {
		b.Close()
		if t.Failed() {
			t.Logf("understudytest: to repeat this: UNDERSTUDY_SEED=%d", b.Seed)
		}
	})
	return b
}

// Make makes a bench in w, for programs that are no tests. Close it at the end.
func Make(w *world.World, c Config) (*Bench, error) {
	if c.Seed == 0 {
		c.Seed = newSeed()
	}
	b := &Bench{World: w, Seed: c.Seed, c: c, next: FirstHost}
	b.master = rand.New(rand.NewPCG(c.Seed, 0))
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if !w.Virtual() {
		b.wg.Go(func() { w.Run(b.ctx) })
	}
	if err := b.build(); err != nil {
		b.Close()
		return nil, err
	}
	b.newDriver()
	if c.NoBoot {
		return b, nil
	}
	var err error
	if stalled := b.Run(func() { err = b.Boot() }); stalled != nil {
		err = stalled
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// newSeed is the seed of the environment, or a random one.
func newSeed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("UNDERSTUDY_SEED"), 10, 64); err == nil && n != 0 {
		return n
	}
	return rand.Uint64() | 1
}

// rand makes a source for one more machine.
func (b *Bench) rand() rand.Source { return rand.NewPCG(b.master.Uint64(), b.master.Uint64()) }

// build makes the machines: air, cable, access point, router, device.
func (b *Bench) build() error {
	now := b.World.Lock()
	defer b.World.Unlock()
	delay := b.c.Delay
	if delay == 0 {
		delay = air.TypicalDelay
	}
	b.Air = air.New(air.Config{Rand: b.rand(), Delay: delay})
	b.Air.OnSend = b.World.Add(b.Air).Touch
	b.lan = newLAN(b.World, b.rand())
	if err := b.buildAP(now); err != nil {
		return err
	}
	if err := b.buildRouter(now); err != nil {
		return err
	}
	return b.buildDevice()
}

func (b *Bench) buildAP(now time.Time) (err error) {
	b.AP, b.apSlot, err = b.newAP(now, BSSID, Channel)
	return err
}

// newAP makes an access point of the network and starts it. Lock held.
func (b *Bench) newAP(now time.Time, bssid wire.MAC, channel uint8) (*wifi.AccessPoint, *world.Slot, error) {
	var slot *world.Slot
	bridge := b.lan.newBridge()
	c := wifi.APConfig{
		Air: b.Air, MAC: bssid, Rand: b.rand(), SSID: SSID, Channel: channel,
		Passphrase: b.c.Passphrase, PMKs: &pmks,
		Output: bridge.toCable,
		Touch: func() {
			if slot != nil {
				slot.Touch()
			}
		},
	}
	if c.Passphrase == "" && !b.c.Open {
		c.Passphrase = Passphrase
	}
	pmksLock.Lock() // it looks into pmks, and only while it is made
	ap, err := wifi.NewAccessPoint(c)
	pmksLock.Unlock()
	if err != nil {
		return nil, nil, err
	}
	bridge.ap = ap
	slot = b.World.Add(ap)
	ap.Start(now)
	return ap, slot, nil
}

// AddAP puts up one more access point of the network, on the same cable, so that
// the device can roam: see driver.Client.SetRoaming, and SetSignal. It is a machine
// as AP is. It panics when bssid or channel make no sense, which are mistakes of
// the test.
func (b *Bench) AddAP(bssid wire.MAC, channel uint8) *wifi.AccessPoint {
	now := b.World.Lock()
	defer b.World.Unlock()
	ap, _, err := b.newAP(now, bssid, channel)
	if err != nil {
		panic("understudytest: AddAP: " + err.Error())
	}
	return ap
}

// SetSignal sets how strongly, in dBm, the device and an access point hear each
// other. It panics unless dBm is negative.
func (b *Bench) SetSignal(bssid wire.MAC, dBm int8) {
	l := air.Link{RSSI: dBm}
	if dBm >= 0 {
		panic(fmt.Sprintf("understudytest: a signal of %d dBm", dBm))
	}
	mac := b.c.Device.MAC
	if mac == (wire.MAC{}) {
		mac = DeviceMAC
	}
	b.World.Lock()
	defer b.World.Unlock()
	for _, err := range []error{b.Air.SetLink(bssid, mac, l), b.Air.SetLink(mac, bssid, l)} {
		if err != nil {
			panic("understudytest: " + err.Error())
		}
	}
}

// pmks keeps the keys of all benches of a process, of tests that run in parallel
// too: each takes a millisecond.
var (
	pmks     wifi.PMKCache
	pmksLock sync.Mutex
)

func (b *Bench) buildRouter(now time.Time) error {
	router, err := b.addHost(now, "router.test", RouterAddr, netip.Addr{})
	if err != nil {
		return err
	}
	b.Router = router
	b.Names = new(dns.Server)
	router.Stack.ServeDNS(b.Names)
	_, err = router.Stack.ServeDHCP(now, dhcp.ServerConfig{
		Addr: netip.PrefixFrom(RouterAddr, Prefix.Bits()), First: FirstLease, Last: LastLease,
		Router: RouterAddr, DNS: []netip.Addr{RouterAddr}, NTP: b.c.NTP, Domain: "test", LeaseTime: b.c.LeaseTime,
	}, nil)
	if err != nil {
		return err
	}
	if err := b.Names.Set(router.Name, 0, router.Addr); err != nil {
		return err
	}
	return b.buildTime()
}

func (b *Bench) buildDevice() error {
	c := b.c.Device
	if c.MAC == (wire.MAC{}) {
		c.MAC = DeviceMAC
	}
	if c.Rand == nil {
		c.Rand = b.rand()
	}
	c.Air = b.Air
	c.Touch = func() { b.devSlot.Touch() }
	d, err := device.New(c)
	if err != nil {
		return err
	}
	b.Device = d
	b.devSlot = b.World.Add(d)
	return nil
}

// AddHost plugs one more host into the cable. The router's DNS server knows it
// by name. It panics when the name is no host name or when no address is left,
// which are mistakes of the test.
func (b *Bench) AddHost(name string) *Host {
	now := b.World.Lock()
	defer b.World.Unlock()
	addr := b.next
	if addr == FirstLease {
		panic("understudytest: no address is left for another host")
	}
	b.next = addr.Next()
	h, err := b.addHost(now, name, addr, RouterAddr)
	if err == nil {
		err = b.Names.Set(name, 0, addr)
	}
	if err != nil {
		panic(fmt.Sprintf("understudytest: AddHost(%q): %v", name, err))
	}
	return h
}

// newDriver makes the host's side. On the wall clock Driver.Run pumps, in a
// virtual world whoever waits.
func (b *Bench) newDriver() {
	c := b.c.Driver
	if b.World.Virtual() {
		w := hostnet.InWorld(b.World)
		c.Now, c.Sleep, c.Lock = w.Now, w.Sleep, w.Lock
		c.Idle, c.Wake, c.OnIRQ = w.Idle, w.Wake, w.OnIRQ
	}
	port := b.Device.Port(b.World, b.devSlot.Touch)
	if b.c.Bus != nil {
		port = b.c.Bus(port)
	}
	b.Driver = driver.New(port, c)
}

// Boot starts the controller up and opens the client, as New does unless
// Config.NoBoot says otherwise. In a virtual world only actors may call it.
func (b *Bench) Boot() error {
	n := hostnet.Config{Rand: b.rand()}
	if b.World.Virtual() {
		n.World = b.World
	} else {
		b.wg.Go(func() { b.Driver.Run(b.ctx) })
	}
	b.Net = hostnet.New(b.Driver, n)
	if err := b.Net.Ready(context.Background()); err != nil {
		return err
	}
	c, err := b.Net.Client()
	b.Client = c
	return err
}

// BSS and Auth are the access point, as driver.Client.Connect wants it.
func (b *Bench) BSS() driver.BSS { return driver.BSS{SSID: SSID} }

// Auth is how to get into it.
func (b *Bench) Auth() driver.Auth {
	switch {
	case b.c.Open:
		return driver.OpenAuth
	case b.c.Passphrase != "":
		return driver.WPA(b.c.Passphrase)
	}
	return driver.WPA(Passphrase)
}

// Join joins the access point and waits until the device has an address.
func (b *Bench) Join() error { return b.Net.Join(context.Background(), b.BSS(), b.Auth()) }

// Close ends the bench: blocked calls return net.ErrClosed, and when Close
// returns no goroutine of the bench is left.
func (b *Bench) Close() {
	b.closing.Do(func() {
		if b.Driver != nil {
			b.Run(func() { b.Driver.Close() })
		}
		b.cancel()
		b.World.Close()
		b.wg.Wait()
	})
}

// Go runs f as an actor of the virtual world, or as a goroutine; the bench's
// end waits for it.
func (b *Bench) Go(f func()) {
	b.wg.Add(1)
	b.World.Go(func() {
		defer b.wg.Done()
		f()
	})
}

// Run runs f, in a virtual world as an actor, and returns when it has ended.
// The error says that all actors wait for something that cannot happen.
func (b *Bench) Run(f func()) error { return b.World.Do(f) }

// Sleep lets d pass.
func (b *Bench) Sleep(d time.Duration) { b.World.Sleep(d) }

// Now is the time in the bench.
func (b *Bench) Now() time.Time { return b.World.Now() }

// LoseWiFi switches the access point off without a word, as in a power
// failure: the device notices by the missing beacons.
func (b *Bench) LoseWiFi() { b.withAP(func(time.Time) { b.AP.Vanish() }) }

// StopWiFi switches the access point off in order: it sends all stations away.
func (b *Bench) StopWiFi() { b.withAP(b.AP.Stop) }

// RestoreWiFi switches the access point on again.
func (b *Bench) RestoreWiFi() { b.withAP(b.AP.Start) }

func (b *Bench) withAP(f func(now time.Time)) {
	now := b.World.Lock()
	f(now)
	b.apSlot.Touch()
	b.World.Unlock()
}

// SetLink makes the radio link between the device and its access point behave
// as l says, in both directions. It panics if l makes no sense.
func (b *Bench) SetLink(l air.Link) { setLink(b.World, b.Air, wire.MAC{}, l) }

// SetCable does the same with the cable of one host.
func (b *Bench) SetCable(h *Host, l air.Link) { setLink(b.World, b.lan.cable, h.MAC, l) }

func setLink(w *world.World, a *air.Air, mac wire.MAC, l air.Link) {
	w.Lock()
	defer w.Unlock()
	for _, err := range []error{a.SetLink(mac, wire.MAC{}, l), a.SetLink(wire.MAC{}, mac, l)} {
		if err != nil {
			panic("understudytest: " + err.Error())
		}
	}
}

// Capture writes all Ethernet frames of the access point to out, as pcapng,
// until stop is called, which returns the first error.
func (b *Bench) Capture(out io.Writer) (stop func() error, err error) {
	w, err := pcap.NewWriter(out, pcap.Options{})
	if err != nil {
		return nil, err
	}
	var failed error
	b.World.Lock()
	defer b.World.Unlock()
	iface := 0
	cancel := wifi.Capture(b.Air, BSSID, w, iface, func(err error) { failed = err })
	return func() error {
		b.World.Lock()
		defer b.World.Unlock()
		cancel()
		if err := w.Flush(); failed == nil {
			failed = err
		}
		return failed
	}, nil
}

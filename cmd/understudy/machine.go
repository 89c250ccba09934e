package main

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/stack/sntp"
	"github.com/understudy-net/understudy/uplink/user"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// machine is everything from the bus to the real network, on the wall clock: a
// device, the air, an access point and its uplink. For a device in Soft-AP mode
// it is without the last two.
type machine struct {
	seeds   func() rand.Source
	w       *world.World
	mac     wire.MAC // of the chip
	bssid   wire.MAC // of the access point
	air     *air.Air
	ap      *wifi.AccessPoint
	device  *device.Device
	port    bus.Port
	uplink  uplink       // nil with --uplink none
	capture *capture     // nil without --pcap
	flash   *flash.Flash // nil without --flash

	cancel context.CancelFunc
	wg     sync.WaitGroup

	log     *behind // nil: nobody listens
	verbose bool

	mu      sync.Mutex
	pending ages                       // of the lines of what the device waits for
	refused map[user.Reason]user.Event // the latest of each reason
	noTime  user.Event                 // the latest of the device's own requests for the time
	start   time.Time
}

var (
	machineMAC = wire.MAC{0x02, 0x57, 0x49, 0x4e, 0x43, 0x01}
	apMAC      = wire.MAC{0x02, 0x61, 0x70, 0x00, 0x00, 0x01}
)

const apChannel = 6

// toldLines is how many lines may wait for the one who reads them.
const toldLines = 1024

// newMachine starts a machine. log hears what -v tells, and reports. It may be slow: then it misses lines.
func newMachine(o *options, log io.Writer) (*machine, error) {
	profile, err := o.deviceProfile()
	if err != nil {
		return nil, err
	}
	m := &machine{w: world.New(), pending: ages{}, refused: map[user.Reason]user.Event{}, start: time.Now(), verbose: o.verbose}
	m.log = newBehind(unclosed{log}, toldLines, func(n int) string { return plural(n, "line is", "lines are") + " missing here\n" })
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.wg.Go(func() { m.w.Run(ctx) })
	if err := m.build(o, profile); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *machine) build(o *options, profile device.Profile) error {
	seeds := seeder(o.seed)
	m.seeds = seeds
	m.mac, m.bssid = addresses(o, seeds)
	if err := m.buildAir(o, seeds); err != nil {
		return err
	}
	if o.flash != "" {
		f, err := flash.OpenFile(o.flash, profile.FlashFormat())
		if err != nil {
			return err
		}
		m.flash = f
	}
	if err := m.buildDevice(profile, seeds); err != nil {
		return err
	}
	if o.pcap == "" {
		return nil
	}
	bssid := m.bssid
	if o.softAP {
		bssid = m.mac
	}
	c, err := startCapture(m.w, m.air, bssid, o.pcap)
	m.capture = c
	return err
}

// addresses are those of the chip and of the access point. On a link that is
// shared with others they differ from one machine to the next.
func addresses(o *options, seeds func() rand.Source) (chip, ap wire.MAC) {
	chip, ap = machineMAC, apMAC
	if o.uplink == "user" || o.uplink == "none" {
		return chip, ap
	}
	for _, mac := range []*wire.MAC{&chip, &ap} {
		r := seeds().Uint64()
		mac[3], mac[4], mac[5] = byte(r), byte(r>>8), byte(r>>16)
	}
	return chip, ap
}

// buildAir makes the air, the access point and the uplink.
func (m *machine) buildAir(o *options, seeds func() rand.Source) error {
	now := m.w.Lock()
	m.air = air.New(air.Config{Rand: seeds()})
	m.air.OnSend = m.w.Add(m.air).Touch
	if o.softAP {
		m.w.Unlock()
		return nil
	}
	var slot *world.Slot
	ap, err := wifi.NewAccessPoint(wifi.APConfig{
		Air: m.air, MAC: m.bssid, Rand: seeds(), Channel: apChannel,
		SSID: o.ssid, Passphrase: o.passphrase,
		Output: func(now time.Time, eth []byte) {
			if m.uplink != nil {
				m.uplink.Input(now, eth)
			}
		},
		Touch: func() { slot.Touch() },
	})
	if err != nil {
		m.w.Unlock()
		return err
	}
	m.ap = ap
	slot = m.w.Add(ap)
	ap.Start(now)
	m.w.Unlock()
	if o.uplink == "none" {
		return nil
	}
	up, err := m.openUplink(o, seeds(), func(now time.Time, eth []byte) {
		ap.Send(now, eth)
		slot.Touch()
	})
	if err != nil {
		return err
	}
	m.w.Lock()
	m.uplink = up
	m.w.Unlock()
	return nil
}

func (m *machine) buildDevice(profile device.Profile, seeds func() rand.Source) error {
	var slot *world.Slot
	c := device.Config{
		MAC: m.mac, Profile: profile, Rand: seeds(), Air: m.air, Flash: m.flash,
		Touch: func() { slot.Touch() },
	}
	if m.verbose {
		c.Trace = func(e device.Event) { m.tell("bus     %v", e) }
	}
	d, err := device.New(c)
	if err != nil {
		return err
	}
	m.device = d
	m.w.Lock()
	slot = m.w.Add(d)
	m.w.Unlock()
	m.port = d.Port(m.w, slot.Touch)
	return nil
}

// seeder makes the seeds of machines: reproducible ones for a seed, otherwise
// the operating system's.
func seeder(seed uint64) func() rand.Source {
	var key [32]byte
	if seed == 0 {
		crand.Read(key[:]) // never fails
	} else {
		binary.LittleEndian.PutUint64(key[:], seed)
	}
	master := rand.NewChaCha8(key)
	return func() rand.Source {
		var k [32]byte
		master.Read(k[:]) // never fails
		return rand.NewChaCha8(k)
	}
}

// refuse hears of flows that the uplink did not carry.
func (m *machine) refuse(e user.Event) {
	m.mu.Lock()
	if e.Proto == wire.ProtoUDP && e.Dst.Port() == sntp.Port {
		m.noTime = e // has nothing to do with what most verbs do
	} else {
		m.refused[e.Reason] = e
	}
	m.mu.Unlock()
	m.tell("uplink  %v", e)
}

// tell writes a line of -v. Like report it never waits, so the lock of the world may be held.
func (m *machine) tell(format string, args ...any) {
	if m.verbose {
		m.report(fmt.Sprintf("%9.3f  %s\n", time.Since(m.start).Seconds(), fmt.Sprintf(format, args...)))
	}
}

// report writes whole lines.
func (m *machine) report(text string) { m.log.Write([]byte(text)) }

// unclosed is a writer that stays open: standard error.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// hint says what the uplink knows about a failure, and what to do. With noTime
// the failure is that the device does not know the time.
func (m *machine) hint(noTime bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if noTime && m.noTime.Dst.IsValid() {
		if m.noTime.Reason == user.ReasonHost {
			return closedHost(m.noTime)
		}
		return m.noTime.String()
	}
	if e, ok := m.refused[user.ReasonHost]; ok {
		return closedHost(e)
	}
	for r := range user.ReasonFailed + 1 {
		if e, ok := m.refused[r]; ok {
			return e.String()
		}
	}
	return ""
}

func closedHost(e user.Event) string {
	return fmt.Sprintf("%v\nthe loopback of this host is closed to the device; open it with --allow-host", e)
}

// farewellLog is how long Close waits for the one who reads what is told.
const farewellLog = time.Second

// Close ends the machine. It returns what went wrong with the capture.
func (m *machine) Close() error {
	var err error
	if m.capture != nil {
		err = m.capture.Close()
	}
	if m.uplink != nil {
		err = errors.Join(err, m.uplink.Close())
	}
	m.w.Close()
	m.cancel()
	m.wg.Wait()
	told := make(chan struct{})
	go func() { m.log.Close(); close(told) }() // lines that a stopped terminal does not take are nobody's loss
	select {
	case <-told:
	case <-time.After(farewellLog):
	}
	if m.flash != nil {
		err = errors.Join(err, m.flash.Close())
	}
	return err
}

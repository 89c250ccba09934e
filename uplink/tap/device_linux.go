package tap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/wire"
)

const clone = "/dev/net/tun"

// maxFrame is what a read offers: the kernel cuts a longer frame without a
// word, so no MTU may give one.
const maxFrame = 64<<10 + wire.EthernetLen

// A device is an open TAP device. Its file is in the poller of the runtime, so a
// goroutine that reads costs no thread, and Close ends it.
type device struct {
	file *os.File
	raw  syscall.RawConn
	name string
	mtu  int
}

// open opens and sets up a device in the namespace of c.
func open(c Config) (device, error) {
	if c.Name == "" {
		c.Name = "tap%d"
	}
	var d device
	err := frames.InNamespace(c.Namespace, func() (err error) {
		if d, err = attach(c.Name); err != nil {
			return &frames.Error{Op: "open TAP device", Device: c.Name, Err: err, Hint: openHint(err, c.Name)}
		}
		if err = d.setUp(c); err != nil {
			d.file.Close()
			return &frames.Error{Op: "set up TAP device", Device: d.name, Err: err, Hint: setUpHint(err, d.name)}
		}
		return nil
	})
	return d, err
}

// attach opens the device with this name, or makes it. The order matters: only a file that is non-blocking when
// package os gets it has deadlines and a Close that ends Read.
func attach(name string) (device, error) {
	fd, err := unix.Open(clone, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return device{}, &os.PathError{Op: "open", Path: clone, Err: err}
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return device{}, fmt.Errorf("the name has to have 1 to %d characters: %w", unix.IFNAMSIZ-1, err)
	}
	// No packet information and no offloads: what is read and written is the frame alone.
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		unix.Close(fd)
		return device{}, os.NewSyscallError("TUNSETIFF", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return device{}, os.NewSyscallError("fcntl", err)
	}
	d := device{file: os.NewFile(uintptr(fd), clone), name: req.Name()}
	if d.raw, err = d.file.SyscallConn(); err != nil {
		d.file.Close()
		return device{}, err
	}
	return d, nil
}

func openHint(err error, name string) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "this kernel, or container, has no TUN/TAP: load the module tun, or give the container " + clone
	case frames.Denied(err) && errors.As(err, new(*os.PathError)):
		return "run as root, or let root open " + clone + " to you: chmod 666 " + clone
	case frames.Denied(err):
		return fmt.Sprintf("run as root, or let root make it: ip tuntap add dev %s mode tap user %s && ip link set %[1]s up", plainName(name), userName())
	case errors.Is(err, syscall.EBUSY):
		return "another process has it open: end that one, or use another name"
	case errors.Is(err, syscall.EINVAL):
		return "an interface with that name exists and is no TAP device: use another name"
	}
	return ""
}

func plainName(name string) string {
	if strings.Contains(name, "%") {
		return "tap0"
	}
	return name
}

func userName() string {
	if u := os.Getenv("USER"); u != "" {
		return u
	}
	return fmt.Sprint(os.Getuid())
}

// setUp gives the kernel's end what c asks for, and takes the link up if it is
// down. It changes nothing that is right already, so that it needs no privilege then.
func (d *device) setUp(c Config) error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("find it: %w", err)
	}
	have := link.Attrs()
	d.mtu = have.MTU
	if c.MTU > 0 && have.MTU != c.MTU {
		d.mtu = c.MTU
		if err := netlink.LinkSetMTU(link, c.MTU); err != nil {
			return fmt.Errorf("MTU %d: %w", c.MTU, err)
		}
	}
	if !c.MAC.IsZero() && string(have.HardwareAddr) != string(c.MAC[:]) {
		if err := netlink.LinkSetHardwareAddr(link, net.HardwareAddr(c.MAC[:])); err != nil {
			return fmt.Errorf("MAC %v: %w", c.MAC, err)
		}
	}
	for _, a := range c.Addrs {
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}}
		if err := netlink.AddrReplace(link, addr); err != nil {
			return fmt.Errorf("address %v: %w", a, err)
		}
	}
	if have.Flags&net.FlagUp != 0 {
		return nil
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	return nil
}

func setUpHint(err error, name string) string {
	if frames.Denied(err) {
		return fmt.Sprintf("run as root, or let root do it: ip link set %s up", name)
	}
	return ""
}

// Read implements frames.Device.
func (d device) Read(b *frames.Batch) (unusable int, err error) {
	var failed error
	err = d.raw.Read(func(fd uintptr) (done bool) {
		for !b.Full() {
			n, err := unix.Read(int(fd), b.Room(maxFrame))
			switch {
			case err == nil:
				b.Commit(n)
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return b.Len() > 0
			default:
				failed = os.NewSyscallError("read", err)
				if errors.Is(err, unix.EBADFD) { // the interface was deleted under our hands
					failed = fmt.Errorf("%w: %w", frames.ErrDeviceGone, failed)
				}
				return true
			}
		}
		return true
	})
	switch {
	case err == nil:
		err = failed
	case d.gone(): // the poller saw it first, and calls it "not pollable"
		err = fmt.Errorf("%w: %w", frames.ErrDeviceGone, err)
	}
	return 0, err
}

// gone looks whether the interface was deleted. It may cost a frame.
func (d device) gone() bool {
	var err error
	looked := d.raw.Control(func(fd uintptr) { _, err = unix.Read(int(fd), make([]byte, 1)) })
	return looked == nil && errors.Is(err, unix.EBADFD)
}

// Write implements frames.Device. The kernel takes the frame through its stack before this
// returns; a link that is down refuses it.
func (d device) Write(frame []byte) error {
	_, err := d.file.Write(frame)
	return err
}

// Close implements frames.Device.
func (d device) Close() error { return d.file.Close() }

func (d device) setCarrier(on bool) error {
	v := 0
	if on {
		v = 1
	}
	var failed error
	err := d.raw.Control(func(fd uintptr) { failed = unix.IoctlSetPointerInt(int(fd), unix.TUNSETCARRIER, v) })
	if err == nil {
		err = os.NewSyscallError("TUNSETCARRIER", failed)
	}
	return err
}

package packet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	mdpacket "github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/understudy-net/understudy/uplink/frames"
	"github.com/understudy-net/understudy/wire"
)

// A device is a packet socket. With each frame comes a header of virtio-net, which says what the
// kernel, or the card, has left undone (packet(7), PACKET_VNET_HDR).
type device struct {
	conn *mdpacket.Conn
	raw  syscall.RawConn
	mtu  int
	in   [maxRead]byte // what Read has in hand: a header and a packet
	out  []byte        // the same of Write

	mu   sync.Mutex
	lost uint64 // packets for which the socket had no room
}

// maxRead is what a read offers: the longest packet that the kernel joins.
const maxRead = vnetLen + wire.EthernetLen + 64<<10

// open opens the socket in the namespace of c.
func open(c Config) (*device, error) {
	var d *device
	err := frames.InNamespace(c.Namespace, func() (err error) {
		if d, err = listen(c.Interface); err != nil {
			return &frames.Error{Op: "open packet socket on", Device: c.Interface, Err: err, Hint: openHint(err)}
		}
		return nil
	})
	return d, err
}

func listen(name string) (*device, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	if ifi.Flags&net.FlagUp == 0 {
		return nil, unix.ENETDOWN
	}
	filter, err := bpf.Assemble(received)
	if err != nil {
		return nil, err
	}
	conn, err := mdpacket.Listen(ifi, mdpacket.Raw, unix.ETH_P_ALL, &mdpacket.Config{Filter: filter})
	if err != nil {
		return nil, err
	}
	d := &device{conn: conn, mtu: ifi.MTU}
	if err := d.setUp(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return d, nil
}

// received lets pass what came in, and not what this machine sends by the same interface.
var received = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
	bpf.RetConstant{Val: 1 << 18},
	bpf.RetConstant{Val: 0},
}

// receiveBuffer holds some milliseconds of a fast interface; the kernel counts twice what is asked for.
const receiveBuffer = 4 << 20

func (d *device) setUp() (err error) {
	if d.raw, err = d.conn.SyscallConn(); err != nil {
		return err
	}
	if err := d.conn.SetPromiscuous(true); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	var failed error
	err = d.raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			// Without CAP_NET_ADMIN there is a limit; less will do.
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("packet headers: %w", os.NewSyscallError("setsockopt", failed))
	}
	return err
}

func openHint(err error) string {
	var op *net.OpError
	switch {
	case frames.Denied(err):
		return "run as root, or give the program the right: setcap cap_net_raw+ep PROGRAM"
	case errors.Is(err, unix.ENETDOWN):
		return "take the interface up first: ip link set NAME up"
	case errors.As(err, &op) && op.Net == "ip+net":
		return "see what interfaces there are with: ip link"
	}
	return ""
}

// Read implements frames.Device.
func (d *device) Read(b *frames.Batch) (unusable int, err error) {
	var failed error
	err = d.raw.Read(func(fd uintptr) (done bool) {
		for !b.Full() {
			n, err := unix.Read(int(fd), d.in[:])
			switch {
			case err == nil:
				if !finish(b, d.in[:n]) {
					unusable++
				}
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EINVAL): // joined in a way that the header cannot say
				unusable++
			case errors.Is(err, unix.ENETDOWN) && !gone(fd): // taken down: it may come up again
			case errors.Is(err, unix.ENETDOWN):
				failed = fmt.Errorf("%w: %w", frames.ErrDeviceGone, err)
				return true
			case errors.Is(err, unix.EAGAIN):
				return b.Len() > 0 || unusable > 0
			default:
				failed = os.NewSyscallError("read", err)
				return true
			}
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return unusable, err
}

// gone reports whether the interface of a socket does not exist any more.
func gone(fd uintptr) bool {
	sa, err := unix.Getsockname(int(fd))
	ll, ok := sa.(*unix.SockaddrLinklayer)
	return err == nil && ok && ll.Ifindex <= 0
}

// Write implements frames.Device.
func (d *device) Write(frame []byte) error {
	if d.out == nil {
		d.out = make([]byte, vnetLen, vnetLen+wire.EthernetLen+d.mtu)
	}
	d.out = append(d.out[:vnetLen], frame...) // a header of zeros: nothing is left to do
	var failed error
	err := d.raw.Write(func(fd uintptr) (done bool) {
		_, failed = unix.Write(int(fd), d.out)
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil: // the socket is closed, or being closed
		return fmt.Errorf("%w: %w", os.ErrClosed, err)
	case errors.Is(failed, unix.ENXIO): // no interface behind the socket
		return fmt.Errorf("%w: %w", frames.ErrDeviceGone, failed)
	}
	return os.NewSyscallError("write", failed)
}

// overruns returns how many packets the kernel dropped because the socket was full. The kernel
// begins to count anew each time it is asked.
func (d *device) overruns() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, err := d.conn.Stats(); err == nil {
		d.lost += uint64(s.Drops)
	}
	return d.lost
}

// Close implements frames.Device.
func (d *device) Close() error {
	d.overruns()
	return d.conn.Close()
}

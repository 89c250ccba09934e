package driver

import (
	"errors"
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
)

// Lengths of Ethernet frames, without check sequence.
const (
	minFrame = 14
	maxFrame = 14 + 1500
)

// maxFrames is how many frames wait for the callback of OnFrame: when it is slower
// than the network, later ones are lost.
const maxFrames = 64

// Fragment is a received frame, or a part of one that is larger than the buffer of
// OnFrame.
type Fragment struct {
	Data []byte // in the buffer of OnFrame, until the callback returns
	N    int    // number of the fragment in its frame, from 0
	More bool   // another fragment of the frame follows
}

// bypassState is who receives frames. Guarded by the driver's lock.
type bypassState struct {
	buf     []byte
	fn      func(Fragment)
	deliver func()             // takes the first of wait to fn
	hook    func(frame []byte) // runs in the pump
	wait    *frameRing
}

// frameRing is frames that wait, in buffers that are used again.
type frameRing struct {
	frames  [maxFrames][]byte
	head, n int
}

func (r *frameRing) push(frame []byte) bool {
	if r.n == maxFrames {
		return false
	}
	at := &r.frames[(r.head+r.n)%maxFrames]
	*at = append((*at)[:0], frame...)
	r.n++
	return true
}

func (r *frameRing) pop() {
	r.head = (r.head + 1) % maxFrames
	r.n--
}

var (
	// errBypass is the answer to calls of the socket mode.
	errBypass = fmt.Errorf("%w: in bypass mode the IP stack is the host's (%w)", ErrMode, ErrUnsupported)
	// errSockets is the answer to calls of the bypass mode.
	errSockets = fmt.Errorf("%w: needs Config.Bypass (%w)", ErrMode, ErrUnsupported)
)

// enterSockets is enter for calls that need the IP stack of the device.
func (c *Client) enterSockets() (*Driver, error) {
	d, err := c.enter()
	if err == nil && d.cfg.Bypass {
		d.unlock()
		return nil, errBypass
	}
	return d, err
}

// enterBypass is enter for calls of the bypass mode.
func (c *Client) enterBypass() (*Driver, error) {
	d, err := c.enter()
	if err == nil && !d.cfg.Bypass {
		d.unlock()
		return nil, errSockets
	}
	return d, err
}

// OnFrame gives the driver a buffer for received Ethernet frames, without check
// sequence, and says who hears of them, in bypass mode (Config.Bypass): frames for
// our MAC, for all, and for groups of AddMulticast. One that is larger than buf
// comes in fragments, which are numbered; 1514 bytes are enough for all. buf belongs
// to the driver until the client is closed, or another OnFrame replaces it. It must
// be called before Connect and StartAP. Errors: ErrInvalid for an empty buf or a nil
// fn; ErrUnsupported, which is ErrMode too, in socket mode. It stands for
// WDRV_WINC_EthernetRecvPacket.
func (c *Client) OnFrame(buf []byte, fn func(Fragment)) error {
	d, err := c.enterBypass()
	if err != nil {
		return err
	}
	defer d.unlock()
	if len(buf) == 0 || fn == nil {
		return fmt.Errorf("%w: frames need a buffer and a callback", ErrInvalid)
	}
	if d.bypass.wait == nil {
		d.bypass.wait = &frameRing{}
		d.bypass.deliver = func() { d.deliverFrame(c) }
	}
	d.bypass.buf, d.bypass.fn = buf, fn
	return nil
}

// FrameHook is OnFrame for a layer above: fn runs on the pump, with no lock of the
// driver held, and must not block; the frame is whole, and valid until fn returns.
// nil unregisters. ErrUnsupported in socket mode.
func (c *Client) FrameHook(fn func(frame []byte)) error {
	d, err := c.enterBypass()
	if err != nil {
		return err
	}
	defer d.unlock()
	d.bypass.hook = fn
	return nil
}

// SendFrame sends an Ethernet frame of 14 to 1514 bytes, without check sequence, in
// bypass mode. A station's must have its own MAC as source. The bytes are copied;
// nothing is told of what becomes of it. Errors: ErrInvalid for another length;
// ErrRequest without a link; ErrBufferFull when the device has no buffer: try again
// later, or drop it; ErrBus; ErrUnsupported in socket mode. It stands for
// WDRV_WINC_EthernetSendPacket.
func (c *Client) SendFrame(frame []byte) error {
	d, err := c.enterBypass()
	if err != nil {
		return err
	}
	defer d.unlock()
	switch {
	case len(frame) < minFrame || len(frame) > maxFrame:
		return fmt.Errorf("%w: a frame of %d bytes, want %d to %d", ErrInvalid, len(frame), minFrame, maxFrame)
	case !d.ip.up:
		return fmt.Errorf("%w: no link to send a frame on", ErrRequest)
	}
	msg := hif.Header{Op: hif.OpSendEthernet, Len: hif.HeaderLen + hif.EthernetDataOffset + len(frame)}.Append(d.tx[:0])
	err = d.transmit(hif.OpSendEthernet, true, hif.SendEthernet{Frame: frame}.Append(msg))
	if errors.Is(err, errRefused) {
		return ErrBufferFull
	}
	return sendError(hif.OpSendEthernet, err)
}

// AddMulticast lets frames for a group through to the host: at most 8, which the
// device forgets when it is reset. It is for the bypass mode; Socket.Join does what
// sockets need. It works on a closed client too. Errors: ErrInvalid for an address
// of no group; ErrNotReady; ErrBus. It stands for WDRV_WINC_MulticastMACFilterAdd.
func (c *Client) AddMulticast(group MAC) error { return c.multicast(group, true) }

// DelMulticast ends AddMulticast. It stands for
// WDRV_WINC_MulticastMACFilterRemove.
func (c *Client) DelMulticast(group MAC) error { return c.multicast(group, false) }

func (c *Client) multicast(group MAC, add bool) error {
	if !c.valid() || group[0]&1 == 0 {
		return ErrInvalid
	}
	d := c.d
	d.lock()
	defer d.unlock()
	if err := d.ready(); err != nil {
		return err
	}
	if d.flash != nil {
		return ErrInUse
	}
	return send(d, hif.OpSetMulticastMAC, hif.MulticastMAC{MAC: group, Add: add})
}

// receives says whether somebody is there for frames, without which the bypass mode
// does not connect (spec/driver-api.md 2.14). Lock held.
func (d *Driver) receives() error {
	if d.cfg.Bypass && d.bypass.fn == nil && d.bypass.hook == nil {
		return ErrNoEthBuf
	}
	return nil
}

// handleFrame is ETHERNET_RX_PACKET. Lock held.
func (d *Driver) handleFrame(frame []byte) {
	b := &d.bypass
	if !d.cfg.Bypass || !d.ip.up || len(frame) < minFrame {
		d.stats.Stale++
		return
	}
	if b.hook != nil {
		d.hooks = append(d.hooks, hookCall{toFrame: b.hook, frame: frame})
	}
	if b.fn == nil {
		return
	}
	if d.calls.n >= maxCalls || !b.wait.push(frame) {
		d.stats.FramesLost++
		return
	}
	d.calls.push(call{fn: b.deliver})
}

// deliverFrame is the callback for the frame that has waited longest. It runs in the
// dispatcher, of which there is one.
func (d *Driver) deliverFrame(c *Client) {
	d.lock()
	b := d.bypass
	if !c.open || b.wait == nil || b.wait.n == 0 {
		d.unlock()
		return
	}
	frame := b.wait.frames[b.wait.head]
	d.unlock()
	defer func() {
		d.lock()
		b.wait.pop()
		d.unlock()
	}()
	for i := 0; len(frame) > 0; i++ {
		n := copy(b.buf, frame)
		frame = frame[n:]
		b.fn(Fragment{Data: b.buf[:n], N: i, More: len(frame) > 0})
	}
}

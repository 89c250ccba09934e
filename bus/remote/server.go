package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/understudy-net/understudy/bus"
)

// Time-outs of a server.
const (
	helloTimeout = 5 * time.Second        // for a client to say hello
	writeTimeout = 10 * time.Second       // for a client to take an answer
	changeTime   = 300 * time.Millisecond // between a host that leaves and one that comes
	lingerTime   = time.Second            // for a refused client to read why
)

const (
	maxArriving   = 16 // clients that have not said what they want, are being refused, or look at the device
	maxAcceptErrs = 10 // failures of Accept in a row before Serve gives up
)

// A Server offers the bus of a device. Its fields do not change while it serves.
type Server struct {
	Port bus.Port // it belongs to the server: OnIRQ is set

	// Inspect makes the answer to INSPECT, for clients of [Inspect], who need not have the bus: text about the device, JSON by
	// custom, at most [MaxTransfer] bytes. It is called from several goroutines. Nil: they are refused.
	Inspect func() []byte
}

// Serve is [Server.Serve] of a server that has nothing but the bus.
func Serve(ctx context.Context, l net.Listener, p bus.Port) error {
	return (&Server{Port: p}).Serve(ctx, l)
}

// Serve gives the bus to one client after another of those that connect to l, until ctx is done or l
// fails. It closes l and all connections and waits for its goroutines before it returns: nil when ctx
// is done, else the error of l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &house{Server: s, arriving: make(chan struct{}, maxArriving), held: make(chan struct{}, 1)}
	defer h.wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close()
	for failed := 0; ; {
		conn, err := l.Accept()
		if err == nil {
			failed = 0
			h.admit(ctx, conn)
			continue
		}
		if failed++; ctx.Err() != nil {
			return nil
		} else if errors.Is(err, net.ErrClosed) || failed > maxAcceptErrs {
			return fmt.Errorf("remote: accept: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond): // out of descriptors, perhaps
		}
	}
}

// house is a server at work.
type house struct {
	*Server
	wg       sync.WaitGroup
	arriving chan struct{}
	held     chan struct{} // capacity 1: somebody has the bus
}

// admit hears what a client wants, unless too many others have not said it yet.
func (h *house) admit(ctx context.Context, conn net.Conn) {
	select {
	case h.arriving <- struct{}{}:
	default:
		conn.Close()
		return
	}
	h.wg.Go(func() {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		left := sync.OnceFunc(func() { <-h.arriving })
		defer left()
		err := h.receive(conn, left)
		var r *refusal
		if errors.As(err, &r) {
			refuse(conn, r.why, r.text)
		}
	})
}

// receive hears the first frame of a client and serves it. It calls arrived when the client has got the bus.
func (h *house) receive(conn net.Conn, arrived func()) error {
	busy := h.isBusy()
	patience := helloTimeout
	if busy {
		patience = lingerTime
	}
	c := newSession(h.Port, conn)
	wanted, err := c.first(patience)
	switch {
	case err == nil && wanted == kindInspect:
		return h.inspect(c)
	case busy && err != nil, err == nil && !h.take(): // whatever it said
		return &refusal{reasonBusy, "the bus is in use by another host; close that one first"}
	case err != nil:
		return err
	}
	arrived()
	defer h.free()
	if err := c.welcome(); err != nil {
		return err
	}
	return c.run()
}

func (h *house) isBusy() bool { return len(h.held) > 0 }

// take takes the bus. A host that comes right after another one has closed can be heard first, so take waits a moment.
func (h *house) take() bool {
	moment := time.NewTimer(changeTime)
	defer moment.Stop()
	select {
	case h.held <- struct{}{}:
		return true
	case <-moment.C:
		return false
	}
}

// free gives the bus back. That comes before the client sees the end of its connection, so it can come back at once.
func (h *house) free() { <-h.held }

// inspect answers a client that wants to see the device.
func (h *house) inspect(c *session) error {
	if h.Inspect == nil {
		return &refusal{reasonInspect, "this server does not show its device"}
	}
	text := h.Inspect()
	if len(text) > MaxTransfer {
		return &refusal{reasonInspect, "there is too much to show"}
	}
	return c.write(appendFrame(nil, kindInspect|answer, 0, text...))
}

// refuse tells a client why it cannot have the bus. The connection stays for a moment: closing it with
// the client's hello unread could cost the client the text.
func refuse(conn net.Conn, why reason, text string) {
	conn.SetDeadline(time.Now().Add(lingerTime))
	if _, err := conn.Write(appendFrame(nil, kindRefuse, 0, append([]byte{byte(why)}, text...)...)); err != nil {
		return
	}
	var rest [256]byte
	for total := 0; total < maxPayload; {
		n, err := conn.Read(rest[:])
		if err != nil {
			return
		}
		total += n
	}
}

// refusal is an error that the client is told.
type refusal struct {
	why  reason
	text string
}

func (r *refusal) Error() string { return r.text }

// session is a client that has the bus.
type session struct {
	port bus.Port
	conn net.Conn
	in   *reader
	edge chan struct{} // the interrupt line fell
	done chan struct{}

	writing chan struct{} // capacity 1: the right to write to conn, held while the client takes its time
	out     []byte        // answers not written yet
	w       []byte        // window to the chip
	r       []byte        // window from the chip

	err error // of a request that wanted no answer, told with the next one
}

func newSession(p bus.Port, conn net.Conn) *session {
	return &session{port: p, conn: conn, in: newReader(conn), edge: make(chan struct{}, 1),
		done: make(chan struct{}), writing: make(chan struct{}, 1)}
}

// first waits for the client to say what it is, and returns what it wants: kindHello or kindInspect.
func (c *session) first(patience time.Duration) (kind, error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	f, err := c.in.next(helloLen)
	if err != nil && !errors.Is(err, errFrame) {
		return 0, err
	}
	if err != nil || f.kind != kindHello && f.kind != kindInspect || len(f.payload) != helloLen || string(f.payload[:4]) != magic {
		return 0, &refusal{reasonVersion, "this is a bus socket: a client begins with HELLO, see docs/bus-socket.md"}
	}
	if v := le.Uint16(f.payload[4:]); v != Version {
		return 0, &refusal{reasonVersion, fmt.Sprintf("the client speaks version %d of the bus protocol, this server %d", v, Version)}
	}
	c.conn.SetReadDeadline(time.Time{})
	return f.kind, nil
}

// welcome answers HELLO.
func (c *session) welcome() error {
	at := len(c.out)
	c.out = le.AppendUint16(beginFrame(c.out, kindHello|answer, 0), Version)
	c.out = append(c.out, 0, 0)
	c.out = endFrame(le.AppendUint32(c.out, MaxTransfer), at)
	return c.flush()
}

// run serves requests until the client goes away or talks nonsense.
func (c *session) run() error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(c.done)
	c.port.OnIRQ(c.signal)
	defer c.port.OnIRQ(nil)
	wg.Go(c.pushEdges)
	// A line that is low already will not fall any more.
	if low, err := c.port.IRQ(); err == nil && low {
		c.signal()
	}
	for {
		f, err := c.in.next(maxPayload)
		if err == nil {
			err = c.handle(f)
		}
		if err == nil && (c.in.r.Buffered() == 0 || len(c.out) > maxPayload) {
			err = c.flush()
		}
		if errors.Is(err, errFrame) {
			return &refusal{reasonFrame, err.Error()}
		}
		if err != nil {
			return err
		}
	}
}

// signal notes an edge. It is called by the device, perhaps with its lock held: it never blocks.
func (c *session) signal() {
	select {
	case c.edge <- struct{}{}:
	default: // one is on its way already
	}
}

// pushEdges tells the client about falling edges. When the client does not take them, they merge.
func (c *session) pushEdges() {
	edge := appendFrame(nil, kindEdge, 0)
	for {
		select {
		case <-c.done:
			return
		case <-c.edge:
		}
		if c.write(edge) != nil {
			return
		}
	}
}

// flush writes the answers that were collected.
func (c *session) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

// write writes to the client, within a bounded time. A failure ends the connection.
func (c *session) write(b []byte) error {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.conn.Write(b)
	if err != nil {
		c.conn.Close() // so that nobody else waits for this client
	}
	return err
}

// handle does one request and appends its answer to c.out.
func (c *session) handle(f frame) error {
	if f.flags&^flagAnswer != 0 {
		return fmt.Errorf("%w: %v with flags %#x", errFrame, f.kind, f.flags)
	}
	switch f.kind {
	case kindTx:
		return c.tx(f)
	case kindReset, kindEnable:
		if len(f.payload) != 1 || f.payload[0] > 1 {
			return fmt.Errorf("%w: %v wants one byte, 0 or 1", errFrame, f.kind)
		}
		set := c.port.SetEnable
		high := f.payload[0] == 1
		if f.kind == kindReset {
			set, high = c.port.SetReset, !high // SetReset is told whether the line is low
		}
		c.answer(f, set(high))
		return nil
	case kindIRQ:
		if len(f.payload) != 0 {
			return fmt.Errorf("%w: %v has no payload", errFrame, f.kind)
		}
		low, err := c.port.IRQ()
		if err != nil || f.flags&flagAnswer == 0 {
			c.answer(f, err)
			return nil
		}
		level := byte(0)
		if low {
			level = 1
		}
		c.answer(f, nil, level)
		return nil
	}
	return fmt.Errorf("%w: unknown kind %v", errFrame, f.kind)
}

// answer appends the answer to a request, if it wants one. An error is kept for the next that does.
func (c *session) answer(f frame, err error, payload ...byte) {
	if c.err == nil {
		c.err = err
	}
	if f.flags&flagAnswer == 0 {
		return
	}
	if c.err != nil {
		text := c.err.Error()
		c.out = appendFrame(c.out, f.kind|answer, flagError, []byte(text[:min(len(text), maxText)])...)
		c.err = nil
		return
	}
	c.out = appendFrame(c.out, f.kind|answer, 0, payload...)
}

// tx clocks a window. Zeros at the end of what goes to the chip need not be sent, and zeros at both
// ends of what comes from it are not.
func (c *session) tx(f frame) error {
	if len(f.payload) < txHeader {
		return fmt.Errorf("%w: TX without a number of slots", errFrame)
	}
	n, w := int(le.Uint32(f.payload)), f.payload[txHeader:]
	if n > MaxTransfer || len(w) > n {
		return fmt.Errorf("%w: TX of %d slots with %d bytes", errFrame, n, len(w))
	}
	wanted := f.flags&flagAnswer != 0
	switch {
	case len(w) == 0 && wanted:
		w = nil
	case len(w) < n:
		c.w = slices.Grow(c.w[:0], n)[:n]
		clear(c.w[copy(c.w, w):])
		w = c.w
	}
	if !wanted {
		c.answer(f, c.port.Tx(w, nil))
		return nil
	}
	c.r = slices.Grow(c.r[:0], n)
	r := c.r[:n]
	if err := c.port.Tx(w, r); err != nil || c.err != nil {
		c.answer(f, err)
		return nil
	}
	off := lead(r)
	at := len(c.out)
	c.out = le.AppendUint32(beginFrame(c.out, kindTx|answer, 0), uint32(off))
	c.out = endFrame(append(c.out, trim(r[off:])...), at)
	return nil
}

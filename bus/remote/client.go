package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Errors of a client.
var (
	// ErrBusy: another host has the bus. Close that one, or wait.
	ErrBusy = errors.New("remote: the bus is busy")
	// ErrRefused: the server does not want this client for another reason, which the text says.
	ErrRefused = errors.New("remote: refused by the server")
	// ErrGone: the connection to the server is lost. Dial again; the state of the chip is unknown.
	ErrGone = errors.New("remote: the server went away")
	// ErrTooLong: the window is longer than [MaxTransfer] or than the server takes.
	ErrTooLong = errors.New("remote: window too long; move smaller pieces")
)

// Client is a bus.Port on a server elsewhere. All methods are safe for concurrent use; windows are
// clocked one after another. Errors are ErrGone or net.ErrClosed (after Close), wrapped, or
// what the port of the server said.
type Client struct {
	conn net.Conn
	max  int // longest window that the server takes

	tx   sync.Mutex // one window at a time
	call call       // of Tx

	writing sync.Mutex // of writing to conn, so that requests go out in the order of waiting
	out     []byte

	// mu is never held while conn is read or written: the reader, who needs it, must go on taking what
	// the server says, or both ends could wait for each other.
	mu      sync.Mutex
	err     error // why the connection ended
	irq     func()
	waiting []*call // requests that want an answer, in order

	reading sync.WaitGroup
}

// call is a request that waits for its answer.
type call struct {
	kind  kind
	r     []byte // filled from the answer
	level byte
	done  chan error // capacity 1
}

// Dial connects to the server at addr and gets the bus. The context bounds the dial and the greeting,
// not what follows. The error is [ErrBusy] when another host has the bus, [ErrRefused] when the server
// wants another protocol, and that of the network otherwise.
func Dial(ctx context.Context, network, addr string) (*Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	return NewClient(ctx, conn)
}

// NewClient greets the server at the other end of conn, which then belongs to the client. See [Dial].
func NewClient(ctx context.Context, conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, call: call{done: make(chan error, 1)}}
	in := newReader(conn)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := c.greet(in)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("remote: no greeting from the server: %w", ctx.Err())
		}
		return nil, err
	}
	c.reading.Go(func() { c.read(in) })
	return c, nil
}

// greet says hello. A server that is busy may say so before it has read anything.
func (c *Client) greet(in *reader) error {
	_, werr := c.conn.Write(appendHello(nil, kindHello))
	f, err := in.next(maxText)
	switch {
	case err != nil && werr != nil:
		return fmt.Errorf("%w: %w", ErrGone, werr)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrGone, err)
	case f.kind == kindRefuse:
		return refused(f)
	case f.kind != kindHello|answer || len(f.payload) < 8:
		return fmt.Errorf("%w: it is no bus server: it said %v", ErrRefused, f.kind)
	}
	if v := le.Uint16(f.payload); v != Version {
		return fmt.Errorf("%w: it speaks version %d of the protocol, this client %d", ErrRefused, v, Version)
	}
	c.max = int(min(le.Uint32(f.payload[4:]), MaxTransfer))
	return nil
}

// refused makes an error of a frame REFUSE.
func refused(f frame) error {
	if len(f.payload) == 0 {
		return ErrRefused
	}
	err := ErrRefused
	if reason(f.payload[0]) == reasonBusy {
		err = ErrBusy
	}
	return fmt.Errorf("%w: %s", err, f.payload[1:])
}

// read takes what the server sends, until the connection ends.
func (c *Client) read(in *reader) {
	for {
		f, err := in.next(maxPayload)
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			c.fail(fmt.Errorf("%w: %w", ErrGone, err))
			return
		}
	}
}

// take handles one frame of the server.
func (c *Client) take(f frame) error {
	switch {
	case f.kind == kindEdge:
		c.mu.Lock()
		irq := c.irq
		c.mu.Unlock()
		if irq != nil {
			irq()
		}
		return nil
	case f.kind == kindRefuse:
		return refused(f)
	}
	c.mu.Lock()
	if len(c.waiting) == 0 || c.waiting[0].kind|answer != f.kind {
		c.mu.Unlock()
		return fmt.Errorf("%w: %v without a request", errFrame, f.kind)
	}
	w := c.waiting[0]
	c.waiting = append(c.waiting[:0], c.waiting[1:]...)
	c.mu.Unlock()
	result, broken := w.fill(f)
	w.done <- result
	return broken
}

// fill takes the answer to a call: the result of the call, and an error if the answer makes no sense.
func (w *call) fill(f frame) (result, broken error) {
	if f.flags&flagError != 0 {
		return fmt.Errorf("remote: %s", f.payload), nil
	}
	switch f.kind &^ answer {
	case kindTx:
		if len(f.payload) < txHeader {
			broken = fmt.Errorf("%w: short answer", errFrame)
			break
		}
		off, data := uint64(le.Uint32(f.payload)), f.payload[txHeader:]
		if off+uint64(len(data)) > uint64(len(w.r)) {
			broken = fmt.Errorf("%w: answer longer than the window", errFrame)
			break
		}
		clear(w.r[:off])
		n := copy(w.r[off:], data)
		clear(w.r[int(off)+n:])
	case kindIRQ:
		if len(f.payload) != 1 {
			broken = fmt.Errorf("%w: interrupt level of %d bytes", errFrame, len(f.payload))
			break
		}
		w.level = f.payload[0]
	}
	if broken != nil {
		return fmt.Errorf("%w: %w", ErrGone, broken), broken
	}
	return nil, nil
}

// fail ends the connection: all calls get err, now and later. The first error counts.
func (c *Client) fail(err error) {
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	for _, w := range c.waiting {
		w.done <- c.err
	}
	c.waiting = nil
}

// send writes the request in c.out and queues the call for its answer, if it wants one; a failure
// then comes as the answer. It is called with c.writing held.
func (c *Client) send(w *call) error {
	c.mu.Lock()
	err := c.err
	if err == nil && w != nil {
		c.waiting = append(c.waiting, w)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		c.fail(fmt.Errorf("%w: %w", ErrGone, err))
		if w == nil {
			return c.failed()
		}
	}
	return nil
}

// failed returns why the connection ended.
func (c *Client) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Tx clocks a window; see bus.Port. One with r takes a round trip. One without r takes none: it is on
// its way when Tx returns, and an error in it comes with a later call.
func (c *Client) Tx(w, r []byte) error {
	n := max(len(w), len(r))
	if w != nil && r != nil && len(w) != len(r) {
		return fmt.Errorf("remote: window of %d bytes to the chip and %d from it", len(w), len(r))
	}
	if n > c.max {
		return fmt.Errorf("%w: %d bytes, the server takes %d", ErrTooLong, n, c.max)
	}
	if n == 0 {
		return nil
	}
	c.tx.Lock()
	defer c.tx.Unlock()
	flags, call := uint8(0), (*call)(nil)
	if r != nil {
		flags, call = flagAnswer, &c.call
		call.kind, call.r = kindTx, r
	}
	c.writing.Lock()
	c.out = le.AppendUint32(beginFrame(c.out[:0], kindTx, flags), uint32(n))
	c.out = endFrame(append(c.out, trim(w)...), 0)
	err := c.send(call)
	c.writing.Unlock()
	if err != nil || call == nil {
		return err
	}
	err = <-call.done
	call.r = nil
	return err
}

// request sends a small request and waits for its answer.
func (c *Client) request(k kind, payload ...byte) (*call, error) {
	w := &call{kind: k, done: make(chan error, 1)}
	c.writing.Lock()
	c.out = appendFrame(c.out[:0], k, flagAnswer, payload...)
	err := c.send(w)
	c.writing.Unlock()
	if err != nil {
		return w, err
	}
	return w, <-w.done
}

// SetReset drives RESET_N; see bus.Port.
func (c *Client) SetReset(low bool) error {
	_, err := c.request(kindReset, level(!low))
	return err
}

// SetEnable drives CHIP_EN; see bus.Port.
func (c *Client) SetEnable(high bool) error {
	_, err := c.request(kindEnable, level(high))
	return err
}

// IRQ reads the interrupt line; see bus.Port.
func (c *Client) IRQ() (asserted bool, err error) {
	w, err := c.request(kindIRQ)
	return w.level == 1, err
}

func level(high bool) byte {
	if high {
		return 1
	}
	return 0
}

// OnIRQ sets the function that is called, on a goroutine of the client, when the interrupt line has
// fallen; see bus.Port. Edges that come faster than they are told merge into one.
func (c *Client) OnIRQ(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.irq = fn
}

// Close gives the bus back. Calls that wait, and later ones, fail with net.ErrClosed. It waits for
// the goroutine of the client, so it is not called from the function of OnIRQ.
func (c *Client) Close() error {
	c.fail(fmt.Errorf("remote: %w", net.ErrClosed))
	c.reading.Wait()
	return nil
}

package driver

// maxCalls bounds the queue of callbacks. Each outstanding request queues one
// and each change of the link a few, so a device that behaves never gets near.
const maxCalls = 4096

// call is one callback that waits for its turn: either fn, or a socket event,
// whose message is built only when it is delivered.
type call struct {
	fn   func()
	sock Socket
	ev   Event
}

// callQueue is a ring of calls that grows as needed.
type callQueue struct {
	ring    []call
	head, n int
	dropped uint64
}

func (q *callQueue) push(c call) {
	if q.n >= maxCalls {
		q.dropped++
		return
	}
	if q.n == len(q.ring) {
		ring := make([]call, max(16, 2*q.n))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = c
	q.n++
}

func (q *callQueue) pop() call {
	c := q.ring[q.head]
	q.ring[q.head] = call{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return c
}

// post queues a callback. Lock held.
func (d *Driver) post(fn func()) { d.calls.push(call{fn: fn}) }

// queued says whether callbacks wait.
func (d *Driver) queued() bool {
	d.lock()
	defer d.unlock()
	return d.calls.n > 0 && !d.dispatching
}

// dispatch runs the queued callbacks, one at a time and without the lock,
// unless somebody is doing that: then it returns at once, which is also what
// happens inside a callback (spec/driver-api.md 1.5).
func (d *Driver) dispatch() {
	d.lock()
	defer d.unlock()
	if d.dispatching {
		return
	}
	d.dispatching = true
	defer func() { d.dispatching = false }()
	for d.calls.n > 0 {
		c := d.calls.pop()
		if c.fn == nil {
			c.fn = d.delivery(c.sock, c.ev)
		}
		if c.fn == nil {
			continue
		}
		d.unlocked(c.fn)
	}
}

// unlocked runs fn without the lock, and takes it again even if fn panics, so
// that the state stays whole for whoever recovers.
func (d *Driver) unlocked(fn func()) {
	d.unlock()
	defer d.lock()
	fn()
}

// hookCall is one call of a layer above, made by the pump.
type hookCall struct {
	sock   Socket
	ev     Event
	toSock func(Socket, Event)
	notice *Notice
	fn     func()

	toFrame func([]byte)
	frame   []byte // in the receive buffer
}

// flush makes the hook calls that handling a message has left, without the
// lock. Only the pump calls it. Lock held.
func (d *Driver) flush() {
	for i := 0; i < len(d.hooks); i++ {
		h := d.hooks[i]
		d.hooks[i] = hookCall{}
		d.unlock()
		switch {
		case h.toSock != nil:
			h.toSock(h.sock, h.ev)
		case h.toFrame != nil:
			h.toFrame(h.frame)
		case h.fn != nil:
			h.fn()
		default:
			d.notify(*h.notice)
		}
		d.lock()
	}
	d.hooks = d.hooks[:0]
}

package sock

// Waiters is a queue of parked calls, first come first. The zero value is
// empty. It belongs to whoever is waited for; an [Owner] fills and empties it.
type Waiters struct {
	head, tail *Waiter
}

// Waiter is one parked call. Owners keep and reuse these records.
type Waiter struct {
	// C resumes the call; capacity 1, so that sending never blocks.
	C chan struct{}
	// Woken says that C was sent to, or will be: a second Wake does nothing.
	Woken bool
	// Owner is the owner's own record of the call.
	Owner any

	next, prev *Waiter
	list       *Waiters
}

// NewWaiter makes a record.
func NewWaiter() *Waiter { return &Waiter{C: make(chan struct{}, 1)} }

// Empty says whether nobody waits.
func (q *Waiters) Empty() bool { return q.head == nil }

// Front returns the call that waits for longest, nil if there is none.
func (q *Waiters) Front() *Waiter { return q.head }

// Next returns the call that came after x.
func (x *Waiter) Next() *Waiter { return x.next }

// Push adds x at the end. x must not be in a queue.
func (q *Waiters) Push(x *Waiter) {
	x.list, x.prev, x.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = x
	} else {
		q.head = x
	}
	q.tail = x
}

// Remove takes x out of its queue, if it is in one.
func (x *Waiter) Remove() {
	q := x.list
	if q == nil {
		return
	}
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		q.head = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		q.tail = x.prev
	}
	x.list, x.prev, x.next = nil, nil, nil
}

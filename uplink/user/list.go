package user

// A list links values in order, the one that was put last at the end. Its zero value is empty. It is what makes the
// oldest flow, and the next one to expire, known at once.
type list[T any] struct {
	head, tail *node[T]
	n          int
}

// A node is a place in a list; whoever is to be listed embeds one.
type node[T any] struct {
	v          T
	prev, next *node[T]
}

func (l *list[T]) pushBack(n *node[T]) {
	n.prev, n.next = l.tail, nil
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}
	l.tail = n
	l.n++
}

func (l *list[T]) remove(n *node[T]) {
	if n.prev == nil {
		l.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	l.n--
}

// renew moves n to the end.
func (l *list[T]) renew(n *node[T]) {
	if l.tail != n {
		l.remove(n)
		l.pushBack(n)
	}
}

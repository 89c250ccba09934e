package air

// list is a doubly linked list of ports in order of arrival. Removal costs the same for any number of ports, and the
// order, in which broadcasts are heard, is the same in every run.
type list struct {
	head, tail *node
}

type node struct {
	port       *Port
	list       *list // nil: in none
	prev, next *node
}

func (l *list) empty() bool { return l == nil || l.head == nil }

func (l *list) push(n *node) {
	n.list, n.prev, n.next = l, l.tail, nil
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}
	l.tail = n
}

// find returns the node of p, or nil.
func (l *list) find(p *Port) *node {
	if l == nil {
		return nil
	}
	for n := l.head; n != nil; n = n.next {
		if n.port == p {
			return n
		}
	}
	return nil
}

func (l *list) has(p *Port) bool { return l.find(p) != nil }

// unlink takes n out of its list. A delivery that is about to visit n goes on behind it.
func (n *node) unlink(a *Air) {
	if n == nil || n.list == nil {
		return
	}
	if a.cursor == n {
		a.cursor = n.next
	}
	if n.prev == nil {
		n.list.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		n.list.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.list, n.prev, n.next = nil, nil, nil
}

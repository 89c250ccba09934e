package world

import "time"

// entry is something that is due at a time: a machine or the time limit of a
// waiting call.
type entry struct {
	at     time.Time
	seq    uint64
	index  int // in the queue; -1: not there
	slot   *Slot
	parked *parked
}

// queue is a binary heap ordered by (time, sequence): what is due at the same
// instant comes in the order in which it was set.
type queue struct {
	heap []*entry
	seq  uint64
}

func (q *queue) first() *entry {
	if len(q.heap) == 0 {
		return nil
	}
	return q.heap[0]
}

// set puts e at the time at; zero takes it out.
func (q *queue) set(e *entry, at time.Time) {
	if at.IsZero() {
		q.remove(e)
		return
	}
	if e.index >= 0 && e.at.Equal(at) {
		return
	}
	e.at = at
	q.seq++
	e.seq = q.seq
	if e.index < 0 {
		e.index = len(q.heap)
		q.heap = append(q.heap, e)
	}
	q.up(e.index)
	q.down(e.index)
}

func (q *queue) remove(e *entry) {
	i, last := e.index, len(q.heap)-1
	if i < 0 {
		return
	}
	q.swap(i, last)
	q.heap[last] = nil
	q.heap = q.heap[:last]
	e.index = -1
	if i < last {
		q.up(i)
		q.down(i)
	}
}

func (q *queue) less(i, j int) bool {
	a, b := q.heap[i], q.heap[j]
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return a.seq < b.seq
}

func (q *queue) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.heap[i].index, q.heap[j].index = i, j
}

func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(q.heap) {
			return
		}
		if c+1 < len(q.heap) && q.less(c+1, c) {
			c++
		}
		if !q.less(c, i) {
			return
		}
		q.swap(c, i)
		i = c
	}
}

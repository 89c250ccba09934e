package stack

import "github.com/understudy-net/understudy/stack/tcp"

// timerHeap is a binary heap of connections by the time of their next timer. A key may be earlier
// than the connection's deadline, never later: when a deadline moves on, as that of RTO does with
// each ACK, nothing is done; the connection is looked at when the old time comes.
type timerHeap []timerEntry

type timerEntry struct {
	at tcp.Instant
	k  *tcpSock
}

// next returns the earliest time; 0 means never.
func (h timerHeap) next() tcp.Instant {
	if len(h) == 0 {
		return 0
	}
	return h[0].at
}

// lower makes sure that k is looked at no later than at; 0 is never.
func (h *timerHeap) lower(k *tcpSock, at tcp.Instant) {
	if at == 0 {
		return
	}
	if k.heap == 0 {
		*h = append(*h, timerEntry{at, k})
		k.heap = int32(len(*h))
	} else if e := &(*h)[k.heap-1]; at < e.at {
		e.at = at
	} else {
		return
	}
	h.up(int(k.heap) - 1)
}

// raise moves the first entry to its new time at, or out of the heap if that is 0.
func (h *timerHeap) raise(at tcp.Instant) {
	if at == 0 {
		h.remove((*h)[0].k)
		return
	}
	(*h)[0].at = at
	h.down(0)
}

// remove takes k out.
func (h *timerHeap) remove(k *tcpSock) {
	if k.heap == 0 {
		return
	}
	i, n := int(k.heap)-1, len(*h)-1
	h.swap(i, n)
	(*h)[n] = timerEntry{}
	*h = (*h)[:n]
	k.heap = 0
	if i < n {
		h.up(i)
		h.down(i)
	}
}

func (h *timerHeap) swap(i, j int) {
	a := *h
	a[i], a[j] = a[j], a[i]
	a[i].k.heap, a[j].k.heap = int32(i+1), int32(j+1)
}

// less orders by time, then by the number of the socket, so that the order of what is due at once
// is always the same.
func (h *timerHeap) less(i, j int) bool {
	a, b := &(*h)[i], &(*h)[j]
	return a.at < b.at || a.at == b.at && a.k.id < b.k.id
}

func (h *timerHeap) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(i, p) {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h *timerHeap) down(i int) {
	for {
		l := 2*i + 1
		if l >= len(*h) {
			return
		}
		if l+1 < len(*h) && h.less(l+1, l) {
			l++
		}
		if !h.less(l, i) {
			return
		}
		h.swap(i, l)
		i = l
	}
}

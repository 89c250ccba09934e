package wifi

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/wire"
)

type phase uint8

const (
	phaseAuthenticated phase = iota // not associated yet
	phaseEnrolling                  // associated, to be handed the network over
	phaseHandshake                  // associated, waits for keys
	phaseJoined
)

// peer is what an access point keeps for one station.
//
//	authentication     association            message 4, or an open network
//	─────────▶ authenticated ─────▶ handshake ─────▶ joined
type peer struct {
	mac   wire.MAC
	phase phase
	aid   uint16 // 0: not associated
	rsn   []byte // body of the element in its association request
	rssi  int8
	since time.Time // associated
	heard time.Time
	keys  authenticator

	enrolling *wps.Registrar // while phaseEnrolling

	timer      time.Time // what it is for depends on phase
	slot       int       // in the heap, -1: none
	prev, next *peer     // in the list of those that wait
}

// peerList is a list in order of arrival.
type peerList struct {
	head, tail *peer
	n          int
}

func (l *peerList) push(p *peer) {
	p.prev, p.next = l.tail, nil
	if l.tail == nil {
		l.head = p
	} else {
		l.tail.next = p
	}
	l.tail = p
	l.n++
}

func (l *peerList) remove(p *peer) {
	if p.prev == nil && l.head != p {
		return // not in the list
	}
	if p.prev == nil {
		l.head = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.tail = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
	l.n--
}

// aidPool gives out association ids, the last one given back first.
type aidPool struct {
	last  uint16 // highest given out so far
	free  []uint16
	inUse int
}

func (a *aidPool) get() uint16 {
	a.inUse++
	if n := len(a.free); n > 0 {
		id := a.free[n-1]
		a.free = a.free[:n-1]
		return id
	}
	a.last++
	return a.last
}

func (a *aidPool) put(id uint16) {
	if id != 0 {
		a.inUse--
		a.free = append(a.free, id)
	}
}

// sorted returns all peers in an order that does not depend on the run: by AID, then by address.
func (ap *AccessPoint) sorted() []*peer {
	list := make([]*peer, 0, len(ap.peers))
	for _, p := range ap.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *peer) int {
		return cmp.Or(cmp.Compare(a.aid, b.aid), bytes.Compare(a.mac[:], b.mac[:]))
	})
	return list
}

// setTimer sets the one timer of a peer.
func (ap *AccessPoint) setTimer(p *peer, at time.Time) {
	p.timer = at
	ap.timers.set(p)
	ap.wake()
}

// remove forgets a peer without an event.
func (ap *AccessPoint) remove(p *peer) {
	delete(ap.peers, p.mac)
	ap.waiting.remove(p)
	ap.timers.remove(p)
	ap.aids.put(p.aid)
	p.aid = 0
	if ap.hand.peer == p {
		ap.hand.peer = nil
	}
}

// forget removes a peer and reports it if it had joined.
func (ap *AccessPoint) forget(now time.Time, p *peer, code ReasonCode) {
	ap.remove(p)
	if p.phase == phaseJoined {
		ap.counts.Left++
		ap.emit(now, APEvent{Kind: StationLeft, MAC: p.mac, Code: code})
	}
}

// dismiss tells a peer that it is out, and forgets it.
func (ap *AccessPoint) dismiss(now time.Time, p *peer, code ReasonCode) {
	ap.reject(now, p.mac, code)
	ap.forget(now, p, code)
}

// reject tells an address that it is not one of ours.
func (ap *AccessPoint) reject(now time.Time, mac wire.MAC, code ReasonCode) {
	if !mac.IsZero() && !mac.IsMulticast() {
		ap.manage(now, mac, Management{Subtype: Deauthentication, Reason: code})
	}
}

// peerHeap is a binary heap of the peers with a timer, the earliest first; at equal times in order of addresses.
type peerHeap []*peer

func (h peerHeap) next() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].timer
}

func (h peerHeap) less(i, j int) bool {
	a, b := h[i], h[j]
	if a.timer.Equal(b.timer) {
		return bytes.Compare(a.mac[:], b.mac[:]) < 0
	}
	return a.timer.Before(b.timer)
}

func (h peerHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}

// set puts p where its timer belongs.
func (h *peerHeap) set(p *peer) {
	if p.slot < 0 {
		p.slot = len(*h)
		*h = append(*h, p)
	}
	h.fix(p.slot)
}

func (h *peerHeap) remove(p *peer) {
	i := p.slot
	if i < 0 {
		return
	}
	n := len(*h) - 1
	h.swap(i, n)
	(*h)[n] = nil
	*h = (*h)[:n]
	p.slot = -1
	if i < n {
		h.fix(i)
	}
}

// fix moves the element i up or down.
func (h peerHeap) fix(i int) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h.swap(c, i)
		i = c
	}
}

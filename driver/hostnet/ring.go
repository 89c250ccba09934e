package hostnet

// ring is the receive buffer of a stream: memory is taken for the first byte
// and given back with the last.
type ring struct {
	buf     []byte
	head, n int
}

// push appends p, which must fit into what is left of size bytes.
func (r *ring) push(p []byte, take func() []byte) {
	if len(p) == 0 {
		return
	}
	if r.buf == nil {
		r.buf, r.head = take(), 0
	}
	at := r.head + r.n
	if at >= len(r.buf) {
		at -= len(r.buf)
	}
	k := copy(r.buf[at:], p)
	copy(r.buf, p[k:])
	r.n += len(p)
}

// pull moves bytes to p.
func (r *ring) pull(p []byte, give func([]byte)) int {
	p = p[:min(len(p), r.n)]
	k := copy(p, r.buf[r.head:])
	copy(p[k:], r.buf)
	r.head += len(p)
	if r.head >= len(r.buf) {
		r.head -= len(r.buf)
	}
	if r.n -= len(p); r.n == 0 {
		r.drop(give)
	}
	return len(p)
}

// drop forgets what is in the ring.
func (r *ring) drop(give func([]byte)) {
	if r.buf != nil {
		give(r.buf)
	}
	*r = ring{}
}

// maxRings is how many buffers are kept for reuse.
const maxRings = 4

func (n *Net) takeRing() []byte {
	if k := len(n.rings); k > 0 {
		b := n.rings[k-1]
		n.rings = n.rings[:k-1]
		return b
	}
	return make([]byte, n.cfg.ReadBuffer)
}

func (n *Net) giveRing(b []byte) {
	if len(n.rings) < maxRings {
		n.rings = append(n.rings, b)
	}
}

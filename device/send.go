package device

import (
	"errors"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
)

// sendQueue holds the SENDs of a TCP socket that were not answered: the answer means that the peer has acknowledged the
// data. Spec hif-messages 3.7.
type sendQueue struct {
	ring   []sendRecord
	head   int
	n      int
	done   int  // of the n, from the first on: the answer is known
	left   int  // acknowledged bytes of the first that is not done
	queued bool // in the outbox
	held   []heldSend
}

// sendRecord is one SEND.
type sendRecord struct {
	size    uint16
	session uint16 // echoed [HM-10]
	status  hif.Status
	tls     bool // SSL_SEND
}

// heldSend is the rest of a SEND's data that the connection had no room for, still in its HIF buffer.
type heldSend struct {
	buffer int
	data   []byte
}

// maxSends is the number of SENDs whose data may be in a connection unanswered. More wait in their HIF buffers, of which
// there are few; when those are taken, the host gets address 0.
const maxSends = 64

func (q *sendQueue) push(r sendRecord) {
	if q.n == len(q.ring) {
		ring := make([]sendRecord, max(8, 2*q.n))
		for i := range q.n {
			ring[i] = *q.at(i)
		}
		q.ring, q.head = ring, 0
	}
	q.n++
	*q.at(q.n - 1) = r
}

func (q *sendQueue) at(i int) *sendRecord { return &q.ring[(q.head+i)%len(q.ring)] }

// pop takes the first record, which is done.
func (q *sendQueue) pop() sendRecord {
	r := *q.at(0)
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	q.done--
	return r
}

// ack notes n more acknowledged bytes.
func (q *sendQueue) ack(n int) {
	q.left += n
	for q.done < q.n {
		r := q.at(q.done)
		if q.left < int(r.size) {
			return
		}
		q.left -= int(r.size)
		r.status = hif.Status(r.size)
		q.done++
	}
}

// send is SEND and SENDTO.
func (f *firmware) send(now time.Time, r request) {
	m, err := hif.ParseSend(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		return
	}
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	s.heard(m.Session)
	offset := hif.TCPDataOffset
	switch {
	case !s.isTCP():
		offset = hif.UDPDataOffset
	case r.Op == hif.OpSSLSend:
		offset = tlsAppDataOffset - hif.HeaderLen
	}
	data, err := m.Data(r.payload, offset)
	switch {
	case err != nil:
		f.malformed(now, r, err.Error())
		f.sendFailed(r.Op, m, hif.StatusInvalidArg)
	case len(data) > f.limits.bytes:
		f.sendFailed(r.Op, m, hif.StatusInvalidArg)
	case !s.isTCP() && r.Op != hif.OpSSLSend:
		s.sendUDP(now, r.Op, m, data)
	case r.Op == hif.OpSendTo, (r.Op == hif.OpSSLSend) != s.encrypted() && s.state != sockDead, s.sec != nil && s.sec.asking:
		f.sendFailed(r.Op, m, hif.StatusInvalid)
	default:
		s.sendTCP(now, r, m, data)
	}
}

// sendFailed answers a SEND or SENDTO that did nothing.
func (f *firmware) sendFailed(op hif.Op, m hif.Send, status hif.Status) {
	if s := f.socket(m.Sock); s != nil && !(s.opts.quiet && !s.isTCP()) {
		enqueue(f.d, op, hif.SendReply{Sock: m.Sock, Status: status, Session: m.Session}, s.id, s.gen, maxReplies)
	}
}

func (s *socket) sendTCP(now time.Time, r request, m hif.Send, data []byte) {
	switch s.state {
	case sockConnected:
	case sockDead:
		s.f.sendFailed(r.Op, m, s.verdict)
		return
	default:
		s.f.sendFailed(r.Op, m, hif.StatusInvalid)
		return
	}
	s.tx.push(sendRecord{size: uint16(len(data)), session: m.Session, tls: r.Op == hif.OpSSLSend})
	hold := len(s.tx.held) > 0 || s.tx.n > maxSends
	if !hold {
		data = s.write(now, data)
		hold = len(data) > 0
	}
	switch {
	case s.state != sockConnected: // the write found the connection broken
	case hold:
		s.f.d.in.hold(r.buffer)
		s.tx.held = append(s.tx.held, heldSend{r.buffer, data})
	default:
		s.answerSends()
	}
}

// answerSends answers what needs no more acknowledgement: a SEND without data is done when those before it are.
func (s *socket) answerSends() {
	if len(s.tx.held) == 0 {
		s.tx.ack(0)
	}
	s.queueSend()
}

// write gives data to the connection and returns what it did not take.
func (s *socket) write(now time.Time, data []byte) []byte {
	for len(data) > 0 {
		n, err := s.writeSome(now, data)
		data = data[n:]
		if err != nil {
			if !errors.Is(err, sock.ErrWouldBlock) {
				s.fail(now, err)
			}
			break
		}
	}
	return data
}

// writeSome gives data to the connection, or to the TLS session on it.
func (s *socket) writeSome(now time.Time, p []byte) (int, error) {
	if k := s.tls(); k != nil {
		return k.Write(now, p)
	}
	return s.tcp.Write(now, p)
}

// readSome takes data from there.
func (s *socket) readSome(now time.Time, p []byte) (int, error) {
	if k := s.tls(); k != nil {
		return k.Read(now, p)
	}
	return s.tcp.Read(now, p)
}

// flush gives the connection what waits in HIF buffers, in order.
func (s *socket) flush(now time.Time) {
	for s.state == sockConnected && len(s.tx.held) > 0 && s.tx.n-len(s.tx.held) < maxSends {
		h := &s.tx.held[0]
		if h.data = s.write(now, h.data); s.state != sockConnected || len(h.data) > 0 {
			return
		}
		s.f.d.in.release(h.buffer)
		s.tx.held = append(s.tx.held[:0], s.tx.held[1:]...)
		s.answerSends()
	}
}

// acked asks the connection how much the peer has acknowledged since it was last asked.
func (s *socket) acked(now time.Time) {
	if s.state != sockConnected {
		return
	}
	n := s.tcp.Acked()
	if s.sec != nil {
		n = s.sec.tlsAcked(n)
	}
	s.tx.ack(n)
	s.queueSend()
	s.flush(now)
}

// failSends gives status to all that were not answered.
func (s *socket) failSends(status hif.Status) {
	for ; s.tx.done < s.tx.n; s.tx.done++ {
		s.tx.at(s.tx.done).status = status
	}
	s.tx.left = 0
	s.dropHeld()
	s.queueSend()
}

// dropHeld gives HIF buffers back without sending what is in them.
func (s *socket) dropHeld() {
	for _, h := range s.tx.held {
		s.f.d.in.release(h.buffer)
	}
	s.tx.held = s.tx.held[:0]
}

// queueSend puts the socket into the outbox, to give its answers in turn.
func (s *socket) queueSend() {
	if s.tx.done == 0 || s.tx.queued {
		return
	}
	if e := s.f.d.out.push(maxQueue); e != nil {
		e.kind, e.sock, e.gen, e.tok = entrySend, s.id, s.gen, s.tok
		s.tx.queued = true
	}
}

// buildSend writes the next answer into b.
func (s *socket) buildSend(now time.Time, b []byte) (hif.Op, int) {
	s.tx.queued = false
	if s.tx.done == 0 {
		return 0, -1
	}
	r := s.tx.pop()
	s.queueSend()
	s.flush(now)
	m := hif.SendReply{Sock: s.id, Status: r.status, Session: r.session}
	op := hif.OpSend
	if r.tls {
		op = hif.OpSSLSend
	}
	return op, len(m.Append(b[:0]))
}

// lingering is a connection that the host has closed while data waited in HIF buffers or in a TLS session, or that TLS has
// given up with an alert: they are delivered, then it is closed. There are never more than maxLingering, and none stays
// for longer than lingerTime.
type lingering struct {
	f      *firmware
	tcp    stack.TCP
	tls    *tls.Session // nil: none
	closed bool         // it was told to close
	held   []heldSend
	until  time.Time
}

// maxLingering bounds those that need no HIF buffer. The oldest makes room.
const maxLingering = 64

// lingerTime is how long a peer that takes nothing keeps HIF buffers.
const lingerTime = 10 * time.Second

// linger takes the connection and its waiting data from s.
func (f *firmware) linger(now time.Time, s *socket) {
	l := &lingering{f: f, tcp: s.tcp, tls: s.tls(), held: s.tx.held}
	s.tx.held, s.tcp = nil, stack.TCP{}
	if l.tls != nil {
		s.sec.session = nil
	}
	f.lingerOver(now, l)
}

// lingerOver has l delivered.
func (f *firmware) lingerOver(now time.Time, l *lingering) {
	if len(f.lingering) >= maxLingering {
		f.lingering[0].end(now, true)
	}
	l.until = now.Add(lingerTime)
	l.tcp.SetTag(l)
	f.lingering = append(f.lingering, l)
	l.flush(now)
}

// flush goes on, and ends it when all is written or nothing can be any more.
func (l *lingering) flush(now time.Time) {
	if l.tls != nil {
		l.tls.Flush(now)
	}
	for len(l.held) > 0 {
		h := &l.held[0]
		n, err := l.write(now, h.data)
		h.data = h.data[n:]
		if err != nil && !errors.Is(err, sock.ErrWouldBlock) {
			l.end(now, true)
			return
		}
		if len(h.data) > 0 {
			return
		}
		l.f.d.in.release(h.buffer)
		l.held = l.held[1:]
	}
	if l.tls != nil && !l.closed {
		l.closed = true
		l.tls.Close(now)
	}
	if l.tls == nil || l.tls.Pending() == 0 {
		l.end(now, false)
	}
}

func (l *lingering) write(now time.Time, p []byte) (int, error) {
	if l.tls != nil {
		return l.tls.Write(now, p)
	}
	return l.tcp.Write(now, p)
}

func (l *lingering) end(now time.Time, abort bool) {
	l.tcp.SetTag(nil)
	if l.tls != nil {
		l.tls.Stop()
	}
	if abort {
		l.tcp.Abort(now)
	} else {
		l.tcp.Close(now)
	}
	for _, h := range l.held {
		l.f.d.in.release(h.buffer)
	}
	l.held = nil
	for i, o := range l.f.lingering {
		if o == l {
			l.f.lingering = append(l.f.lingering[:i], l.f.lingering[i+1:]...)
			return
		}
	}
}

func (f *firmware) expireLingering(now time.Time) {
	for i := len(f.lingering) - 1; i >= 0; i-- {
		if l := f.lingering[i]; due(l.until, now) {
			l.end(now, true)
		}
	}
}

func (f *firmware) nextLingering() time.Time {
	var t time.Time
	for _, l := range f.lingering {
		t = earlier(t, l.until)
	}
	return t
}

// destination is where a datagram goes: where SENDTO says, or where the last SENDTO went (3.7).
func (s *socket) destination(op hif.Op, m hif.Send) netip.AddrPort {
	if op == hif.OpSendTo && m.Addr.IsValid() && !m.Addr.Addr().IsUnspecified() {
		s.remote = m.Addr
	}
	return s.remote
}

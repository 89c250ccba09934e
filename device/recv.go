package device

import (
	"errors"
	"io"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/sock"
	"github.com/understudy-net/understudy/stack"
)

// recvState is the one RECV that a socket may have outstanding: one request, one answer. Spec hif-messages 3.8.
type recvState struct {
	pending  bool
	queued   bool // in the outbox, to look for data when its turn comes
	timedOut bool
	op       hif.Op
	session  uint16 // of the request, echoed [HM-10]
	limit    int    // bytes that the host can take
	deadline time.Time
}

// maxDatagram is the most data of a datagram that hosts have room for (1.6).
const maxDatagram = 1472

// recv is RECV and RECVFROM.
func (f *firmware) recv(now time.Time, r request) {
	m, err := hif.ParseRecv(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		return
	}
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	s.heard(m.Session)
	if status := s.canRecv(r.Op, m); status != hif.StatusOK {
		f.recvFailed(r.Op, m, status)
		return
	}
	if s.rx.pending {
		f.d.counters.RecvReplaced++ // hosts have one "pending" flag a socket: one answer is what they can take
	}
	s.rx = recvState{pending: true, queued: s.rx.queued, op: r.Op, session: m.Session, limit: f.recvLimit(s, m)}
	if m.Timeout != hif.NoTimeout {
		s.rx.deadline = now.Add(time.Duration(m.Timeout) * time.Millisecond)
		f.expectBy(s.rx.deadline)
	}
	s.queueRecv()
}

// canRecv says at once what cannot work.
func (s *socket) canRecv(op hif.Op, m hif.Recv) hif.Status {
	switch {
	case m.HasBuffer && m.Buffer == 0:
		return hif.StatusInvalidArg
	case s.state == sockDead && (s.lost || s.tcp == (stack.TCP{})):
		return s.verdict
	case s.isTCP() && (op == hif.OpRecvFrom || s.state != sockConnected && s.state != sockDead),
		op == hif.OpSSLRecv && !s.encrypted(),
		!s.isTCP() && s.state != sockBound:
		return hif.StatusInvalid
	}
	return hif.StatusOK
}

// recvLimit is how much the answer may carry [HM-12].
func (f *firmware) recvLimit(s *socket, m hif.Recv) int {
	limit := f.limits.bytes
	if !s.isTCP() {
		limit = max(limit, maxDatagram)
	}
	if m.HasBuffer {
		limit = min(limit, int(m.Buffer))
	}
	return limit
}

// recvFailed answers a RECV that never became pending.
func (f *firmware) recvFailed(op hif.Op, m hif.Recv, status hif.Status) {
	s := f.socket(m.Sock)
	if s == nil {
		return
	}
	enqueue(f.d, op, hif.RecvReply{Sock: m.Sock, Status: status, Session: m.Session}, s.id, s.gen, maxReplies)
}

// queueRecv puts the socket into the outbox, to look for data when its turn comes.
func (s *socket) queueRecv() {
	if !s.rx.pending || s.rx.queued {
		return
	}
	if e := s.f.d.out.push(maxQueue); e != nil {
		e.kind, e.sock, e.gen, e.tok = entryRecv, s.id, s.gen, s.tok
		s.rx.queued = true
	}
}

// buildRecv writes the answer into b if there is one to give, and returns its opcode and length; -1: still nothing, the
// request waits on.
func (s *socket) buildRecv(now time.Time, b []byte) (hif.Op, int) {
	s.rx.queued = false
	if !s.rx.pending {
		return 0, -1
	}
	m := hif.RecvReply{Sock: s.id, Session: s.rx.session, Remote: s.remote}
	data := b[hif.RecvReplyLen:][:s.rx.limit]
	var n int
	var err error
	switch {
	case s.state == sockDead && (s.lost || s.tcp == (stack.TCP{})):
		m.Status = s.verdict
	case s.isTCP():
		if n, err = 0, sock.ErrWouldBlock; s.sec == nil || !s.sec.asking {
			n, err = s.readSome(now, data)
		}
		m.Status = s.recvStatus(n, err)
	default:
		n, m.Remote, err = s.readDatagram(now, data)
		m.Status = s.recvStatus(n, err)
	}
	if m.Status == statusWait {
		return 0, -1
	}
	if m.Status <= 0 {
		n = 0
	}
	s.rx.pending = false
	m.Append(b[:0])
	return s.rx.op, hif.RecvReplyLen + n
}

// statusWait is no status of the protocol: nothing to say yet.
const statusWait hif.Status = -32768

// recvStatus says the result of a read in the protocol's numbers. 0 is the end of the stream, and never said of UDP.
func (s *socket) recvStatus(n int, err error) hif.Status {
	switch {
	case n > 0:
		return hif.Status(n)
	case errors.Is(err, sock.ErrWouldBlock):
		if s.rx.timedOut {
			return hif.StatusTimeout
		}
		return statusWait
	case err == io.EOF && s.isTCP():
		return hif.StatusOK
	case s.state == sockDead:
		return s.verdict
	case s.isTCP():
		return hif.StatusAborted
	}
	return hif.StatusInvalid
}

package dns

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/understudy-net/understudy/sock"
)

// Stream is what the resolver needs of a TCP connection; every sock.Stream has it. Read and Write return
// sock.ErrWouldBlock instead of waiting, and Read io.EOF at the end.
type Stream interface {
	Read(now time.Time, p []byte) (int, error)
	Write(now time.Time, p []byte) (int, error)
	Close(now time.Time) error
}

// exchange is one question over TCP (RFC 1035, 4.2.2): length and message, one each way.
type exchange struct {
	s    Stream
	out  []byte // not written yet
	in   []byte // grows with what arrives, not with what is announced
	want int    // length of the reply; 0: not known yet
}

// tcpPatience is how long one server may take over TCP.
const tcpPatience = 5 * time.Second

// openTCP asks the question of q again over TCP, at the same server, with a new identifier.
func (r *Resolver) openTCP(now time.Time, q *query) {
	q.err = ErrTruncated
	if r.c.OpenTCP == nil {
		r.fail(now, q, ErrTruncated)
		return
	}
	s, err := r.c.OpenTCP(now, q.server)
	if err != nil {
		r.counters.TCPFailed++
		r.nextServer(now, q, ErrTruncated)
		return
	}
	r.counters.Queries++
	q.id, q.send = uint16(r.rand.Uint32()), false
	m := appendQuery(nil, q.id, q.asked)
	// Length and message in one write (RFC 7766, 8).
	out := append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
	q.tcp = &exchange{s: s, out: out}
	q.timer = now.Add(tcpPatience)
	r.pump(now, q)
}

func (r *Resolver) closeTCP(now time.Time, q *query) {
	if q.tcp != nil {
		q.tcp.s.Close(now) // the answer is here, or no longer wanted
		q.tcp = nil
	}
}

// Ready says that a stream from OpenTCP was connected, or can be read or written again, or has failed.
func (r *Resolver) Ready(now time.Time) {
	for i := 0; i < len(r.queries); i++ {
		q := r.queries[i]
		if q.tcp == nil {
			continue
		}
		r.pump(now, q)
		if i >= len(r.queries) || r.queries[i] != q {
			i-- // it is done and gone
		}
	}
}

// pump moves the exchange of q on as far as it goes.
func (r *Resolver) pump(now time.Time, q *query) {
	reply, err := q.tcp.step(now)
	switch {
	case err != nil:
		r.counters.TCPFailed++
		r.nextServer(now, q, ErrTruncated)
	case reply != nil:
		if ok, _ := matches(reply, q.id, &q.asked); !ok {
			r.counters.Mismatched++
			r.nextServer(now, q, ErrBadAnswer)
			return
		}
		a := read(reply, &q.asked)
		if a.truncated { // over TCP that has no sense
			a = answer{err: ErrBadAnswer}
		}
		r.judge(now, q, a)
	}
}

var errFraming = errors.New("dns: bad length over TCP")

// step writes and reads what is possible now. It returns the reply when it is whole.
func (x *exchange) step(now time.Time) ([]byte, error) {
	for len(x.out) > 0 {
		n, err := x.s.Write(now, x.out)
		x.out = x.out[n:]
		if errors.Is(err, sock.ErrWouldBlock) || err == nil && n == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	var buf [512]byte
	for {
		n, err := x.s.Read(now, buf[:])
		x.in = append(x.in, buf[:n]...)
		if x.want == 0 && len(x.in) >= 2 {
			x.want = 2 + int(binary.BigEndian.Uint16(x.in))
			if x.want < 2+headerLen {
				return nil, errFraming
			}
		}
		if x.want != 0 && len(x.in) >= x.want {
			return x.in[2:x.want], nil // whatever follows was not asked for
		}
		if errors.Is(err, sock.ErrWouldBlock) || err == nil && n == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

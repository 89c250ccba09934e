package stack

import "time"

// batch is what is remembered while frames come that arrived together.
type batch struct {
	on   bool
	late []uint32 // slots of connections whose ACK was put off
}

// InputBatch takes the frames that next returns until it returns nil, as if each had gone to Input,
// but for one thing: data that come in order are acknowledged behind the last frame, with one ACK
// for each connection (and for every 16 segments), where Input acknowledges every second segment.
// It is for links that have several frames at hand, and saves a good part of the packets of a bulk
// transfer. A frame need be valid only until next is called again.
func (s *Stack) InputBatch(now time.Time, next func() []byte) {
	if s.batch == nil {
		s.batch = new(batch)
	}
	b := s.batch
	b.on = true
	for f := next(); f != nil; f = next() {
		s.input(now, f)
	}
	b.on = false
	for _, id := range b.late {
		// The slot may be another connection's by now, which has nothing put off.
		if k := s.tcpSlots[id]; k != nil && k.late {
			k.late = false
			k.conn.AckPutOff()
			s.afterTCP(now, s.at(now), k, 0)
		}
	}
	b.late = b.late[:0]
	s.touch()
}

// putOffAck is called for a connection that a segment in order came for.
func (s *Stack) putOffAck(k *tcpSock) {
	if s.batch == nil || !s.batch.on || !k.conn.PutOffAck() || k.late {
		return
	}
	k.late = true
	s.batch.late = append(s.batch.late, k.id)
}

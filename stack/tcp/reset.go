package tcp

import (
	"github.com/understudy-net/understudy/wire"
)

// Reset returns the RST that answers seg, which has dataLen bytes of data and belongs to no
// connection (RFC 9293, 3.10.7.1). It is not ok if seg is a RST itself, which is never answered.
func Reset(seg *wire.TCP, dataLen int) (rst wire.TCP, ok bool) {
	if seg.Flags.Has(wire.RST) {
		return wire.TCP{}, false
	}
	rst = wire.TCP{SrcPort: seg.DstPort, DstPort: seg.SrcPort, Flags: wire.RST}
	if seg.Flags.Has(wire.ACK) {
		rst.Seq = seg.Ack
	} else {
		rst.Flags |= wire.ACK
		rst.Ack = seg.Seq + seg.Len(dataLen)
	}
	return rst, true
}

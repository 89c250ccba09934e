package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Kinds of TCP options (RFC 9293, 3.2; RFC 7323; RFC 2018).
const (
	tcpOptEnd           = 0
	tcpOptNop           = 1
	tcpOptMSS           = 2
	tcpOptWScale        = 3
	tcpOptSACKPermitted = 4
	tcpOptSACK          = 5
	tcpOptTimestamps    = 8
)

// MaxWScale is the greatest shift count of a window (RFC 7323, 2.3).
const MaxWScale = 14

// SACKBlock is a run of received data: Left is its first sequence number, Right the one after its
// last (RFC 2018, 3).
type SACKBlock struct{ Left, Right uint32 }

// TCPOptions are the options of a segment. The zero value is "no options".
//
// MSS, window scale and SACK-permitted are read from a SYN only and SACK blocks from other
// segments only; elsewhere they mean nothing and are skipped (RFC 9293, 3.7.1; RFC 7323, 2.2; RFC 2018, 2). An option that
// comes twice counts once, the first time. One whose length is not its kind's, and a SACK block that
// ends before it begins, is skipped as well.
type TCPOptions struct {
	MSS           uint16 // maximum segment size in bytes; 0: not there
	WScale        uint8  // shift count of the window, 0 to MaxWScale; greater ones are read as MaxWScale
	HasWScale     bool
	SACKPermitted bool
	TS            bool // timestamps are there
	TSVal, TSEcr  uint32
	SACK          [4]SACKBlock
	NSACK         int // blocks in SACK, 0 to 4; 3 fit beside timestamps
}

// Blocks returns the SACK blocks that are there, as a slice of o's own array.
func (o *TCPOptions) Blocks() []SACKBlock { return o.SACK[:min(max(o.NSACK, 0), len(o.SACK))] }

// parse reads the option area b into o, which is zero. It reports whether all lengths were possible.
func (o *TCPOptions) parse(b []byte, syn bool) bool {
	// Nearly all segments that carry options at all have just this (RFC 7323, appendix A).
	if len(b) == 12 && binary.BigEndian.Uint32(b) == tcpOptNop<<24|tcpOptNop<<16|tcpOptTimestamps<<8|10 {
		o.setTimestamps(b[4:12])
		return true
	}
	for len(b) > 0 {
		kind, data, rest, ok := nextOption(b)
		if !ok {
			return false
		}
		switch kind {
		case tcpOptEnd:
			return true
		case tcpOptTimestamps:
			if len(data) == 8 && !o.TS {
				o.setTimestamps(data)
			}
		case tcpOptSACK:
			if !syn {
				o.setSACK(data)
			}
		default:
			if syn {
				o.setSynOption(kind, data)
			}
		}
		b = rest
	}
	return true
}

func (o *TCPOptions) setTimestamps(data []byte) {
	o.TS = true
	o.TSVal, o.TSEcr = binary.BigEndian.Uint32(data[0:4]), binary.BigEndian.Uint32(data[4:8])
}

func (o *TCPOptions) setSACK(data []byte) {
	if len(data)%8 != 0 || o.NSACK > 0 {
		return
	}
	for len(data) >= 8 && o.NSACK < len(o.SACK) {
		s := SACKBlock{binary.BigEndian.Uint32(data[0:4]), binary.BigEndian.Uint32(data[4:8])}
		if SeqLT(s.Left, s.Right) {
			o.SACK[o.NSACK] = s
			o.NSACK++
		}
		data = data[8:]
	}
}

func (o *TCPOptions) setSynOption(kind byte, data []byte) {
	switch {
	case kind == tcpOptMSS && len(data) == 2 && o.MSS == 0:
		o.MSS = binary.BigEndian.Uint16(data)
	case kind == tcpOptWScale && len(data) == 1 && !o.HasWScale:
		o.WScale, o.HasWScale = min(data[0], MaxWScale), true
	case kind == tcpOptSACKPermitted && len(data) == 0:
		o.SACKPermitted = true
	}
}

// Append appends the options to b, a whole number of words: timestamps and SACK blocks are
// aligned by no-operations in front as RFC 7323, appendix A and RFC 2018, 3 show. SACK blocks
// that do not fit in 40 bytes with the rest are left out.
func (o *TCPOptions) Append(b []byte) []byte {
	start := len(b)
	if o.MSS != 0 {
		b = append(b, tcpOptMSS, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	switch {
	case o.TS && o.SACKPermitted: // the two share the padding
		b = append(b, tcpOptSACKPermitted, 2, tcpOptTimestamps, 10)
	case o.TS:
		b = append(b, tcpOptNop, tcpOptNop, tcpOptTimestamps, 10)
	case o.SACKPermitted:
		b = append(b, tcpOptNop, tcpOptNop, tcpOptSACKPermitted, 2)
	}
	if o.TS {
		b = binary.BigEndian.AppendUint32(b, o.TSVal)
		b = binary.BigEndian.AppendUint32(b, o.TSEcr)
	}
	if o.HasWScale {
		b = append(b, tcpOptNop, tcpOptWScale, 3, min(o.WScale, MaxWScale))
	}
	room := (TCPMaxOptions - (len(b) - start) - 4) / 8
	if blocks := o.Blocks(); len(blocks) > 0 && room > 0 {
		blocks = blocks[:min(room, len(blocks))]
		b = append(b, tcpOptNop, tcpOptNop, tcpOptSACK, byte(2+8*len(blocks)))
		for _, s := range blocks {
			b = binary.BigEndian.AppendUint32(b, s.Left)
			b = binary.BigEndian.AppendUint32(b, s.Right)
		}
	}
	return b
}

// Size returns the number of bytes that Append appends.
func (o *TCPOptions) Size() int {
	n := 0
	if o.MSS != 0 {
		n += 4
	}
	if o.TS {
		n += 12
	} else if o.SACKPermitted {
		n += 4
	}
	if o.HasWScale {
		n += 4
	}
	if blocks := min(len(o.Blocks()), (TCPMaxOptions-n-4)/8); blocks > 0 {
		n += 4 + 8*blocks
	}
	return n
}

// String prints the options in packetdrill's notation, without padding:
//
//	mss 1460,sackOK,TS val 1 ecr 0,wscale 7,sack 100:200
func (o TCPOptions) String() string {
	var s []string
	if o.MSS != 0 {
		s = append(s, fmt.Sprintf("mss %d", o.MSS))
	}
	if o.SACKPermitted {
		s = append(s, "sackOK")
	}
	if o.TS {
		s = append(s, fmt.Sprintf("TS val %d ecr %d", o.TSVal, o.TSEcr))
	}
	if o.HasWScale {
		s = append(s, fmt.Sprintf("wscale %d", o.WScale))
	}
	if o.NSACK > 0 {
		t := "sack"
		for _, b := range o.Blocks() {
			t += fmt.Sprintf(" %d:%d", b.Left, b.Right)
		}
		s = append(s, t)
	}
	return strings.Join(s, ",")
}

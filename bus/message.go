package bus

import (
	"fmt"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/spi"
)

// message collects what a tap sees of a message in the chip's memory: hosts write and read it in pieces, in any order
// and not always all of it.
type message struct {
	addr uint32 // 0: there is none
	told bool
	buf  [spi.MaxDecoded]byte
	seen [spi.MaxDecoded]bool
	top  int // behind the last byte that was seen
}

// begin forgets the message; the next is at addr, 0 for none.
func (m *message) begin(addr uint32) {
	m.addr, m.told, m.top = addr, false, 0
	clear(m.seen[:])
	clear(m.buf[:])
}

// add takes the bytes of a block. It names the message if the block is its beginning.
func (m *message) add(a spi.Access) (name string) {
	if m.addr == 0 || a.Addr < m.addr || a.Addr-m.addr >= uint32(len(m.buf)) {
		return ""
	}
	at := int(a.Addr - m.addr)
	n := copy(m.buf[at:], a.Data)
	for i := range n {
		m.seen[at+i] = true
	}
	m.top = max(m.top, at+n)
	if h, err := m.header(); err == nil && at == 0 {
		return fmt.Sprintf("%v %d", h.Op, h.Len)
	}
	return ""
}

func (m *message) header() (hif.Header, error) {
	if !m.seen[0] {
		return hif.Header{}, hif.ErrShort
	}
	return hif.ParseHeader(m.buf[:m.top])
}

// complete says whether all of it was seen.
func (m *message) complete() bool {
	h, err := m.header()
	if err != nil || m.addr == 0 || h.Len > len(m.buf) {
		return false
	}
	for _, seen := range m.seen[hif.HeaderLen:h.Len] { // hosts do not look at bytes 4 to 7
		if !seen {
			return false
		}
	}
	return true
}

// take returns the message as far as it was seen, the first time that it is asked. Gaps read as zeros.
func (m *message) take() (h hif.Header, payload []byte, ok bool) {
	h, err := m.header()
	if err != nil || m.addr == 0 || m.told || h.Len < hif.HeaderLen {
		return h, nil, false
	}
	m.told = true
	return h, m.buf[hif.HeaderLen:max(hif.HeaderLen, min(h.Len, m.top))], true
}

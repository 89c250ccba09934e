package driver

import (
	"bytes"
	"fmt"
)

// IEs is a store of information elements for the beacons of a Soft-AP, see
// Client.SetIEs: at most 255 bytes, of which each element takes two more than
// its data. The zero value is empty; a copy is a store of its own. It stands for
// the custom IE store and WDRV_WINC_CustIEStoreCtxSetStorage.
type IEs struct {
	n int
	b [maxIEs]byte // {id, length, data}...
}

// Sizes of elements, in bytes: what a store holds, and what SetIEs can send.
const (
	maxIEs     = 255
	maxSentIEs = 250
)

// Add appends an element; an id may be there several times. ErrNoSpace if it
// does not fit. It stands for WDRV_WINC_CustIEStoreCtxAddIE.
func (e *IEs) Add(id uint8, data []byte) error {
	if room := maxIEs - e.n; len(data)+2 > room {
		return fmt.Errorf("%w: an element with %d bytes of data, room for %d", ErrNoSpace, len(data), max(room-2, 0))
	}
	e.b[e.n], e.b[e.n+1] = id, byte(len(data))
	copy(e.b[e.n+2:], data)
	e.n += 2 + len(data)
	return nil
}

// Remove takes the first element with that id out, if there is one. It stands
// for WDRV_WINC_CustIEStoreCtxRemoveIE.
func (e *IEs) Remove(id uint8) {
	for i := 0; i < e.n; {
		size := 2 + int(e.b[i+1])
		if e.b[i] == id {
			copy(e.b[i:], e.b[i+size:e.n])
			clear(e.b[e.n-size : e.n])
			e.n -= size
			return
		}
		i += size
	}
}

// Bytes returns a copy of the elements as they are in a beacon: id, length and
// data of each.
func (e *IEs) Bytes() []byte { return bytes.Clone(e.b[:e.n]) }

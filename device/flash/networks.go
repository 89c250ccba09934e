package flash

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// Network is one network that a default connect can use (spec hif-messages 2.4).
type Network struct {
	SSID       string  // at most 32 bytes
	BSSID      [6]byte // zero: any
	Channel    uint8   // 0: any
	Security   uint8   // as in the host interface: 1 open, 2 WPA PSK, 3 WEP, 4 802.1X
	Passphrase string  // at most 64 bytes; stored as it is
}

// MaxNetworks is the most networks of a list.
const MaxNetworks = 32

// The sector of connection parameters holds lists of networks, each behind the one before it; the last good one counts. So
// a change costs a program and not an erase, and one that is cut off leaves the list before it. Only when the sector is
// full is it erased: a cut of power in that moment forgets the networks. The format is our own, little-endian, each list at
// a multiple of 4:
//
//	0 2  mark 0x4e57
//	2 2  length n of the list
//	4 4  CRC-32 (IEEE) of the length and the list
//	8 n  u8 number of networks; of each: u8 length, SSID; 6 bytes BSSID; u8 channel; u8 security; u8 length, passphrase
const (
	listMark = 0x4e57
	listHead = 8
)

// ErrList is the error of a list that cannot be read.
var ErrList = errors.New("flash: not a list of networks")

// ParseNetworks reads a list without its head. Lengths that disagree and more than [MaxNetworks] entries are [ErrList].
func ParseNetworks(b []byte) ([]Network, error) {
	if len(b) < 1 || b[0] > MaxNetworks {
		return nil, ErrList
	}
	var list []Network
	n, b := int(b[0]), b[1:]
	for range n {
		var k Network
		ssid, rest, ok := field(b, 32)
		if !ok || len(rest) < 8 {
			return nil, ErrList
		}
		k.SSID = string(ssid)
		copy(k.BSSID[:], rest)
		k.Channel, k.Security = rest[6], rest[7]
		pass, rest, ok := field(rest[8:], 64)
		if !ok {
			return nil, ErrList
		}
		k.Passphrase = string(pass)
		list, b = append(list, k), rest
	}
	if len(b) != 0 {
		return nil, ErrList
	}
	return list, nil
}

// field cuts off a length and as many bytes.
func field(b []byte, most int) (v, rest []byte, ok bool) {
	if len(b) < 1 || int(b[0]) > most || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// AppendNetworks appends a list without its head. More networks than [MaxNetworks] are left out, and what is too long for its
// field is cut.
func AppendNetworks(b []byte, list []Network) []byte {
	list = list[:min(len(list), MaxNetworks)]
	b = append(b, byte(len(list)))
	for _, k := range list {
		ssid, pass := k.SSID[:min(len(k.SSID), 32)], k.Passphrase[:min(len(k.Passphrase), 64)]
		b = append(append(b, byte(len(ssid))), ssid...)
		b = append(append(b, k.BSSID[:]...), k.Channel, k.Security)
		b = append(append(b, byte(len(pass))), pass...)
	}
	return b
}

// Networks returns the stored networks, none if there is no good list. A chip without the region is ErrNoRegion.
func (f *Flash) Networks() ([]Network, error) {
	_, list, _, err := f.lists()
	return list, err
}

// lists reads the region: the list in force, and where the next one can go.
func (f *Flash) lists() (p Part, list []Network, free int, err error) {
	if p, err = f.Region(Connections); err != nil {
		return p, nil, 0, err
	}
	b := make([]byte, p.Size())
	if _, err = p.ReadAt(b, 0); err != nil {
		return p, nil, 0, err
	}
	for free+listHead <= len(b) && le.Uint64(b[free:]) != 0xffffffff_ffffffff {
		n := int(le.Uint16(b[free+2:]))
		if le.Uint16(b[free:]) != listMark || free+listHead+n > len(b) {
			return p, list, len(b), nil // from here on nothing can be found: the next list needs an erase
		}
		body := b[free+listHead:][:n]
		if crc(body) == le.Uint32(b[free+4:]) {
			if l, err := ParseNetworks(body); err == nil {
				list = l
			}
		}
		free += (listHead + n + 3) &^ 3
	}
	if !erased(b[min(free, len(b)):]) {
		free = len(b) // an erase was cut off
	}
	return p, list, free, nil
}

func erased(b []byte) bool {
	for _, v := range b {
		if v != 0xff {
			return false
		}
	}
	return true
}

func crc(body []byte) uint32 {
	var n [2]byte
	le.PutUint16(n[:], uint16(len(body)))
	return crc32.Update(crc32.ChecksumIEEE(n[:]), crc32.IEEETable, body)
}

// SetNetworks stores a list, at most [MaxNetworks].
func (f *Flash) SetNetworks(list []Network) error {
	if len(list) > MaxNetworks {
		return fmt.Errorf("%w: %d networks, at most %d", ErrFull, len(list), MaxNetworks)
	}
	p, _, free, err := f.lists()
	if err != nil {
		return err
	}
	body := AppendNetworks(nil, list)
	rec := le.AppendUint16(nil, listMark)
	rec = le.AppendUint16(rec, uint16(len(body)))
	rec = le.AppendUint32(rec, crc(body))
	rec = append(rec, body...)
	if free+len(rec) > p.Size() {
		if err := p.Erase(0, p.Size()/SectorSize); err != nil {
			return err
		}
		free = 0
	}
	_, err = p.WriteAt(rec, int64(free))
	return err
}

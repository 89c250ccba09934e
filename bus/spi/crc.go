package spi

// crc7Table and crc16Table hold the remainder of each byte.
var (
	crc7Table  = makeCRC7()
	crc16Table = makeCRC16()
)

// makeCRC7 computes the table of x^7+x^3+1, register kept in bits 7:1 as it is sent (2.3).
func makeCRC7() (t [256]uint8) {
	for i := range t {
		r := uint8(i)
		for range 8 {
			top := r & 0x80
			r <<= 1
			if top != 0 {
				r ^= 0x09 << 1
			}
		}
		t[i] = r
	}
	return t
}

// makeCRC16 computes the table of CRC-16/CCITT, x^16+x^12+x^5+1, most significant bit first (2.4).
func makeCRC16() (t [256]uint16) {
	for i := range t {
		r := uint16(i) << 8
		for range 8 {
			top := r & 0x8000
			r <<= 1
			if top != 0 {
				r ^= 0x1021
			}
		}
		t[i] = r
	}
	return t
}

// CRC7 returns the byte that follows a command when CRC7 is on: the checksum in bits 7:1, bit 0 zero
// (2.3).
func CRC7(b []byte) uint8 {
	r := uint8(0x7f << 1)
	for _, v := range b {
		r = crc7Table[r^v]
	}
	return r
}

const crc16Init = 0xffff

// CRC16 returns the checksum that follows a data packet when CRC16 is on, high byte first on the wire
// (2.4).
func CRC16(b []byte) uint16 { return updateCRC16(crc16Init, b) }

func updateCRC16(r uint16, b []byte) uint16 {
	for _, v := range b {
		r = r<<8 ^ crc16Table[uint8(r>>8)^v]
	}
	return r
}

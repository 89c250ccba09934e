package hif

import "strconv"

// Version is a release of firmware or driver: major<<8 | minor<<4 | patch, so versions compare as
// numbers. Spec hif-messages 0.1, host-bus 4.5.
type Version uint16

// Releases at which layouts change (hif-messages 0).
const (
	V19_3_0 Version = 0x1330 // the least driver that current firmware accepts
	V19_4_0 Version = 0x1340 // TLS data offset per socket
	V19_5_0 Version = 0x1350 // IP configuration of 20 bytes, AP configuration of 136
	V19_5_2 Version = 0x1352
	V19_5_4 Version = 0x1354 // IP configuration of 24 bytes
	V19_6_1 Version = 0x1361 // new connect, DHCP_FAILURE, host files
	V19_7_7 Version = 0x1377 // buffer length in RECV, OTA V2
)

// MakeVersion builds a version; minor and patch have 4 bits.
func MakeVersion(major, minor, patch uint8) Version {
	return Version(major)<<8 | Version(minor&0xf)<<4 | Version(patch&0xf)
}

// Major returns the first number of the version.
func (v Version) Major() uint8 { return uint8(v >> 8) }

// Minor returns the second number of the version.
func (v Version) Minor() uint8 { return uint8(v>>4) & 0xf }

// Patch returns the third number of the version.
func (v Version) Patch() uint8 { return uint8(v) & 0xf }

// String prints the version as 19.7.7.
func (v Version) String() string {
	return strconv.Itoa(int(v.Major())) + "." + strconv.Itoa(int(v.Minor())) + "." + strconv.Itoa(int(v.Patch()))
}

// VersionWord is the packed form in registers. From the device (NMI_REV_REG, 0x207AC): firmware in
// the low half, the least driver it accepts in the high half. From the host (NMI_STATE_REG at boot):
// its release in the low half [HM-02].
type VersionWord uint32

// MakeVersionWord builds the word: firmware or driver release low, the other version high.
func MakeVersionWord(low, high Version) VersionWord {
	return VersionWord(high)<<16 | VersionWord(low)
}

// Low returns the firmware version (from a device) or the release of the driver (from a host).
func (w VersionWord) Low() Version { return Version(w) }

// High returns the least driver version (from a device) or a second version (from a host).
func (w VersionWord) High() Version { return Version(w >> 16) }

// IPConfigSize returns the length of DHCP_CONF that a driver of release v reads; 0 stands for a
// driver that said nothing [HM-02].
func IPConfigSize(v Version) int {
	switch {
	case v < V19_5_0:
		return 16
	case v < V19_5_4:
		return 20
	}
	return 24
}

// Pointers is the structure that register rNMI_GP_REG_2 (0xC0008) points at, 8 bytes (host-bus 4.5).
// Each field is an offset to be OR-ed with 0x30000; 0 means that there is none.
type Pointers struct {
	MAC    uint16 // the 6 bytes of the MAC in use
	OTPMAC uint16 // the MAC burnt into the chip
	Rev    uint16 // [Revision] of the running firmware
	OTARev uint16 // [Revision] of the image in the other slot
}

// PointersLen is the length of [Pointers] in bytes.
const PointersLen = 8

// ParsePointers reads the structure.
func ParsePointers(b []byte) (Pointers, error) {
	if len(b) < PointersLen {
		return Pointers{}, ErrShort
	}
	return Pointers{MAC: le.Uint16(b), OTPMAC: le.Uint16(b[2:]), Rev: le.Uint16(b[4:]), OTARev: le.Uint16(b[6:])}, nil
}

// Append appends the structure.
func (p Pointers) Append(b []byte) []byte {
	b = le.AppendUint16(b, p.MAC)
	b = le.AppendUint16(b, p.OTPMAC)
	b = le.AppendUint16(b, p.Rev)
	return le.AppendUint16(b, p.OTARev)
}

// Revision is the version block of an image, 40 bytes (host-bus 4.5).
type Revision struct {
	ChipID    uint32
	Firmware  Version
	MinDriver Version
	BuildDate string // "Mmm dd yyyy", 11 bytes
	BuildTime string // "hh:mm:ss", 8 bytes
	SVN       uint16 // revision of the sources
	// Understudy says that bytes 36 to 39 hold the mark USTD: a device of ours, which answers
	// [OpUnderstudy].
	Understudy bool
}

// RevisionLen is the length of [Revision] in bytes.
const RevisionLen = 40

const mark = "USTD"

// ParseRevision reads the block. Minor and patch numbers above 15, which no version word can hold,
// are cut to 4 bits.
func ParseRevision(b []byte) (Revision, error) {
	if len(b) < RevisionLen {
		return Revision{}, ErrShort
	}
	return Revision{
		ChipID:     le.Uint32(b),
		Firmware:   MakeVersion(b[4], b[5], b[6]),
		MinDriver:  MakeVersion(b[7], b[8], b[9]),
		BuildDate:  cstring(b[10:22]),
		BuildTime:  cstring(b[22:31]),
		SVN:        le.Uint16(b[32:]),
		Understudy: string(b[36:40]) == mark,
	}, nil
}

// Append appends the block.
func (r Revision) Append(b []byte) []byte {
	b = le.AppendUint32(b, r.ChipID)
	b = append(b, r.Firmware.Major(), r.Firmware.Minor(), r.Firmware.Patch(),
		r.MinDriver.Major(), r.MinDriver.Minor(), r.MinDriver.Patch())
	b = appendText(b, r.BuildDate, 12)
	b = appendText(b, r.BuildTime, 9)
	b = append(b, 0)
	b = le.AppendUint16(b, r.SVN)
	b = append(b, 0, 0)
	if r.Understudy {
		return append(b, mark...)
	}
	return appendZero(b, len(mark))
}

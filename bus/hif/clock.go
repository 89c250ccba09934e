package hif

import "time"

// SysTime is SYS_TIME from the device, 8 bytes (2.15), UTC. Year 0: not known yet.
type SysTime struct {
	Year                             uint16
	Month, Day, Hour, Minute, Second uint8 // month and day from 1
}

// SysTimeLen is the length of [SysTime] in bytes.
const SysTimeLen = 8

// ParseSysTime reads the payload.
func ParseSysTime(b []byte) (SysTime, error) {
	if len(b) < SysTimeLen {
		return SysTime{}, ErrShort
	}
	return SysTime{Year: le.Uint16(b), Month: b[2], Day: b[3], Hour: b[4], Minute: b[5], Second: b[6]}, nil
}

// Append appends the payload.
func (m SysTime) Append(b []byte) []byte {
	return append(b, byte(m.Year), byte(m.Year>>8), m.Month, m.Day, m.Hour, m.Minute, m.Second, 0)
}

// MakeSysTime returns the message for t; the zero time gives the message "not known".
func MakeSysTime(t time.Time) SysTime {
	if t.IsZero() {
		return SysTime{}
	}
	t = t.UTC()
	return SysTime{Year: uint16(t.Year()), Month: uint8(t.Month()), Day: uint8(t.Day()),
		Hour: uint8(t.Hour()), Minute: uint8(t.Minute()), Second: uint8(t.Second())}
}

// Time returns the instant, or the zero time when it is not known.
func (m SysTime) Time() time.Time {
	if m.Year == 0 {
		return time.Time{}
	}
	return time.Date(int(m.Year), time.Month(m.Month), int(m.Day), int(m.Hour), int(m.Minute), int(m.Second), 0, time.UTC)
}

// SetSysTime is SET_SYS_TIME from the host, 8 bytes of which 4 mean something (2.15).
type SetSysTime struct {
	Seconds uint32 // since 1900-01-01, the NTP era that ends in 2036
}

// SetSysTimeLen is the length of [SetSysTime] in bytes as hosts send it; 4 are enough to read it.
const SetSysTimeLen = 8

// ParseSetSysTime reads the payload.
func ParseSetSysTime(b []byte) (SetSysTime, error) {
	if len(b) < 4 {
		return SetSysTime{}, ErrShort
	}
	return SetSysTime{Seconds: le.Uint32(b)}, nil
}

// Append appends the payload.
func (m SetSysTime) Append(b []byte) []byte { return appendZero(le.AppendUint32(b, m.Seconds), 4) }

// SNTPConfig is CONFIG_SNTP from the host (19.6.1), 36 or 44 bytes, depending on the compiler of the
// host (2.15).
type SNTPConfig struct {
	Server string // at most 32 bytes; a leading * is replaced by 0 to 3 after failures
	DHCP   bool   // prefer the servers of DHCP option 42
	Wide   bool   // the layout of 44 bytes
}

// Lengths of [SNTPConfig] in bytes.
const (
	SNTPConfigLen     = 36
	SNTPConfigLenWide = 44
)

// ParseSNTPConfig reads either layout, by length.
func ParseSNTPConfig(b []byte) (SNTPConfig, error) {
	if len(b) < SNTPConfigLen {
		return SNTPConfig{}, ErrShort
	}
	m := SNTPConfig{Server: cstring(b[:33]), DHCP: b[33] != 0}
	if len(b) >= SNTPConfigLenWide {
		m.Wide, m.DHCP = true, le.Uint32(b[36:]) != 0
	}
	return m, nil
}

// Append appends the payload in the layout of m.Wide.
func (m SNTPConfig) Append(b []byte) []byte {
	b = appendText(b, m.Server, 33)
	if m.Wide {
		b = append(b, 0, 0, 0, flag(m.DHCP), 0, 0, 0)
		return appendZero(b, 4)
	}
	return append(b, flag(m.DHCP), 0, 0)
}

package hif

import (
	"bytes"
	"strconv"
)

// MaxURL is the longest URL of an update in bytes, without its NUL.
const MaxURL = 255

// URL is the payload of START_FW_UPDATE and of other requests that name a file: text and a NUL (4.1).
type URL struct {
	URL string
}

// ParseURL reads the payload; a NUL that is missing at the end is forgiven. No text is [ErrShort],
// more than [MaxURL] bytes [ErrInvalid].
func ParseURL(b []byte) (URL, error) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	switch {
	case len(b) == 0:
		return URL{}, ErrShort
	case len(b) > MaxURL:
		return URL{}, ErrInvalid
	}
	return URL{URL: string(b)}, nil
}

// Append appends the payload.
func (m URL) Append(b []byte) []byte {
	return append(append(b, m.URL[:min(len(m.URL), MaxURL)]...), 0)
}

// StartUpdateV2 is START_FW_UPDATE_V2 (19.7.7), 328 bytes (4.2).
type StartUpdateV2 struct {
	URL   string // at most [MaxURL] bytes
	SNI   string // at most 63 bytes
	Flags TLSFlags
}

// StartUpdateV2Len is the length of [StartUpdateV2] in bytes, which its first field repeats.
const StartUpdateV2Len = 328

// ParseStartUpdateV2 reads the payload.
func ParseStartUpdateV2(b []byte) (StartUpdateV2, error) {
	if len(b) < StartUpdateV2Len {
		return StartUpdateV2{}, ErrShort
	}
	return StartUpdateV2{URL: cstring(b[4:260]), SNI: cstring(b[260:324]), Flags: TLSFlags(b[324])}, nil
}

// Append appends the payload.
func (m StartUpdateV2) Append(b []byte) []byte {
	b = le.AppendUint32(b, StartUpdateV2Len)
	b = appendText(b, m.URL, MaxURL+1)
	b = appendText(b, m.SNI, 64)
	return append(b, byte(m.Flags), 0, 0, 0)
}

// UpdateType says what an [UpdateStatus] is about.
type UpdateType uint8

// The types.
const (
	UpdateDownload UpdateType = 1
	UpdateSwitch   UpdateType = 2
	UpdateRollback UpdateType = 3
	UpdateAbort    UpdateType = 4
	UpdateFile     UpdateType = 5 // download of a host file (19.6.1)
)

// String prints the name of the type, or its number.
func (t UpdateType) String() string {
	names := [...]string{"", "download", "switch", "rollback", "abort", "host file"}
	if t > 0 && int(t) < len(names) {
		return names[t]
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// UpdateResult is the result in an [UpdateStatus].
type UpdateResult uint8

// The results.
const (
	UpdateOK         UpdateResult = 0
	UpdateFailed     UpdateResult = 1
	UpdateInvalidArg UpdateResult = 2 // bad URL
	UpdateNoRollback UpdateResult = 3 // no valid image to go back to
	UpdateNoFlash    UpdateResult = 4 // flash too small
	UpdateBusy       UpdateResult = 5 // another job is active
	UpdateInProgress UpdateResult = 6
	UpdateBadImage   UpdateResult = 7
	UpdateConnError  UpdateResult = 8
	UpdateServError  UpdateResult = 9 // for example: no such file
	UpdateAborted    UpdateResult = 10
)

// String prints the meaning of the result, or its number.
func (r UpdateResult) String() string {
	names := [...]string{"ok", "failed", "invalid argument", "no image to roll back to", "flash too small", "another job is active",
		"update in progress", "image verification failed", "connection error", "server error", "aborted"}
	if int(r) < len(names) {
		return names[r]
	}
	return "result(" + strconv.Itoa(int(r)) + ")"
}

// UpdateStatus is UPDATE_STATUS from the device, 4 bytes (4.2).
type UpdateStatus struct {
	Type   UpdateType
	Status UpdateResult
}

// ParseUpdateStatus reads the payload.
func ParseUpdateStatus(b []byte) (UpdateStatus, error) {
	if len(b) < 4 {
		return UpdateStatus{}, ErrShort
	}
	return UpdateStatus{Type: UpdateType(b[0]), Status: UpdateResult(b[1])}, nil
}

// Append appends the payload.
func (m UpdateStatus) Append(b []byte) []byte { return append(b, byte(m.Type), byte(m.Status), 0, 0) }

// UpdateInfo is NOTIF_UPDATE_INFO from the device, 16 bytes (4.2).
type UpdateInfo struct {
	Upgrade, Current, App uint32 // versions
	Required              bool
	URLOffset, URLSize    uint8
}

// ParseUpdateInfo reads the payload.
func ParseUpdateInfo(b []byte) (UpdateInfo, error) {
	if len(b) < 16 {
		return UpdateInfo{}, ErrShort
	}
	return UpdateInfo{Upgrade: le.Uint32(b), Current: le.Uint32(b[4:]), App: le.Uint32(b[8:]), Required: b[12] != 0,
		URLOffset: b[13], URLSize: b[14]}, nil
}

// Append appends the payload.
func (m UpdateInfo) Append(b []byte) []byte {
	b = le.AppendUint32(b, m.Upgrade)
	b = le.AppendUint32(b, m.Current)
	b = le.AppendUint32(b, m.App)
	return append(b, flag(m.Required), m.URLOffset, m.URLSize, 0)
}

// NoFile is the handler in a [FileStatus] when there is no host file.
const NoFile = 0xff

// FileStatus answers HOST_FILE_STATUS and HOST_FILE_DOWNLOAD (19.6.1), 8 bytes (4.2).
type FileStatus struct {
	Size    uint32
	Status  UpdateResult
	Handler uint8 // [NoFile]: none
}

// ParseFileStatus reads the payload.
func ParseFileStatus(b []byte) (FileStatus, error) {
	if len(b) < 8 {
		return FileStatus{}, ErrShort
	}
	return FileStatus{Size: le.Uint32(b), Status: UpdateResult(b[4]), Handler: b[5]}, nil
}

// Append appends the payload.
func (m FileStatus) Append(b []byte) []byte {
	return append(le.AppendUint32(b, m.Size), byte(m.Status), m.Handler, 0, 0)
}

// ReadFile is HOST_FILE_READ from the host, 8 bytes (4.2).
type ReadFile struct {
	Offset, Size uint32
}

// ParseReadFile reads the payload.
func ParseReadFile(b []byte) (ReadFile, error) {
	if len(b) < 8 {
		return ReadFile{}, ErrShort
	}
	return ReadFile{Offset: le.Uint32(b), Size: le.Uint32(b[4:])}, nil
}

// Append appends the payload.
func (m ReadFile) Append(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(b, m.Offset), m.Size)
}

// MaxFileBlock is the most bytes of a [FileData].
const MaxFileBlock = 128

// FileData answers HOST_FILE_READ, 132 bytes (4.2).
type FileData struct {
	Status UpdateResult
	Data   []byte // at most [MaxFileBlock] bytes; parsed: inside the payload, not copied
}

// FileDataLen is the length of [FileData] in bytes.
const FileDataLen = 4 + MaxFileBlock

// ParseFileData reads the payload. A size above [MaxFileBlock] is [ErrInvalid].
func ParseFileData(b []byte) (FileData, error) {
	if len(b) < FileDataLen {
		return FileData{}, ErrShort
	}
	m, n := FileData{Status: UpdateResult(b[2])}, le.Uint16(b)
	if n > MaxFileBlock {
		return m, ErrInvalid
	}
	m.Data = b[4:][:n]
	return m, nil
}

// Append appends the payload.
func (m FileData) Append(b []byte) []byte {
	b = le.AppendUint16(b, uint16(min(len(m.Data), MaxFileBlock)))
	return appendField(append(b, byte(m.Status), 0), m.Data, MaxFileBlock)
}

// FileErased answers HOST_FILE_ERASE, 4 bytes (4.2).
type FileErased struct {
	Status UpdateResult
}

// ParseFileErased reads the payload.
func ParseFileErased(b []byte) (FileErased, error) {
	if len(b) < 4 {
		return FileErased{}, ErrShort
	}
	return FileErased{Status: UpdateResult(b[0])}, nil
}

// Append appends the payload.
func (m FileErased) Append(b []byte) []byte { return append(b, byte(m.Status), 0, 0, 0) }

// Limits answers [OpUnderstudy], 4 bytes: what the device can do beyond the part it stands in for.
type Limits struct {
	TCP, UDP uint8  // sockets
	Send     uint16 // bytes a send
}

// ParseLimits reads the payload.
func ParseLimits(b []byte) (Limits, error) {
	if len(b) < 4 {
		return Limits{}, ErrShort
	}
	return Limits{TCP: b[0], UDP: b[1], Send: le.Uint16(b[2:])}, nil
}

// Append appends the payload.
func (m Limits) Append(b []byte) []byte {
	return append(b, m.TCP, m.UDP, byte(m.Send), byte(m.Send>>8))
}

// Progress is [OpProgress], 8 bytes: how far an update has come.
type Progress struct {
	Stored, Expected uint32 // bytes; Expected is 0 when the server did not say
}

// ParseProgress reads the payload.
func ParseProgress(b []byte) (Progress, error) {
	if len(b) < 8 {
		return Progress{}, ErrShort
	}
	return Progress{Stored: le.Uint32(b), Expected: le.Uint32(b[4:])}, nil
}

// Append appends the payload.
func (m Progress) Append(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(b, m.Stored), m.Expected)
}

package driver

import "strconv"

// ConnError is the reason in a connection event (spec/driver-api.md 1.6).
type ConnError uint8

// The connection errors, with the device's values.
const (
	ErrScanFail      ConnError = 1 // the SSID or BSSID was not found
	ErrJoinFail      ConnError = 2
	ErrAuthFail      ConnError = 3 // wrong passphrase, or the handshake failed
	ErrAssocFail     ConnError = 4 // the access point refused
	ErrInProgress    ConnError = 5 // another attempt is running
	ErrNoCredentials ConnError = 6 // nothing is stored
	ErrUnknown       ConnError = 7
)

func (e ConnError) String() string {
	switch e {
	case ErrScanFail:
		return "SCAN_FAIL"
	case ErrJoinFail:
		return "JOIN_FAIL"
	case ErrAuthFail:
		return "AUTH_FAIL"
	case ErrAssocFail:
		return "ASSOC_FAIL"
	case ErrInProgress:
		return "INPROGRESS"
	case ErrNoCredentials:
		return "NOCRED"
	case ErrUnknown:
		return "UNKNOWN"
	}
	return "connerr(" + strconv.Itoa(int(e)) + ")"
}

// Error is the name of the code, with what it means.
func (e ConnError) Error() string {
	hint := ""
	switch e {
	case ErrScanFail:
		hint = ": no such network in range"
	case ErrJoinFail:
		hint = ": joining failed"
	case ErrAuthFail:
		hint = ": authentication failed; check the passphrase"
	case ErrAssocFail:
		hint = ": the access point refused the association"
	case ErrInProgress:
		hint = ": another attempt is running"
	case ErrNoCredentials:
		hint = ": no credentials are stored; use Connect"
	}
	return "connection: " + e.String() + hint
}

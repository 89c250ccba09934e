package wifi

import "fmt"

// ReasonCode says why a deauthentication or disassociation was sent (IEEE 802.11-2016, table 9-45).
type ReasonCode uint16

// The reason codes that we send or look at.
const (
	CodeUnspecified       ReasonCode = 1
	CodeInvalidAuth       ReasonCode = 2 // previous authentication no longer valid
	CodeLeavingDeauth     ReasonCode = 3 // the sender is leaving
	CodeInactivity        ReasonCode = 4
	CodeTooManyStations   ReasonCode = 5
	CodeClass2            ReasonCode = 6 // a frame that needs authentication
	CodeClass3            ReasonCode = 7 // a frame that needs association
	CodeLeavingDisassoc   ReasonCode = 8
	CodeNotAuthenticated  ReasonCode = 9 // an association request without authentication
	CodeInvalidElement    ReasonCode = 13
	CodeMICFailure        ReasonCode = 14
	CodeHandshakeTimeout  ReasonCode = 15 // 4-way handshake
	CodeGroupTimeout      ReasonCode = 16 // group key handshake
	CodeElementDiffers    ReasonCode = 17 // the RSN element of the handshake is not that of the association
	CodeInvalidAKM        ReasonCode = 20
	Code8021XAuthFailed   ReasonCode = 23
	CodeCipherRejected    ReasonCode = 24
	codeInvalidGroup      ReasonCode = 18
	codeInvalidPairwise   ReasonCode = 19
	codeUnsupportedRSNVer ReasonCode = 21
)

var reasonCodes = map[ReasonCode]string{
	CodeUnspecified:       "UNSPECIFIED_REASON",
	CodeInvalidAuth:       "INVALID_AUTHENTICATION",
	CodeLeavingDeauth:     "LEAVING_NETWORK_DEAUTH",
	CodeInactivity:        "REASON_INACTIVITY",
	CodeTooManyStations:   "NO_MORE_STAS",
	CodeClass2:            "INVALID_CLASS2_FRAME",
	CodeClass3:            "INVALID_CLASS3_FRAME",
	CodeLeavingDisassoc:   "LEAVING_NETWORK_DISASSOC",
	CodeNotAuthenticated:  "NOT_AUTHENTICATED",
	CodeInvalidElement:    "REASON_INVALID_ELEMENT",
	CodeMICFailure:        "MIC_FAILURE",
	CodeHandshakeTimeout:  "4WAY_HANDSHAKE_TIMEOUT",
	CodeGroupTimeout:      "GK_HANDSHAKE_TIMEOUT",
	CodeElementDiffers:    "HANDSHAKE_ELEMENT_MISMATCH",
	codeInvalidGroup:      "REASON_INVALID_GROUP_CIPHER",
	codeInvalidPairwise:   "REASON_INVALID_PAIRWISE_CIPHER",
	CodeInvalidAKM:        "REASON_INVALID_AKMP",
	codeUnsupportedRSNVer: "UNSUPPORTED_RSNE_VERSION",
	Code8021XAuthFailed:   "802_1_X_AUTH_FAILED",
	CodeCipherRejected:    "REASON_CIPHER_OUT_OF_POLICY",
}

// String prints the name that the standard gives the code, or its number.
func (c ReasonCode) String() string {
	if s, ok := reasonCodes[c]; ok {
		return s
	}
	return fmt.Sprintf("reason(%d)", uint16(c))
}

// StatusCode answers an authentication or association (IEEE 802.11-2016, table 9-46).
type StatusCode uint16

// The status codes that we send or look at.
const (
	StatusSuccess         StatusCode = 0
	StatusRefused         StatusCode = 1
	StatusDeniedOther     StatusCode = 12 // outside the scope of the standard
	StatusUnsupportedAuth StatusCode = 13 // authentication algorithm
	StatusOutOfSequence   StatusCode = 14
	StatusFull            StatusCode = 17 // no more stations
	StatusInvalidElement  StatusCode = 40
	StatusInvalidGroup    StatusCode = 41
	StatusInvalidPairwise StatusCode = 42
	StatusInvalidAKM      StatusCode = 43
)

var statusCodes = map[StatusCode]string{
	StatusSuccess:         "SUCCESS",
	StatusRefused:         "REFUSED",
	StatusDeniedOther:     "DENIED_OTHER_REASON",
	StatusUnsupportedAuth: "UNSUPPORTED_AUTH_ALGORITHM",
	StatusOutOfSequence:   "TRANSACTION_SEQUENCE_ERROR",
	StatusFull:            "DENIED_NO_MORE_STAS",
	StatusInvalidElement:  "STATUS_INVALID_ELEMENT",
	StatusInvalidGroup:    "STATUS_INVALID_GROUP_CIPHER",
	StatusInvalidPairwise: "STATUS_INVALID_PAIRWISE_CIPHER",
	StatusInvalidAKM:      "STATUS_INVALID_AKMP",
}

// String prints the name that the standard gives the code, or its number.
func (c StatusCode) String() string {
	if s, ok := statusCodes[c]; ok {
		return s
	}
	return fmt.Sprintf("status(%d)", uint16(c))
}

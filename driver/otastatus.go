package driver

import "strconv"

// OTAStatus is the verdict on a firmware update, a change of images, or a
// request about the host file, with the values of the document
// (spec/driver-api.md 2.8). It is an error for layers that want one; there,
// OTAComplete is nil (see Err).
type OTAStatus uint8

// The statuses.
const (
	OTAComplete       OTAStatus = 0  // done; of an update: stored, verified and marked valid
	OTAFail           OTAStatus = 1  // failed for a reason without a better code
	OTAInvalidURL     OTAStatus = 2  // malformed, without a host, or neither http nor https
	OTANoRollback     OTAStatus = 3  // the inactive image is not valid
	OTANoFlash        OTAStatus = 4  // larger than a slot, or no second slot
	OTAAlreadyEnabled OTAStatus = 5  // the device runs an update that this host has forgotten
	OTABusy           OTAStatus = 6  // an update runs
	OTAVerifyFailed   OTAStatus = 7  // digest, magic, length or signature of the image are wrong
	OTAConnError      OTAStatus = 8  // no such name, no connection, or it was lost or stalled
	OTAServerError    OTAStatus = 9  // the server's answer was no file
	OTAAborted        OTAStatus = 10 // by AbortUpdate
)

var otaText = [...]struct{ name, hint string }{
	OTAComplete:       {"COMPLETE", "done"},
	OTAFail:           {"FAIL", "the device could not do it"},
	OTAInvalidURL:     {"INVALID_URL", "the URL is no http or https URL with a host"},
	OTANoRollback:     {"INVALID_RB_IMAGE", "there is no valid image in the other slot; run an update first"},
	OTANoFlash:        {"INSUFFICIENT_FLASH", "the file is larger than its place in the flash"},
	OTAAlreadyEnabled: {"ALREADY_ENABLED", "the device runs an update already; restart it or wait"},
	OTABusy:           {"BUSY", "an update or a download runs; wait for its end or abort it"},
	OTAVerifyFailed:   {"VERIFY_FAILED", "the file is damaged or no firmware image for this device"},
	OTAConnError:      {"CONN_ERROR", "the server was not reached, or the connection was lost"},
	OTAServerError:    {"SERVER_ERROR", "the server does not give the file"},
	OTAAborted:        {"ABORTED", "aborted on request"},
}

// String is the name of the document, or the number.
func (s OTAStatus) String() string {
	if int(s) < len(otaText) {
		return otaText[s].name
	}
	return "status(" + strconv.Itoa(int(s)) + ")"
}

// Error is the name and what it means.
func (s OTAStatus) Error() string {
	if int(s) < len(otaText) {
		return "driver: " + otaText[s].name + ": " + otaText[s].hint
	}
	return "driver: " + s.String()
}

// Err is nil for OTAComplete and else s.
func (s OTAStatus) Err() error {
	if s == OTAComplete {
		return nil
	}
	return s
}

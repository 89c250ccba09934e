package user

import "fmt"

// Reason says why a flow of a device was not carried, or ended before its time.
type Reason uint8

// The reasons. Those up to ReasonDenied are policy: the destination is closed to devices. The others tell what
// the host's network, or a limit of this uplink, said.
const (
	ReasonHost        Reason = iota // host.internal, and Config.AllowHost is off
	ReasonLoopback                  // 127.0.0.0/8 (RFC 1122, 3.2.1.3)
	ReasonLinkLocal                 // 169.254.0.0/16 (RFC 3927, 7: not to be forwarded)
	ReasonMetadata                  // the metadata service of a cloud
	ReasonOwnNetwork                // an address of the virtual network that is neither gateway nor host
	ReasonThisNetwork               // 0.0.0.0/8 (RFC 1122, 3.2.1.3)
	ReasonMulticast                 // 224.0.0.0/4
	ReasonBroadcast                 // 240.0.0.0/4, 255.255.255.255 included (RFC 1112, 4)
	ReasonSource                    // the source address is not one of the virtual network
	ReasonDenied                    // in Config.Deny
	ReasonPort                      // port 0, or a port of the gateway where nothing listens
	ReasonRefused                   // the far host refused it
	ReasonTimeout                   // no answer within the dial timeout
	ReasonUnreachable               // the host's network has no way there
	ReasonTooMany                   // a limit of this uplink (MaxTCP, MaxUDP, MaxEcho, MaxLookups)
	ReasonNoPing                    // the host gives us neither a ping socket nor a raw one
	ReasonTTL                       // the time to live ran out at the gateway
	ReasonFailed                    // any other error of the host; Event.Err has it
	reasons
)

var reasonNames = [reasons]string{
	ReasonHost:        "the host's loopback is closed (open it with AllowHost)",
	ReasonLoopback:    "loopback address",
	ReasonLinkLocal:   "link-local addresses are closed",
	ReasonMetadata:    "cloud metadata addresses are closed",
	ReasonOwnNetwork:  "no such address in the virtual network",
	ReasonThisNetwork: "address of \"this network\"",
	ReasonMulticast:   "multicast is not forwarded",
	ReasonBroadcast:   "broadcast is not forwarded",
	ReasonSource:      "foreign source address",
	ReasonDenied:      "denied by configuration",
	ReasonPort:        "no such port",
	ReasonRefused:     "connection refused",
	ReasonTimeout:     "no answer in time",
	ReasonUnreachable: "unreachable from the host",
	ReasonTooMany:     "too many at once",
	ReasonNoPing:      "this host forbids ping",
	ReasonTTL:         "time to live exceeded",
	ReasonFailed:      "the host failed",
}

// String says the reason in words.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// policy reports whether r says that the destination is closed to devices.
func (r Reason) policy() bool { return r <= ReasonDenied }

// Refusals counts refused flows, by reason.
type Refusals [reasons]uint64

// Of returns how many flows were refused for r.
func (c Refusals) Of(r Reason) uint64 {
	if r < reasons {
		return c[r]
	}
	return 0
}

// Total returns how many flows were refused.
func (c Refusals) Total() (n uint64) {
	for _, v := range c {
		n += v
	}
	return n
}

// String lists the reasons that occurred, each with its count.
func (c Refusals) String() string {
	s := ""
	for r, n := range c {
		if n == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf("%v: %d", Reason(r), n)
	}
	return s
}

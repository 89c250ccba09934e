package user

import "github.com/understudy-net/understudy/stack/dns"

// Stats counts what an uplink did since it was made.
type Stats struct {
	TCP FlowStats // bytes of payload
	UDP FlowStats
	DNS dns.ForwarderCounters // of the questions of devices to the gateway

	Echoes      uint64 // echo requests of devices that were sent to the outside
	EchoReplies uint64 // answers that were handed to devices
	EchoLost    uint64 // requests without an answer in time
	EchoStray   uint64 // messages on the ping socket that nobody waited for

	Refused Refusals // flows, and echo requests, that were not carried

	EventsDropped uint64 // events that Config.Log was too slow for
	InputClosed   uint64 // frames that came after Close
}

// FlowStats counts the flows of one protocol.
type FlowStats struct {
	Active   int    // now, those that wait for the host's answer included
	Opened   uint64 // the host's side was reached
	Finished uint64 // TCP: closed in order, both ways. UDP: idle for too long
	Aborted  uint64 // TCP: ended by a reset or an error of either side. UDP: ended by an error
	Evicted  uint64 // UDP: gave way to a newer one at MaxUDP
	ToHost   uint64 // bytes
	ToDevice uint64 // bytes

	Overflow uint64 // UDP: datagrams of devices dropped because the host's socket was too slow
	Unsent   uint64 // UDP: datagrams that the host or the stack did not take
}

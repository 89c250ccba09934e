package device

// Counters counts what a device did and what it did not do, by reason. All counts are since New.
type Counters struct {
	Boots    uint64 // firmware starts
	Requests uint64 // HIF messages taken from the host
	Messages uint64 // HIF messages posted to the host

	Refused uint64 // data messages that got address 0: send buffers are taken, or the host does not fetch its answers

	// Requests that had no effect.
	Malformed   uint64 // shorter than their layout, lengths that disagree, impossible values
	Unknown     uint64 // opcodes and groups that nobody knows
	Unsupported uint64 // known, and not built here
	BadSocket   uint64 // socket ids out of range
	WrongMode   uint64 // those of a station in Soft-AP mode, and the other way round

	// Ethernet mode.
	FramesFiltered uint64 // from the air, for a group that the host has not asked for
	FramesLost     uint64 // from the air: too long, or the host fetches too slowly
	FilterFull     uint64 // groups beyond the eighth

	// The mailbox.
	Cancelled    uint64 // a grant that was given up for a new one
	NoGrant      uint64 // doorbells for an address that was not granted
	Oversize     uint64 // requests longer than any buffer
	Overrun      uint64 // bytes written past the end of a buffer, and to no memory at all
	StrayDone    uint64 // RX done when none was due
	RepliesLost  uint64 // the queue of messages was full: a host that asks and does not fetch
	RepliesStale uint64 // dropped because their socket was closed [HM-11]

	// Sockets.
	RecvReplaced  uint64 // a second RECV before the answer to the first
	SocketsReused uint64 // ids that came back with a new session and no CLOSE in between
	AcceptNoSlot  uint64 // incoming connections refused because no id was free
	EmptyDatagram uint64 // received datagrams without data, which the protocol cannot say
	CutDatagram   uint64 // received datagrams longer than the host's buffer
	TLSFailed     uint64 // handshakes that failed, TLS connections that broke, servers without a certificate
}

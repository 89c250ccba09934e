package stack

// Stats counts what a stack did, and what it dropped by reason. All are numbers of packets or
// events since New.
type Stats struct {
	FramesIn, FramesOut uint64
	BytesIn, BytesOut   uint64

	Link LinkStats
	ARP  ARPStats
	IP   IPStats
	ICMP ICMPStats
	UDP  UDPStats
	TCP  TCPStats
}

// LinkStats counts Ethernet frames that were dropped.
type LinkStats struct {
	Short     uint64 // no header
	Long      uint64 // above the MTU
	NotForUs  uint64 // another station's
	OurOwn    uint64 // sent by us, come back
	BadSource uint64 // a group address as source
	BadType   uint64 // IEEE 802.3 length, tags and protocols that are not spoken
}

// ARPStats counts ARP packets.
type ARPStats struct {
	In, Out    uint64
	Malformed  uint64
	NotLearned uint64 // sender addresses that cannot be a neighbour's
	Changed    uint64 // a neighbour came with another MAC than before
	Conflicts  uint64 // somebody else uses our address
	Evicted    uint64 // entries pushed out by others
	QueueFull  uint64 // waiting packets dropped for later ones
	Failed     uint64 // neighbours that did not answer
}

// IPStats counts IPv4 packets.
type IPStats struct {
	In, Out       uint64
	Malformed     uint64 // version, lengths, options
	BadChecksum   uint64
	BadSource     uint64 // an address that cannot be a sender's
	NotForUs      uint64
	SourceRouted  uint64
	UnknownProto  uint64
	LinkBroadcast uint64 // unicast inside of a broadcast frame

	Fragments          uint64 // received
	FragmentsBad       uint64 // length, overlap, beyond 65535 bytes
	FragmentsTimeout   uint64 // datagrams given up
	FragmentsEvicted   uint64 // datagrams pushed out by others
	Reassembled        uint64
	FragmentsSent      uint64
	NoRoute            uint64 // not sent
	BadLocal           uint64 // not sent: the source is not ours
	MTUTooSmall        uint64 // not sent: DF and too long
	ReassemblyTimeouts uint64 // of them, those that were reported by ICMP
}

// ICMPStats counts ICMP messages.
type ICMPStats struct {
	In, Out     uint64
	Malformed   uint64
	BadChecksum uint64
	Ignored     uint64 // types that nobody needs, errors about nothing of ours
	RateLimited uint64 // errors not sent
	EchoIn      uint64
	EchoOut     uint64
}

// UDPStats counts datagrams.
type UDPStats struct {
	In, Out     uint64
	Malformed   uint64
	BadChecksum uint64
	NoPort      uint64 // no socket
	QueueFull   uint64 // the socket's owner did not read
}

// TCPStats counts segments and connections.
type TCPStats struct {
	In, Out     uint64
	Malformed   uint64
	BadChecksum uint64
	BadSource   uint64 // broadcast, or a port of 0
	NoPort      uint64 // no connection and no listener
	Dropped     uint64 // not acceptable to the connection
	BacklogFull uint64 // SYNs dropped
	LimitFull   uint64 // SYNs dropped for Config.MaxTCP
	CookiesSent uint64 // SYNs answered by a cookie, for want of room
	CookiesGood uint64 // connections that came of them
	ResetsSent  uint64 // for segments of no connection
	Dialed      uint64
	Accepted    uint64
	Reused      uint64 // connections begun out of TIME-WAIT
}

// Stats returns the counters. They go on counting; copy what should stay.
func (s *Stack) Stats() *Stats { return &s.stats }

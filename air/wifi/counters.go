package wifi

// StationCounters counts what passed a station since it was made. Drops are by reason.
type StationCounters struct {
	Sent     uint64 // data frames from the host above
	Received uint64 // data frames to the host above

	NotJoined uint64 // dropped: from above, while not joined
	BadFrame  uint64 // dropped: no Ethernet header, or EAPOL from above
	Blocked   uint64 // dropped: data from the air before the handshake was done
	Foreign   uint64 // dropped: data from another than our access point, or for another station
	Echo      uint64 // dropped: our own broadcast, repeated by the access point
	Malformed uint64 // dropped: management messages that do not parse

	BeaconsLost uint64 // access points that were not heard any more
	Roamed      uint64 // moves to another access point of the network
	Enrolled    uint64 // networks that were handed over to it
	EventsLost  uint64 // events that nobody read

	EAPOL EAPOLCounters
}

// APCounters counts what passed an access point since it was made. Drops are by reason.
type APCounters struct {
	FromAir uint64 // data frames from stations
	ToAir   uint64 // data frames to stations, broadcasts once
	ToDS    uint64 // data frames to the distribution side
	Bridged uint64 // data frames from station to station, broadcasts once

	Beacons     uint64
	Joined      uint64 // stations that completed joining
	Left        uint64
	Enrolled    uint64 // stations that the network was handed over to
	Refused     uint64 // associations
	Evicted     uint64 // authenticated stations that made room for newer ones
	BadFrame    uint64 // dropped: no Ethernet header
	Blocked     uint64 // dropped: data before the handshake was done
	NotAStation uint64 // dropped: data or messages from one that is not associated
	Spoofed     uint64 // dropped: the Ethernet source is not the station's address
	Unknown     uint64 // dropped: from the distribution side, for no station of ours
	EAPOLBridge uint64 // dropped: EAPOL that would have crossed the access point
	Stopped     uint64 // dropped: from the distribution side while stopped
	Malformed   uint64 // dropped: management messages that do not parse
	EventsLost  uint64

	EAPOL EAPOLCounters
}

// EAPOLCounters counts key frames of one side of the handshakes.
type EAPOLCounters struct {
	Sent        uint64
	Received    uint64 // including those dropped below
	Malformed   uint64 // dropped: not a key frame, lengths that do not fit, key data that does not unwrap or parse
	Unsupported uint64 // dropped: another descriptor version, a group key handshake, a request
	Replayed    uint64 // dropped: the replay counter was used before, or never
	Unexpected  uint64 // dropped: not in this state, or from the wrong side
	MICFailures uint64 // dropped: the other side does not have the same key
}

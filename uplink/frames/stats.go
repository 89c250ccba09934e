package frames

// Stats counts what passed a [Pump] since it was made.
type Stats struct {
	FromHost, FromHostBytes uint64 // read from the device and handed to Output
	ToHost, ToHostBytes     uint64 // written to the device
	Drops                   Drops
}

// Drops counts frames that were not carried, by reason.
type Drops struct {
	QueueFull uint64 // to the host: Config.Queue frames waited
	Closed    uint64 // to the host: after Close, or after the device failed
	Refused   uint64 // to the host: the device did not take it (a link that is down, a full queue of the kernel)
	Short     uint64 // either way: shorter than an Ethernet header
	Oversize  uint64 // either way: longer than Config.MaxFrame
	Unusable  uint64 // from the host: the device could not make frames for the link of it
	Overrun   uint64 // from the host: the kernel had no room for it until we read
}

// Total returns the number of frames that were dropped.
func (d Drops) Total() uint64 {
	return d.QueueFull + d.Closed + d.Refused + d.Short + d.Oversize + d.Unusable + d.Overrun
}

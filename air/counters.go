package air

// Counters counts what happened on an air since it was made.
type Counters struct {
	Sent      uint64 // frames accepted by Send
	SentBytes uint64 // their Data
	Delivered uint64 // calls of a receiver: one for each frame and port that heard it

	Duplicated uint64 // extra copies made by a link
	Reordered  uint64 // copies held back by a link
	Corrupted  uint64 // copies with a flipped bit

	Drops Drops
}

// Drops counts frames, or copies for one receiver, that were not delivered, by reason.
type Drops struct {
	QueueFull  uint64 // the sender had Config.Queue frames in flight, or the air Config.MaxFrames
	Oversize   uint64 // longer than MaxData
	Closed     uint64 // sent by a closed port
	Tuned      uint64 // sent by a port that is off or a monitor, without a channel in the frame
	NoReceiver uint64 // nobody with that address on that channel
	Gone       uint64 // the receiver closed or left the channel while the copy was delayed
	Down       uint64 // the link is down
	Loss       uint64 // lost by the link
}

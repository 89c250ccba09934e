// Package air is the virtual medium: the radio space in which stations, access points and monitors hear one another.
//
// An [Air] is a machine: a plain value that is told what time it is and never waits. Make one with [New], one [Port] for
// each radio with [Air.NewPort], and call [Air.Advance] when [Air.Deadline] has come (a world does that). [Port.Send] only
// queues a copy of the frame; Advance delivers it, so a receiver may send from its callback and nothing re-enters.
//
//	a := air.New(air.Config{Rand: rand.NewPCG(seed, 0), Delay: air.TypicalDelay})
//	p := a.NewPort(mac, func(now time.Time, f air.Frame) { ... })
//	p.SetChannel(6)
//	p.Send(now, air.Frame{Kind: air.KindData, To: peer, Data: ethernet})
//
// A frame for one address reaches the ports with that address on the frame's channel, found by one look-up however many
// ports there are; a frame for a group reaches every port on the channel, or only the members of a group that has members
// ([Port.JoinGroup]). Monitors (channel 0) and taps ([Air.Tap]) see everything.
//
// The medium is perfect unless told otherwise: [Air.SetLink] gives one direction between two addresses loss, duplication,
// reordering, corruption, delay, jitter and a signal strength, or takes it down. What happens comes from the seeded source
// in [Config] alone, so one seed gives one outcome. Frames on a link stay in order unless its Reorder says otherwise.
//
// Limits: there is no bandwidth, no collision and no crosstalk between channels. A frame carries at most [MaxData] bytes.
// Queues are bounded; a radio whose queue is full drops, and every drop is counted by its reason in [Counters].
//
// An Air has one owner and no lock.
package air

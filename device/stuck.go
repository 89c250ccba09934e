package device

import (
	"fmt"
	"time"

	"github.com/understudy-net/understudy/stack/dhcp"
)

// stuck says who owes the next step, one line a cause. A line says the same as long as nothing moves.
func (d *Device) stuck(s *Snapshot) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if err := s.Flash.Err; err != nil {
		say("device: %v", err)
	} else if d.cpu == cpuBootROM && d.on() && s.SPI.Commands > d.quiet {
		say("host: talks to the chip and has not started its firmware")
	}
	if s.Flash.Trial {
		say("host: has not talked to firmware %v, which is on trial", s.Flash.Running)
	}
	d.stuckMailbox(&s.Mailbox, say)
	if d.fw != nil {
		d.fw.stuck(s, say)
	}
	return lines
}

// stuckMailbox is about the way of messages.
func (d *Device) stuckMailbox(m *Mailbox, say func(string, ...any)) {
	switch {
	case m.Open && !m.Taken:
		say("host: %v is posted and was not fetched; %d messages wait behind it", m.Op, m.Queued)
	case m.Open:
		say("host: %v was fetched and RX done has not come; %d messages wait behind it", m.Op, m.Queued)
	case m.Queued > 0:
		say("host: %d messages wait for its first request", m.Queued)
	}
	if m.Open && !m.Taken && !d.irq {
		say("host: has not enabled the interrupt, so it is not told of %v", m.Op)
	}
	if m.Granted {
		say("host: has a buffer for %v and has not rung the doorbell", d.in.request.Op)
	}
	if m.Held == m.Buffers {
		say("network: all %d send buffers wait for room in sockets; data messages are refused", m.Buffers)
	}
	if m.Queued >= maxReplies-roomForControl {
		say("host: fetches too few of its messages; data messages are refused until it does")
	}
}

// stuck is about the network and the sockets.
func (f *firmware) stuck(s *Snapshot, say func(string, ...any)) {
	switch f.link.state {
	case linkJoining:
		say("network: joining %q", f.link.params.SSID)
	case linkJoined:
		if !s.Addr.IsValid() && !f.bypass.on {
			say("network: %s", f.noAddress(s))
		}
	}
	if f.ap != nil {
		f.ap.stuck(say)
		if !f.bypass.on {
			f.ap.stuckLeases(f.d.seen, say)
		}
	}
	if f.scan.waiting > 0 {
		say("network: a scan goes on")
	}
	if n := s.Lookups; n > 0 {
		say("network: %d DNS look-ups have no answer", n)
	}
	if n := s.Pings; n > 0 {
		say("network: %d echo requests have no answer", n)
	}
	f.ota.stuck(say)
	for i := range s.Sockets {
		f.sockets[s.Sockets[i].ID].stuck(&s.Sockets[i], say)
	}
	if n := len(f.lingering); n > 0 {
		say("network: %d closed connections still have data that their peers have not acknowledged", n)
	}
}

// noAddress says why there is none.
func (f *firmware) noAddress(s *Snapshot) string {
	if s.DHCP {
		return fmt.Sprintf("no lease from a DHCP server on %q", s.Network.SSID)
	}
	return fmt.Sprintf("no address on %q: DHCP is off and the host has set none", s.Network.SSID)
}

// stuck is about the stations of an access point that are not here.
func (a *softAP) stuck(say func(string, ...any)) {
	name, stations := a.radio.Network().SSID, a.radio.Stations()
	for i := range stations {
		if !stations[i].Joined {
			say("network: station %v has not finished the 4-way handshake of %q", stations[i].MAC, name)
		}
	}
	if bad := a.radio.Counters().EAPOL.MICFailures; len(stations) == 0 && bad > 0 {
		say("network: no station has joined %q; %d key messages were made with another passphrase", name, bad)
	} else if len(stations) == 0 {
		say("network: no station has joined %q", name)
	}
}

// stuckLeases is about stations that cannot talk yet.
func (a *softAP) stuckLeases(now time.Time, say func(string, ...any)) {
	for i := range a.stations {
		if s := &a.stations[i]; !s.addr.IsValid() {
			a.noLease(now, s, say)
		}
	}
}

// noLease says why a station has no address.
func (a *softAP) noLease(now time.Time, s *apStation, say func(string, ...any)) {
	for _, l := range a.server.Leases() {
		if l.MAC == s.mac && l.State == dhcp.LeaseOffered && l.Expiry.After(now) {
			say("network: station %v has not asked for %v, which it was offered", s.mac, l.Addr)
			return
		}
	}
	if a.server.Counters().Exhausted > s.full {
		say("device: no address is left for station %v", s.mac)
		return
	}
	say("network: station %v has not asked the DHCP server for an address", s.mac)
}

func (s *socket) stuck(k *Socket, say func(string, ...any)) {
	switch {
	case s.state == sockConnecting:
		say("network: socket %d has no answer to SYN from %v", k.ID, k.Remote)
	case s.state == sockDead:
		say("host: socket %d is dead and was not closed", k.ID)
	case k.In > 0 && !k.Recv:
		say("host: %d bytes wait on socket %d for a RECV", k.In, k.ID)
	case k.Unread && !k.Recv:
		say("host: datagrams wait on socket %d for a RECVFROM", k.ID)
	case s.state == sockListening && s.crowded:
		say("host: connections wait at socket %d, because all %d ids of TCP are taken", k.ID, s.f.limits.tcp)
	}
	switch {
	case k.Held > 0:
		say("network: the peer of socket %d takes no data; %d SENDs wait", k.ID, k.Held)
	case k.Out > 0:
		say("network: %d bytes of socket %d are not acknowledged", k.Out, k.ID)
	}
}

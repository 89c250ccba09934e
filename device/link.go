package device

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/wire"
)

// linkState is where the station stands, as the host knows it.
type linkState uint8

const (
	linkIdle linkState = iota
	linkJoining
	linkJoined
)

// String prints the state.
func (s linkState) String() string { return [...]string{"idle", "joining", "joined"}[s] }

// link is the station's connection.
type link struct {
	state   linkState
	network wifi.Network
	params  wifi.JoinParams // of the attempt
	save    bool            // remember them when they have worked

	// A default connect goes through the stored networks.
	byDefault bool
	tries     []storedNetwork // still to try
	result    int8            // of those tried
}

// connectOld is CONNECT in the form of hosts before 19.6.1. Spec hif-messages 2.2.
func (f *firmware) connectOld(now time.Time, m hif.ConnectOld) {
	f.join(now, wifi.JoinParams{
		SSID: m.SSID, Channel: m.Channel, Security: wifi.Security(m.Security), Passphrase: m.Passphrase,
	}, !m.NoSave)
}

// connectNew is CONN (2.3). A host whose credentials are cut off or impossible waits for an outcome all the same.
func (f *firmware) connectNew(now time.Time, r request) {
	m, err := hif.ParseConnect(r.payload)
	if err != nil {
		f.malformed(now, r, err.Error())
		f.joinError(hif.ConnJoinFail)
		return
	}
	p := wifi.JoinParams{SSID: m.SSID, Channel: m.Channel, Security: wifi.Security(m.Security), Passphrase: m.Passphrase}
	if m.HasBSSID {
		p.BSSID = wire.MAC(m.BSSID)
	}
	f.join(now, p, m.Store&hif.StoreCredentials != 0)
}

// join starts an attempt. One that is running goes on, and the host hears that it is; a network that we are in is left
// first (driver-api 2.2). An access point joins nothing: that fails, since hosts wait for an outcome.
func (f *firmware) join(now time.Time, p wifi.JoinParams, save bool) {
	switch {
	case f.ap != nil:
		f.d.counters.WrongMode++
		f.joinError(hif.ConnJoinFail)
		return
	case f.link.state == linkJoining:
		f.joinError(hif.ConnInProgress)
		return
	}
	f.leave(now)
	f.link = link{params: p, save: save}
	f.try(now)
}

// try joins the network of f.link.params.
func (f *firmware) try(now time.Time) {
	p := f.link.params
	p.Channels = f.scan.region
	f.link.state = linkJoining
	if err := f.sta.Join(now, p); err != nil {
		code := hif.ConnJoinFail
		if errors.Is(err, wifi.ErrUnsupported) {
			code = hif.ConnAuthFail // security that is not built here fails as a wrong key does (2.3)
		}
		f.joinFailed(now, code)
	}
}

// joinError says that a connect request leads nowhere.
func (f *firmware) joinError(e hif.ConnError) {
	event(f.d, hif.OpStateChanged, hif.StateChanged{State: hif.Disconnected, Error: e})
}

// stationEvent handles what the station reports. What we asked for ourselves was reported when we asked.
func (f *firmware) stationEvent(now time.Time, e wifi.Event) {
	switch {
	case e.Kind == wifi.EventScanDone:
		f.scanDone(now)
	case e.Reason == wifi.ReasonLocal:
	case (e.Kind == wifi.EventEnrolled || e.Kind == wifi.EventEnrollFailed) && f.enrolling:
		f.wpsEvent(now, e)
	case e.Kind == wifi.EventJoined && f.link.state == linkJoining:
		f.joined(now, e.Network)
	case e.Kind == wifi.EventJoinFailed && f.link.state == linkJoining:
		f.joinFailed(now, connError(e.Reason))
	case e.Kind == wifi.EventRoamed && f.link.state == linkJoined:
		f.roamed(now, e.Network)
	case e.Kind == wifi.EventLeft && f.link.state == linkJoined:
		f.linkDown(now, hif.ConnOK)
	}
}

// connError says a reason in the protocol's numbers. Spec hif-messages 2.5, driver-api 2.2.
func connError(r wifi.Reason) hif.ConnError {
	switch r {
	case wifi.ReasonNoAP:
		return hif.ConnScanFail
	case wifi.ReasonAuthenticationFailed:
		return hif.ConnAuthFail
	case wifi.ReasonAssociationFailed:
		return hif.ConnAssocFail
	case wifi.ReasonSecurityMismatch, wifi.ReasonNoAnswer:
		return hif.ConnJoinFail
	}
	return hif.ConnOK
}

// joined is the end of association and handshake: the host is told before there is an address (2.5).
func (f *firmware) joined(now time.Time, n wifi.Network) {
	f.link.state, f.link.network = linkJoined, n
	if f.link.save {
		f.remember(now, f.link.params)
	}
	event(f.d, hif.OpStateChanged, hif.StateChanged{State: hif.Connected})
	if !f.bypass.on {
		f.startIP(now)
	}
}

// joinFailed ends an attempt. A default connect goes on with the next stored network.
func (f *firmware) joinFailed(now time.Time, code hif.ConnError) {
	f.link.state = linkIdle
	if !f.link.byDefault {
		f.joinError(code)
		return
	}
	if code != hif.ConnScanFail {
		f.link.result = hif.DefaultConnectFailed
	}
	if len(f.link.tries) > 0 {
		f.tryStored(now)
		return
	}
	event(f.d, hif.OpDefaultConnected, hif.DefaultConnected{Error: f.link.result})
}

// linkDown is the end of a connection that the host knew of. The host hears of the link first and then of its sockets
// (6.9).
func (f *firmware) linkDown(now time.Time, e hif.ConnError) {
	f.link = link{}
	f.joinError(e)
	f.abortSockets(now)
	f.stack.ClearAddr(now)
	f.ip = ipConfig{dhcp: f.ip.dhcp, static: f.ip.static}
}

// disconnect is DISCONNECT. It also ends an attempt, and is answered in every state of a station (2.5). To an access point
// it means nothing: an answer would say that a station has left.
func (f *firmware) disconnect(now time.Time, r request) {
	if f.ap != nil {
		f.wrongMode(now, r)
		return
	}
	if f.link.state != linkJoined {
		f.link = link{}
		f.joinError(hif.ConnOK)
	}
	f.leave(now)
}

// leave leaves the network or ends the attempt to join one. Connections are reset while there still is a link.
func (f *firmware) leave(now time.Time) {
	f.giveUpWPS(now)
	if f.link.state == linkJoined {
		f.linkDown(now, hif.ConnOK)
	}
	f.link = link{}
	f.sta.Leave(now)
}

// defaultConnect is DEFAULT_CONNECT: the stored networks, the last one that worked first (2.4).
func (f *firmware) defaultConnect(now time.Time) {
	switch {
	case f.ap != nil:
		f.d.counters.WrongMode++
		event(f.d, hif.OpDefaultConnected, hif.DefaultConnected{Error: hif.DefaultConnectFailed})
		return
	case f.link.state == linkJoining:
		event(f.d, hif.OpDefaultConnected, hif.DefaultConnected{Error: hif.DefaultConnectInProgress})
		return
	case len(f.d.stored) == 0:
		event(f.d, hif.OpDefaultConnected, hif.DefaultConnected{Error: hif.DefaultConnectListEmpty})
		return
	}
	f.leave(now)
	f.link = link{byDefault: true, tries: slices.Clone(f.d.stored), result: hif.DefaultConnectNotFound}
	f.tryStored(now)
}

func (f *firmware) tryStored(now time.Time) {
	next := f.link.tries[0]
	f.link.tries = f.link.tries[1:]
	f.link.params, f.link.save = next.params, true // it moves to the front
	f.try(now)
}

// abortSockets is what the loss of the link or of the address does to sockets: what waits fails, in order of ids, and
// every id stays dead until the host closes it. Connections that the host has not heard of vanish. Look-ups, echoes and
// a download, which have no id, fail after them. Spec hif-messages 6.9, driver-api 3.8.
func (f *firmware) abortSockets(now time.Time) {
	for i := range f.sockets {
		f.sockets[i].linkLost(now)
	}
	f.dropChildren(now, nil)
	for len(f.lingering) > 0 {
		f.lingering[0].end(now, true)
	}
	f.failLookups(now)
	f.failEchoes()
	f.ota.u.Offline(now)
}

func (s *socket) linkLost(now time.Time) {
	if s.state <= sockNamed {
		return
	}
	connecting := s.state == sockConnecting
	s.abort(now)
	if s.accepted && !s.hasSession && s.f.d.out.unannounced(s) {
		s.clear()
		return
	}
	// Answers that were queued before the host was told of the link must come after that.
	s.tok++
	s.rx.queued, s.tx.queued = false, false
	s.state, s.lost, s.verdict, s.local = sockDead, true, hif.StatusAborted, netip.AddrPort{}
	if connecting {
		s.connectBy = time.Time{}
		s.connectAnswer(hif.StatusAborted)
	}
	s.failSends(hif.StatusAborted)
	s.queueRecv()
}

// unannounced reports whether the event ACCEPT of s is still in the queue.
func (o *outbox) unannounced(s *socket) bool {
	for i := range o.n {
		e := &o.queue[(o.head+i)%len(o.queue)]
		if e.kind == entryAccept && e.child == s.id && e.childGen == s.gen {
			return true
		}
	}
	return false
}

// rssi is the signal of the access point, or of the station that we are one for. Hosts take 0 for "no answer yet", so it is
// never said while joined (2.9).
func (f *firmware) rssi() int8 {
	if _, r, ok := f.lastStation(); ok {
		return r
	}
	if f.link.state != linkJoined {
		return 0
	}
	if r := f.sta.RSSI(); r < 0 {
		return r
	}
	return -1
}

// connInfo is GET_CONN_INFO: the access point, and our address (2.9).
func (f *firmware) connInfo(now time.Time) {
	var m hif.ConnInfo
	if f.ap != nil {
		m = f.apConnInfo()
	} else if f.link.state == linkJoined {
		n := f.link.network
		m = hif.ConnInfo{SSID: n.SSID, Security: hif.Security(n.Security), MAC: n.BSSID, RSSI: f.rssi(), Channel: n.Channel}
		if a := f.stack.Addr(); a.IsValid() {
			m.IP = a.Addr().As4()
		}
	}
	reply(f.d, hif.OpConnInfo, m)
}

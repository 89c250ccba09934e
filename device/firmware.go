package device

import (
	stdtls "crypto/tls"
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
)

// firmware is what runs on the chip's CPU from the start word to the next reset: the network side of the device. All its
// state is lost with it.
type firmware struct {
	d    *Device
	host hif.Version // release of the host's driver, 0 if it did not say
	mac  wire.MAC    // working address
	name string      // host name in DHCP

	sta   *wifi.Station
	stack *stack.Stack
	ap    *softAP // nil unless in Soft-AP mode

	apLife   uint32 // counts ends of Soft-APs: news of earlier ones are void
	elements []byte // for beacons of Soft-APs, as CUST_INFO_ELEMENT gave them

	limits  limits
	sockets []socket
	soonest time.Time // not after any connectBy, nor any RECV's deadline
	link    link
	ip      ipConfig
	scan    scanState
	clock   clock

	enrolling      bool // the station is at a WPS exchange
	renewAfterRoam bool
	sntp           timeSync
	dns            []*lookup
	pings          []*echo

	handshakes []handshake  // connections to listeners that have no id yet
	lingering  []*lingering // connections that the host has closed and that still have data to deliver

	ciphers     tls.Suites                // in force
	expiry      tls.Expiry                // whether dates of certificates count
	sessions    stdtls.ClientSessionCache // nil until a socket wants them kept
	revoked     [][]byte                  // certificates that are not trusted, as the host says
	certs       *ownCerts                 // that the host is sending
	ticketKey   [32]byte                  // of servers; zero until there is one
	shakers     []shaker                  // handshakes of TLS, the first of them under way
	tlsChildren []*tlsChild               // of TLS listeners, before they have an id

	ota    *updates
	bypass bypass
}

// limits are the numbers in force. They differ from the real part's only after the host asked (extension USTD).
type limits struct {
	tcp, udp int
	bytes    int
}

// newFirmware boots: a station that is not joined, an IP host without an address, all sockets free.
func newFirmware(d *Device, now time.Time, host hif.Version) (*firmware, error) {
	f := &firmware{d: d, host: host, mac: d.cfg.MAC, name: d.cfg.Name}
	f.limits = limits{
		tcp:   min(realTCPSockets, d.profile.TCPSockets),
		udp:   min(realUDPSockets, d.profile.UDPSockets),
		bytes: min(realSendBytes, d.profile.SendBytes),
	}
	if f.name == "" {
		f.name = defaultName(f.mac)
	}
	f.ip.dhcp = true
	f.bypass.on = d.wantsBypass()
	f.ciphers, f.expiry = d.profile.TLSSuites.Available(), tls.ExpiryIfTime
	f.makeSockets()
	f.ota = newUpdates(f)
	if err := f.makeNetwork(); err != nil {
		return nil, err
	}
	f.syncTime(now)
	return f, nil
}

// defaultName is the name that the real part gives itself (hif-messages 2.11).
func defaultName(mac wire.MAC) string {
	const hex = "0123456789ABCDEF"
	a, b := mac[4], mac[5]
	return string([]byte{'W', 'I', 'N', 'C', '-', hex[a>>4], hex[a&15], '-', hex[b>>4], hex[b&15]})
}

// shutdown takes the firmware off the air. The access point is told, which a chip that loses power could not do: its
// place there would be taken until the access point missed it.
func (f *firmware) shutdown(now time.Time) {
	f.stopTLS()
	f.ota.u.Stop(now)
	f.closeNetwork(now)
}

// setMAC changes the working address: a new station and a new IP host. Hosts do it before they connect (2.11).
func (f *firmware) setMAC(now time.Time, m hif.SetMAC) {
	mac := wire.MAC(m.MAC)
	if mac == f.mac {
		return
	}
	if mac == (wire.MAC{}) || mac.IsMulticast() {
		f.d.counters.Malformed++
		return
	}
	f.leave(now)
	if f.ap != nil {
		f.stopAP(now)
	}
	f.abortSockets(now) // of the old IP host
	f.closeNetwork(now)
	if f.name == defaultName(f.mac) {
		f.name = defaultName(mac)
	}
	f.mac = mac
	f.scansLost()
	if err := f.makeNetwork(); err != nil {
		f.d.trace(now, EventPower, 0, nil, err.Error())
		return
	}
	f.syncTime(now)
	f.d.writeMAC()
}

// advance fires what is due.
func (f *firmware) advance(now time.Time) {
	f.sta.Advance(now)
	if f.ap != nil {
		f.ap.radio.Advance(now)
		if f.ap.page != nil {
			f.ap.page.web.Advance(now)
		}
	}
	f.stack.Advance(now)
	f.expireSockets(now)
	f.expireLookups(now)
	f.expireDHCP(now)
	f.ota.u.Advance(now)
}

// deadline is the earliest of what advance looks at.
func (f *firmware) deadline() time.Time {
	t := earlier(f.sta.Deadline(), f.stack.Deadline())
	t = earlier(t, f.apDeadline())
	t = earlier(t, f.nextSocket())
	t = earlier(t, f.nextLookup())
	t = earlier(t, f.ota.deadline())
	return earlier(t, f.ip.giveUp)
}

// earlier returns the earlier of two deadlines, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due reports whether the deadline t has come.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// maxDrain bounds the events that one call handles; the rest waits for the next, which Deadline asks for at once.
const maxDrain = 4096

// drain handles what the station, the access point and the IP host have to say, until they are quiet.
func (f *firmware) drain(now time.Time) {
	for range maxDrain {
		if e, ok := f.sta.NextEvent(); ok {
			f.stationEvent(now, e)
		} else if f.drainAP(now) {
			continue
		} else if e, ok := f.stack.NextEvent(); ok {
			f.stackEvent(now, e)
		} else if f.ota.drain(now) {
			continue
		} else {
			return
		}
	}
}

package device

import (
	"time"

	"github.com/understudy-net/understudy/air/wifi"
	"github.com/understudy-net/understudy/bus/hif"
)

// setRoaming is ROAMING. Spec hif-messages 2.13, driver-api 2.2.
func (f *firmware) setRoaming(_ time.Time, m hif.Roaming) {
	f.sta.SetRoaming(m.Enable)
	f.renewAfterRoam = m.DHCP
}

// roamed is a move to another access point of the network. The address stays, and with it the sockets; if the host wants it,
// the DHCP server is asked whether it still holds. A server that says no ends both.
func (f *firmware) roamed(now time.Time, n wifi.Network) {
	f.link.network = n
	event(f.d, hif.OpStateChanged, hif.StateChanged{State: hif.Roamed})
	if f.renewAfterRoam && f.ip.dhcp {
		f.stack.RebindDHCP(now) // a client that has no lease yet goes on looking for one
	}
}

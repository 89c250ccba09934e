package wps_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"

	"github.com/understudy-net/understudy/air/wps"
	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/wire"
)

// Both ends against the programs that most devices have: EAP in EAPOL frames on a cable, since there is no radio here.

// cable is our end of a wire with a program at the other.
type cable struct {
	t         *testing.T
	n         *peers.Namespace
	c         *packet.Conn
	own, peer wire.MAC
	dir       string
}

func newCable(t *testing.T, programs ...string) *cable {
	peers.Need(t, programs...)
	w := &cable{t: t, n: peers.NewNamespace(t), dir: t.TempDir()}
	w.n.Run("ip", "link", "add", "ours", "type", "veth", "peer", "name", "theirs")
	w.n.Run("ip", "link", "set", "ours", "up")
	w.n.Run("ip", "link", "set", "theirs", "up")
	var err error
	w.n.Do(func() {
		var ours, theirs *net.Interface
		if ours, err = net.InterfaceByName("ours"); err != nil {
			return
		}
		if theirs, err = net.InterfaceByName("theirs"); err != nil {
			return
		}
		w.own, w.peer = wire.MAC(ours.HardwareAddr), wire.MAC(theirs.HardwareAddr)
		w.c, err = packet.Listen(ours, packet.Raw, int(wire.EtherTypeEAPOL), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.c.Close() })
	if err := w.c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return w
}

// config writes a file for the program, in which DIR is a directory for its socket.
func (w *cable) config(text string) string {
	path := filepath.Join(w.dir, "config")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", w.dir)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *cable) send(kind uint8, eap []byte) {
	w.t.Helper()
	b := wire.Ethernet{Dst: w.peer, Src: w.own, Type: wire.EtherTypeEAPOL}.Append(nil)
	b = binary.BigEndian.AppendUint16(append(b, 2, kind), uint16(len(eap)))
	if _, err := w.c.WriteTo(append(b, eap...), &packet.Addr{HardwareAddr: w.peer[:]}); err != nil {
		w.t.Fatal(err)
	}
}

// receive returns the next EAPOL frame of the program: its type and what it carries.
func (w *cable) receive(p *peers.Process) (kind uint8, eap []byte) {
	w.t.Helper()
	var b [2048]byte
	for {
		n, _, err := w.c.ReadFrom(b[:])
		if err != nil {
			w.t.Fatalf("%v\n%s", err, p.Output())
		}
		if n >= 18 && wire.MAC(b[6:12]) == w.peer {
			return b[15], b[18:n]
		}
	}
}

// wpa_supplicant comes to a network of our registrar.
func TestRegistrarAgainstWPASupplicant(t *testing.T) {
	w := newCable(t, "ip", "wpa_supplicant")
	p := w.n.Start("wpa_supplicant", "-D", "wired", "-i", "theirs", "-dd", "-c", w.config(`ctrl_interface=DIR
ap_scan=0
config_methods=display push_button
network={
  key_mgmt=IEEE8021X
  eap=WSC
  identity="WFA-SimpleConfig-Enrollee-1-0"
  phase1="pin=12345670"
  eapol_flags=0
}
`))
	var r *wps.Registrar
	for r == nil || !r.Over() {
		switch kind, eap := w.receive(p); {
		case kind == 1 && r == nil: // EAPOL-Start
			r = wps.NewRegistrar(wps.RegistrarConfig{
				Me:       wps.Device{MAC: w.own, UUID: wps.UUID(w.own), Name: "ours", Manufacturer: "Understudy", Model: "access point"},
				Enrollee: w.peer, PIN: "12345670", Network: wps.Credential{SSID: "home", Key: "correct horse"}, Rand: rand.NewPCG(1, 2),
			})
			w.send(0, r.Last())
		case kind == 0 && r != nil && r.Receive(eap):
			w.send(0, r.Last())
		}
	}
	if !r.Done() || r.Err() != nil {
		t.Errorf("%v\n%s", r.Err(), p.Output())
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(p.Output(), "Received Credential"); {
		if time.Now().After(end) {
			t.Fatalf("wpa_supplicant has no network\n%s", p.Output())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Our enrollee comes to a network of hostapd.
func TestEnrolleeAgainstHostapd(t *testing.T) {
	w := newCable(t, "ip", "hostapd", "hostapd_cli")
	p := w.n.Start("hostapd", "-dd", w.config(`interface=theirs
driver=wired
ctrl_interface=DIR
ieee8021x=1
eap_server=1
eap_reauth_period=0
use_pae_group_addr=0
ssid=home
wpa=2
wpa_key_mgmt=WPA-PSK
wpa_passphrase=correct horse
rsn_pairwise=CCMP
wps_state=2
ap_setup_locked=0
config_methods=display push_button keypad
device_name=theirs
`))
	for end := time.Now().Add(5 * time.Second); !strings.Contains(p.Output(), "AP-ENABLED"); {
		if time.Now().After(end) || p.Ended() {
			t.Fatalf("hostapd does not start\n%s", p.Output())
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.n.Run("hostapd_cli", "-p", w.dir, "-i", "theirs", "wps_pin", "any", "12345670")
	e := wps.NewEnrollee(wps.Device{MAC: w.own, UUID: wps.UUID(w.own), Name: "ours", Manufacturer: "Understudy", Model: "station"}, "12345670", rand.NewPCG(1, 2))
	w.send(1, nil)
	for !e.Over() {
		if kind, eap := w.receive(p); kind == 0 {
			if answer := e.Receive(eap); answer != nil {
				w.send(0, answer)
			}
		}
	}
	c, ok := e.Credential()
	if !ok || fmt.Sprint(c) != fmt.Sprint(wps.Credential{SSID: "home", MAC: w.own, Key: "correct horse"}) {
		t.Errorf("%+v %v %v\n%s", c, ok, e.Err(), p.Output())
	}
}

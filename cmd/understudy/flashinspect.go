package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"text/tabwriter"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
	devicetls "github.com/understudy-net/understudy/device/tls"
)

// flashReport is what "flash inspect" tells.
type flashReport struct {
	File     string         `json:"file"`
	Bytes    int            `json:"bytes"`
	Map      []flashRegion  `json:"map"`
	Boot     string         `json:"boot"` // what a device would start
	Boots    bool           `json:"boots"`
	Control  *flashControl  `json:"control,omitempty"`
	Images   []flashImage   `json:"images,omitempty"`
	Roots    flashCerts     `json:"roots"`
	Identity flashCerts     `json:"identity"` // the device's own first
	Networks []flashNetwork `json:"networks,omitempty"`
	Copies   []flashCopy    `json:"control_copies,omitempty"`
	HostFile *flashHostFile `json:"host_file,omitempty"`
}

type flashRegion struct {
	Name   string `json:"name"`
	Offset int    `json:"offset"`
	Bytes  int    `json:"bytes"`
	Used   int    `json:"used"` // up to the last byte that was written
}

// flashControl is the control section in force.
type flashControl struct {
	Sequence  uint32 `json:"sequence"`
	Confirmed string `json:"confirmed,omitempty"` // the image that has shown that it works
	Starts    uint8  `json:"starts,omitempty"`    // of the working image on trial
}

type flashImage struct {
	Slot    string `json:"slot"`
	Offset  int    `json:"offset"`
	Empty   bool   `json:"empty,omitempty"`
	Bytes   int    `json:"bytes,omitempty"` // if something says how long it is
	Version string `json:"version,omitempty"`
	Foreign bool   `json:"foreign,omitempty"`
	Driver  string `json:"min_driver,omitempty"` // the oldest that it works with
	Chip    string `json:"chip,omitempty"`
	Signed  bool   `json:"signed,omitempty"`
	Working bool   `json:"working,omitempty"` // the control section names it
	Runs    bool   `json:"runs,omitempty"`
	Standby bool   `json:"standby,omitempty"` // can be switched to
	Good    bool   `json:"good"`
	Why     string `json:"why,omitempty"` // it is not
}

// flashCerts is a store of certificates.
type flashCerts struct {
	Certificates []certificate `json:"certificates,omitempty"`
	Why          string        `json:"why,omitempty"` // it cannot be read
}

type flashNetwork struct {
	SSID       string `json:"ssid"`
	BSSID      string `json:"bssid,omitempty"`
	Channel    uint8  `json:"channel,omitempty"`
	Security   string `json:"security"`
	Passphrase string `json:"passphrase,omitempty"`
}

// flashRegions are those of the map, in its order.
var flashRegions = []flash.Region{
	flash.BootFirmware, flash.ControlMain, flash.ControlBackup, flash.PLLGain, flash.RootCertificates, flash.TLSServer,
	flash.HTTPFiles, flash.Connections, flash.Firmware1, flash.Firmware2, flash.HostFile,
}

// inspectFlash looks at all of a chip. The error is that of a storage that cannot be read.
func inspectFlash(f *flash.Flash, secrets bool) (*flashReport, error) {
	r := &flashReport{Bytes: f.Size()}
	for _, g := range flashRegions {
		p, err := f.Region(g)
		if errors.Is(err, flash.ErrNoRegion) {
			continue
		}
		if err != nil {
			return nil, err
		}
		used, err := usedBytes(f, g)
		if err != nil {
			return nil, err
		}
		r.Map = append(r.Map, flashRegion{g.String(), p.Offset(), p.Size(), used})
	}
	r.firmware(f)
	if len(r.Map) == 0 {
		return r, nil // 2 Mbit: nothing has a place
	}
	r.Roots = rootsIn(f)
	r.Identity = identityIn(f)
	for _, look := range []func(*flash.Flash) error{r.copies, r.hostFile} {
		if err := look(f); err != nil {
			return nil, err
		}
	}
	return r, r.networks(f, secrets)
}

// firmware looks at the control section and the images.
func (r *flashReport) firmware(f *flash.Flash) {
	b, bad := f.Look()
	switch r.Boots = bad == nil; {
	case bad != nil:
		r.Boot = bad.Error()
	case b.Backup != nil:
		r.Boot = "the image that was switched from, since the working one is no good: " + b.Backup.Error()
	default:
		r.Boot = "the working image"
	}
	c, err := f.Control()
	if err == nil {
		r.Control = newFlashControl(f, c)
	}
	for _, g := range []flash.Region{flash.Firmware1, flash.Firmware2} {
		p, err := f.Region(g)
		if err != nil {
			continue
		}
		at := uint32(p.Offset())
		i := newFlashImage(p)
		i.Slot = g.String()
		i.Empty, _ = erased(f, g) // what cannot be read is not good either
		i.Working = r.Control != nil && c.Working.Offset == at
		i.Runs = r.Boots && b.Running.Offset == at
		i.Standby = r.Boots && b.Other.Offset == at
		i.correct(p, &c)
		r.Images = append(r.Images, i)
	}
}

func newFlashControl(f *flash.Flash, c flash.Control) *flashControl {
	k := &flashControl{Sequence: c.Sequence, Starts: c.Starts}
	for _, g := range []flash.Region{flash.Firmware1, flash.Firmware2} {
		if p, err := f.Region(g); err == nil && c.Confirmed == uint32(p.Offset()) {
			k.Confirmed = g.String()
		}
	}
	return k
}

// newFlashImage reads the image in a slot.
func newFlashImage(p flash.Part) flashImage {
	i := flashImage{Offset: p.Offset()}
	h, err := flash.CheckImage(p)
	i.Foreign = errors.Is(err, image.ErrForeign)
	if i.Good = err == nil || i.Foreign; !i.Good {
		i.Why = err.Error()
	}
	if i.Good && !i.Foreign {
		i.Version, i.Bytes, i.Signed = h.Version().String(), int(h.Size), h.Key != nil
		i.Driver, i.Chip = h.MinDriver().String(), chipName(h.Chip())
	}
	return i
}

// correct takes what the control section knows of the image: its sum, which foreign firmware has nowhere else, and whether it may be
// switched to.
func (i *flashImage) correct(p flash.Part, c *flash.Control) {
	for _, s := range []flash.Slot{c.Working, c.Rollback} {
		if s.Offset != uint32(i.Offset) || !i.Good {
			continue
		}
		if s.Size == 0 {
			continue
		}
		i.Bytes = int(s.Size)
		if sum, err := p.Sum(i.Bytes); err != nil || sum != s.Sum {
			i.Good, i.Why = false, fmt.Sprintf("CRC %#08x of %d bytes, the control section has %#08x", sum, s.Size, s.Sum)
		}
	}
	if i.Good && !i.Runs && !i.Standby {
		i.Why = "may not be switched to: it is not marked valid"
	}
}

// networks reads the list of networks.
func (r *flashReport) networks(f *flash.Flash, secrets bool) error {
	list, err := f.Networks()
	for _, k := range list {
		n := flashNetwork{SSID: k.SSID, Channel: k.Channel, Security: hif.Security(k.Security).String()}
		if k.BSSID != [6]byte{} {
			n.BSSID = net.HardwareAddr(k.BSSID[:]).String()
		}
		if secrets {
			n.Passphrase = k.Passphrase
		}
		r.Networks = append(r.Networks, n)
	}
	return err
}

func rootsIn(f *flash.Flash) flashCerts {
	roots, err := devicetls.Roots(f)
	if err != nil {
		return flashCerts{Why: err.Error()}
	}
	return flashCerts{Certificates: certificatesOf(roots)}
}

func identityIn(f *flash.Flash) flashCerts {
	if none, err := erased(f, flash.TLSServer); none && err == nil {
		return flashCerts{}
	}
	c, err := devicetls.Identity(f)
	if err != nil {
		return flashCerts{Why: err.Error()}
	}
	return identityOf(c)
}

func (r *flashReport) print(p printer) error {
	if p.json {
		return p.result(r, "")
	}
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %d bytes, %d Mbit\n\nAT\tBYTES\tUSED\tREGION\n", r.File, r.Bytes, r.Bytes>>17)
	for _, g := range r.Map {
		fmt.Fprintf(w, "0x%06x\t%d\t%d\t%s\n", g.Offset, g.Bytes, g.Used, g.Name)
	}
	w.Flush() // columns of their own; an error stays
	fmt.Fprintf(w, "\nboot\t%s\n", r.Boot)
	if c := r.Control; c != nil {
		fmt.Fprintf(w, "control section\tsequence %d%s\n", c.Sequence, c.trial())
	}
	r.printCopies(w)
	for _, i := range r.Images {
		fmt.Fprintf(w, "%s\t%s\n", i.Slot, i.text())
	}
	r.Roots.print(w, "root certificate", "")
	r.Identity.print(w, "TLS server", "certificate of the issuer")
	if len(r.Networks) == 0 {
		fmt.Fprintf(w, "network\tnone\n")
	}
	for _, n := range r.Networks {
		fmt.Fprintf(w, "network\t%s\n", n.text())
	}
	if len(r.Map) > 0 {
		r.printHostFile(w)
	}
	return w.Flush()
}

func (c *flashControl) trial() string {
	switch {
	case c.Starts > 0:
		return fmt.Sprintf(", on trial for %s", plural(int(c.Starts), "start", "starts"))
	case c.Confirmed != "":
		return ", " + c.Confirmed + " has shown that it works"
	}
	return ""
}

func (i *flashImage) text() string {
	what := i.Version
	switch {
	case i.Empty:
		return "empty"
	case !i.Good:
		what = "no good: " + i.Why
	case i.Foreign:
		what = "firmware of somebody else"
	case i.Signed:
		what += ", signed"
	}
	if i.Good && i.Bytes != 0 {
		what += ", " + plural(i.Bytes, "byte", "bytes")
	}
	switch {
	case i.Runs:
		what += ", runs"
	case i.Standby:
		what += ", stands by"
	case i.Good:
		what += ", " + i.Why
	}
	return what
}

func (s *flashCerts) print(w io.Writer, first, others string) {
	switch {
	case s.Why != "":
		fmt.Fprintf(w, "%s\tunreadable: %s\n", first, s.Why)
	case len(s.Certificates) == 0:
		fmt.Fprintf(w, "%s\tnone\n", first)
	}
	for n, c := range s.Certificates {
		name := first
		if n > 0 && others != "" {
			name = others
		}
		fmt.Fprintf(w, "%s\t%s\n", name, c.text())
	}
}

func (n *flashNetwork) text() string {
	s := fmt.Sprintf("%q, %s", n.SSID, n.Security)
	if n.Channel != 0 {
		s += fmt.Sprintf(", channel %d", n.Channel)
	}
	if n.BSSID != "" {
		s += ", " + n.BSSID
	}
	if n.Passphrase != "" {
		s += fmt.Sprintf(", passphrase %q", n.Passphrase)
	}
	return s
}

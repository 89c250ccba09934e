package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/world"
)

// story tells a demo as it goes: calls of the host, messages on the bus,
// verdicts, each with its virtual time.
type story struct {
	ink
	w    io.Writer
	json bool
	all  bool // every message, not the first of each kind in a step
	pace func(at time.Time)
	err  error

	over   bool           // the end was told: what follows is only taking down
	seen   map[hif.Op]int // in this step, by message and direction
	hidden int            // messages that were not told
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	plain  = "\x1b[0m"
)

// line writes one line, or one object of JSON.
func (s *story) line(at time.Time, kind, text string, human string) {
	if s.over {
		return
	}
	if s.pace != nil {
		s.pace(at)
	}
	var err error
	if s.json {
		err = json.NewEncoder(s.w).Encode(struct {
			T    float64 `json:"t"`
			Kind string  `json:"kind"`
			Text string  `json:"text"`
		}{at.Sub(world.Epoch).Seconds(), kind, text})
	} else {
		_, err = fmt.Fprintln(s.w, human)
	}
	if s.err == nil {
		s.err = err
	}
}

func (s *story) clock(at time.Time) string {
	return s.paint(dim, fmt.Sprintf("%9.4f", at.Sub(world.Epoch).Seconds()))
}

func (s *story) begin(at time.Time, o demoOptions) {
	text := fmt.Sprintf("a host, a bus, a controller, an access point and the hosts behind it; seed %d", o.seed)
	clock := "virtual time"
	if o.realtime {
		clock = "real time"
	}
	s.line(at, "begin", text, s.paint(bold, "understudy demo")+"  "+text+"\n"+
		s.paint(dim, "  seconds, "+clock+"   ▸ call of the host   H> message to the controller   <D message from it"))
}

func (s *story) heading(at time.Time, title string) {
	s.seen, s.hidden = map[hif.Op]int{}, 0
	s.line(at, "step", title, "\n"+s.paint(bold+cyan, "── "+title+" "+strings.Repeat("─", max(0, 76-len([]rune(title))))))
}

func (s *story) call(at time.Time, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.line(at, "call", text, s.clock(at)+"  "+s.paint(bold, "▸ "+text))
}

func (s *story) outcome(at, start time.Time, verified string, err error) {
	if s.hidden > 0 {
		text := fmt.Sprintf("and %d more messages (-v shows all)", s.hidden)
		s.line(at, "more", text, s.clock(at)+"    "+s.paint(dim, "… "+text))
	}
	took := at.Sub(start).Round(100 * time.Microsecond)
	if err != nil {
		s.line(at, "failed", err.Error(), s.clock(at)+"  "+s.paint(red, "✗ ")+err.Error())
		return
	}
	s.line(at, "verified", verified, s.clock(at)+"  "+s.paint(green, "✓ ")+verified+s.paint(dim, fmt.Sprintf("  (%v)", took)))
}

func (s *story) end(at time.Time, steps int, took time.Duration, o demoOptions, err error) {
	defer func() { s.over = true }()
	if err != nil {
		s.line(at, "end", "failed", "\n"+s.paint(red+bold, "The demo failed."))
		return
	}
	text := fmt.Sprintf("%d steps, each verified", steps)
	if o.json { // the same for the same seed
		s.line(at, "end", text, "")
		return
	}
	text += fmt.Sprintf(": %.1f s of theirs in %.2f s of ours", at.Sub(world.Epoch).Seconds(), took.Seconds())
	s.line(at, "end", text, "\n"+s.paint(green+bold, "✓ ")+s.paint(bold, text))
}

// told is how many messages of a kind a step shows without -v.
const told = 3

// message is the device's trace hook.
func (s *story) message(e device.Event) {
	var arrow string
	key := e.Op
	switch e.Kind {
	case device.EventRequest:
		arrow = "H>"
	case device.EventMessage:
		arrow, key = "<D", e.Op|1<<15
	case device.EventPower, device.EventFirmware:
		s.line(e.At, "device", e.Text, s.clock(e.At)+"    "+s.paint(dim, "-- "+e.Text))
		return
	case device.EventRefused:
		arrow, key = "no buffer for", e.Op|1<<14
	default:
		return
	}
	if s.seen[key]++; s.seen[key] > told && !s.all {
		s.hidden++
		return
	}
	text := fmt.Sprintf("%s %-24v %s", arrow, e.Op, describe(e))
	s.line(e.At, "message", text, s.clock(e.At)+"    "+s.paint(dim, text))
}

// describe says what matters in a message.
func describe(e device.Event) string {
	if e.Kind == device.EventMessage {
		return describeMessage(e)
	}
	return describeRequest(e)
}

func describeMessage(e device.Event) string {
	switch e.Op {
	case hif.OpStateChanged:
		if m, err := hif.ParseStateChanged(e.Payload); err == nil {
			if m.Error != hif.ConnOK {
				return fmt.Sprintf("%v: %v", m.State, m.Error)
			}
			return m.State.String()
		}
	case hif.OpDHCPConf:
		if m, err := hif.ParseIPConfig(e.Payload); err == nil {
			return fmt.Sprintf("%v, gateway %v, DNS %v, lease %v", netip.AddrFrom4(m.IP), netip.AddrFrom4(m.Gateway), netip.AddrFrom4(m.DNS), time.Duration(m.Lease)*time.Second)
		}
	case hif.OpSysTime:
		if m, err := hif.ParseSysTime(e.Payload); err == nil {
			if m.Year == 0 {
				return "not known"
			}
			return m.Time().String()
		}
	case hif.OpScanDone:
		if m, err := hif.ParseScanDone(e.Payload); err == nil {
			return fmt.Sprintf("%d found", m.Count)
		}
	case hif.OpScanResult:
		if m, err := hif.ParseScanResult(e.Payload); err == nil {
			return fmt.Sprintf("%s, channel %d, %d dBm, %v", printable(m.SSID), m.Channel, m.RSSI, m.Security)
		}
	case hif.OpDNSResolve:
		if m, err := hif.ParseDNSReply(e.Payload); err == nil {
			return fmt.Sprintf("%s is %v", m.Name, netip.AddrFrom4(m.IP))
		}
	case hif.OpPing:
		if m, err := hif.ParsePingReply(e.Payload); err == nil {
			return fmt.Sprintf("%v: %v, %d ms", netip.AddrFrom4(m.IP), m.Error, m.RTT)
		}
	case hif.OpAccept:
		if m, err := hif.ParseAccept(e.Payload); err == nil {
			return fmt.Sprintf("socket %d from %v", m.Sock, m.Peer)
		}
	case hif.OpSockConnect:
		if m, err := hif.ParseSockConnectReply(e.Payload); err == nil {
			return fmt.Sprintf("socket %d: %v", m.Sock, m.Status)
		}
	case hif.OpRecv, hif.OpRecvFrom, hif.OpSSLRecv:
		if m, err := hif.ParseRecvReply(e.Payload); err == nil {
			return fmt.Sprintf("socket %d: %s", m.Sock, received(m))
		}
	case hif.OpProgress:
		if m, err := hif.ParseProgress(e.Payload); err == nil {
			return fmt.Sprintf("%d of %d bytes stored", m.Stored, m.Expected)
		}
	case hif.OpUpdateStatus:
		if m, err := hif.ParseUpdateStatus(e.Payload); err == nil {
			return fmt.Sprintf("%v: %v", m.Type, m.Status)
		}
	case hif.OpSend, hif.OpSendTo, hif.OpSSLSend:
		if m, err := hif.ParseSendReply(e.Payload); err == nil {
			if m.Status < 0 {
				return fmt.Sprintf("socket %d: %v", m.Sock, m.Status)
			}
			return fmt.Sprintf("socket %d: %d bytes acknowledged", m.Sock, m.Status)
		}
	}
	return fmt.Sprintf("%d bytes", len(e.Payload))
}

func describeRequest(e device.Event) string {
	switch e.Op {
	case hif.OpConnect:
		if m, err := hif.ParseConnect(e.Payload); err == nil {
			return fmt.Sprintf("%s, %v", printable(m.SSID), m.Security)
		}
	case hif.OpEnableAP:
		if m, err := hif.ParseAPConfig(e.Payload); err == nil {
			return fmt.Sprintf("%s, channel %d, %v, %v", printable(m.SSID), m.Channel, m.Security, netip.AddrFrom4(m.IP))
		}
	case hif.OpStartUpdateV2:
		if m, err := hif.ParseStartUpdateV2(e.Payload); err == nil {
			return m.URL
		}
	case hif.OpDNSResolve:
		if m, err := hif.ParseDNSResolve(e.Payload); err == nil {
			return m.Name
		}
	case hif.OpPing:
		if m, err := hif.ParsePing(e.Payload); err == nil {
			return netip.AddrFrom4(m.IP).String()
		}
	case hif.OpSockConnect, hif.OpSSLConnect:
		if m, err := hif.ParseSockConnect(e.Payload); err == nil {
			return fmt.Sprintf("socket %d to %v", m.Sock, m.Addr)
		}
	case hif.OpBind:
		if m, err := hif.ParseBind(e.Payload); err == nil {
			return fmt.Sprintf("socket %d at %v", m.Sock, m.Addr)
		}
	case hif.OpSend, hif.OpSendTo, hif.OpSSLSend:
		if m, err := hif.ParseSend(e.Payload); err == nil {
			return fmt.Sprintf("socket %d: %d bytes", m.Sock, m.Size)
		}
	case hif.OpClose, hif.OpSSLClose:
		if m, err := hif.ParseClose(e.Payload); err == nil {
			return fmt.Sprintf("socket %d", m.Sock)
		}
	case hif.OpRecv, hif.OpRecvFrom, hif.OpSSLRecv:
		if m, err := hif.ParseRecv(e.Payload); err == nil {
			return fmt.Sprintf("socket %d", m.Sock)
		}
	}
	if len(e.Payload) == 0 {
		return ""
	}
	return fmt.Sprintf("%d bytes", len(e.Payload))
}

func received(m hif.RecvReply) string {
	switch {
	case m.Status > 0:
		return fmt.Sprintf("%d bytes from %v", m.Status, m.Remote)
	case m.Status == 0:
		return "closed by the peer"
	}
	return m.Status.String()
}

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// ink paints text for a terminal, or with false leaves it as it is.
type ink bool

func (i ink) paint(code, text string) string {
	if !i {
		return text
	}
	return code + text + plain
}

// text is what a person sees of it.
func (l *look) text(c ink) string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%s %s\n", c.paint(dim, fmt.Sprintf("%-8s", name)), fmt.Sprintf(format, args...))
	}
	row("device", "%s", l.deviceText())
	if l.Device.Driver != "" {
		row("link", "%s", l.linkText())
		for _, s := range l.Stations {
			row("station", "%s, %s, %d dBm", s.MAC, known(s.Address, "no address"), s.RSSI)
		}
		row("address", "%s", l.ipText())
		row("clock", "%s", l.clockText())
	}
	if text := l.Update.text(); text != "" {
		row("update", "%s", text)
	}
	row("bus", "%s", l.busText())
	if faults := l.faults(); faults != "" {
		row("counted", "%s", faults)
	}
	b.WriteByte('\n')
	l.writeSockets(&b, c)
	b.WriteByte('\n')
	l.writeStuck(&b, c)
	return b.String()
}

func (l *look) deviceText() string {
	d := &l.Device
	text := fmt.Sprintf("%s, %s", d.Profile, d.Power)
	if d.Firmware != "" {
		text += " " + d.Firmware
	}
	if d.Standby != "" {
		text += ", standby " + d.Standby
	}
	if d.Driver != "" {
		text += fmt.Sprintf(", host driver %s, %s", d.Driver, d.MAC)
	}
	if d.Error != "" {
		text += ", " + d.Error
	}
	return text
}

func (l *look) linkText() string {
	k := &l.Link
	if k.SSID == "" && k.BSSID == "" {
		return k.State
	}
	text := fmt.Sprintf("%s, %s (%s), %s, channel %d", k.State, printable(k.SSID), k.Security, k.BSSID, k.Channel)
	if k.RSSI != 0 {
		text += fmt.Sprintf(", %d dBm", k.RSSI)
	}
	return text
}

func (l *look) ipText() string {
	if !l.IP.Address.IsValid() {
		return "none"
	}
	how := "static"
	if l.IP.DHCP {
		how = "by DHCP"
	}
	text := fmt.Sprintf("%v %s, gateway %s", l.IP.Address, how, known(l.IP.Gateway, "none"))
	for i, d := range l.IP.DNS {
		text += []string{", DNS ", ", "}[min(i, 1)] + d.String()
	}
	return text
}

func (l *look) clockText() string {
	if l.Clock.Time.IsZero() {
		return "not known"
	}
	return fmt.Sprintf("%s, from %s", l.Clock.Time.UTC().Format("2006-01-02 15:04:05 MST"), printable(l.Clock.By))
}

func (l *look) busText() string {
	b := &l.Bus
	text := fmt.Sprintf("%d requests, %d messages; ", l.Counters["Requests"], l.Counters["Messages"])
	switch {
	case b.Message == "" && b.Queued == 0:
		text += "nothing is before the host"
	case b.Message == "":
		text += fmt.Sprintf("%d messages wait for the host", b.Queued)
	case b.Fetched:
		text += fmt.Sprintf("%s fetched, RX done has not come, %d behind it", b.Message, b.Queued)
	default:
		text += fmt.Sprintf("%s not fetched, %d behind it", b.Message, b.Queued)
	}
	if b.IRQ {
		text += "; the interrupt line is low"
	}
	if b.Held > 0 {
		text += fmt.Sprintf("; %d of %d send buffers wait", b.Held, b.Buffers)
	}
	return text
}

// faults are the counters of what did not go as it should.
func (l *look) faults() string {
	var names []string
	for n := range l.Counters {
		if n != "Boots" && n != "Requests" && n != "Messages" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, l.Counters[n])
	}
	return strings.Join(names, ", ")
}

// writeSockets writes the table, and under each socket what else is to be said of it.
func (l *look) writeSockets(b *strings.Builder, c ink) {
	if len(l.Sockets) == 0 {
		b.WriteString("no sockets\n")
		return
	}
	rows := [][]string{{"ID", "KIND", "STATE", "LOCAL", "REMOTE", "IN", "OUT", "HOST"}}
	for i := range l.Sockets {
		s := &l.Sockets[i]
		rows = append(rows, []string{
			fmt.Sprint(s.ID), s.Kind, s.State, place(s.Local), place(s.Remote), s.in(), fmt.Sprint(s.Out), s.host(),
		})
	}
	for i, line := range columns(rows) {
		if i == 0 {
			b.WriteString(c.paint(bold, line) + "\n")
			continue
		}
		b.WriteString(line + "\n")
		for _, d := range l.Sockets[i-1].details() {
			b.WriteString(c.paint(dim, "    "+d) + "\n")
		}
	}
}

// place prints an address that a socket may not have, or not yet.
func place(a netip.AddrPort) string {
	switch {
	case !a.Addr().IsValid() && a.Port() == 0:
		return "-"
	case !a.Addr().IsValid() || a.Addr().IsUnspecified():
		return fmt.Sprintf("*:%d", a.Port())
	}
	return a.String()
}

// in is what waits for a RECV.
func (s *lookSocket) in() string {
	if s.Kind == "UDP" {
		if s.Unread {
			return "some"
		}
		return "-"
	}
	return fmt.Sprint(s.In)
}

// host is what the host has asked for and not been answered.
func (s *lookSocket) host() string {
	var waits []string
	if s.Recv {
		waits = append(waits, "RECV")
	}
	if s.Sends > 0 {
		waits = append(waits, plural(s.Sends, "SEND", "SENDs"))
	}
	if len(waits) == 0 {
		return "-"
	}
	return strings.Join(waits, ", ")
}

// details are lines about a connection.
func (s *lookSocket) details() (lines []string) {
	if t := s.TCP; t != nil {
		text := t.State
		if t.RTT > 0 {
			text += fmt.Sprintf(", RTT %.1f ms", t.RTT)
		}
		text += fmt.Sprintf(", peer's window %d", t.SendWindow)
		if t.Retransmits > 0 {
			text += ", " + plural(t.Retransmits, "retransmission", "retransmissions")
		}
		if s.Accepted {
			text += ", accepted"
		}
		lines = append(lines, text)
	}
	if s.TLS != "" {
		lines = append(lines, "TLS "+s.TLS)
	}
	return lines
}

// writeStuck writes who owes the next step.
func (l *look) writeStuck(b *strings.Builder, c ink) {
	if len(l.Stuck) == 0 {
		b.WriteString(c.paint(green, "nothing is pending") + "\n")
		return
	}
	b.WriteString(c.paint(bold, "who owes the next step") + "\n")
	for _, s := range l.Stuck {
		code := cyan
		if s.Seconds >= watchQuiet.Seconds() {
			code = yellow
		}
		fmt.Fprintf(b, "  %s  %s%s\n", c.paint(code, fmt.Sprintf("%-7s", s.Who)), s.What, c.paint(dim, "  ("+since(s.Seconds)+")"))
	}
}

// since prints a time that has passed.
func since(seconds float64) string {
	if seconds < 10 {
		return fmt.Sprintf("%.1f s", seconds)
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// columns lines up the cells of rows.
func columns(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		var b strings.Builder
		for j, cell := range r {
			fmt.Fprintf(&b, "%-*s  ", widths[j], cell)
		}
		lines[i] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

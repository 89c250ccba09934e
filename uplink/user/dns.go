package user

import (
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/understudy-net/understudy/wire"
)

// The names that the gateway answers by itself.
const (
	HostName    = "host.internal"    // the host's loopback; reachable only with Config.AllowHost
	GatewayName = "gateway.internal" // the gateway
)

const (
	dnsPort  = 53
	dhcpPort = 67 // of servers
)

// A dnsServer has the questions that the host's resolver is being asked.
type dnsServer struct {
	asking map[dnsKey]struct{} // over UDP
	busy   int                 // these, and those over TCP
}

// A dnsKey is what a repetition of a question shares with the first one.
type dnsKey struct {
	src netip.AddrPort
	id  uint16
}

// query takes a question that came over UDP. Our own names are answered at once, the others by a goroutine that asks the
// host's resolver, which knows its hosts file, its servers and its cache.
func (u *Uplink) query(now time.Time, src netip.AddrPort, msg []byte) {
	q, rcode, ok := parseQuestion(msg)
	if !ok {
		u.stats.DNS.Malformed++
		return
	}
	if rcode != dnsmessage.RCodeSuccess {
		u.stats.DNS.Malformed++
		u.reply(now, src, q.reply(nil, rcode, q.limit()))
		return
	}
	u.stats.DNS.Queries++
	if answers, rcode, ok := u.local(q); ok {
		u.stats.DNS.Local++
		u.reply(now, src, q.reply(answers, rcode, q.limit()))
		return
	}
	key := dnsKey{src, q.header.ID}
	if _, ok := u.dns.asking[key]; ok {
		u.stats.DNS.Repeated++
		return
	}
	if !u.takeLookup(now, src, wire.ProtoUDP) {
		return
	}
	u.dns.asking[key] = struct{}{}
	u.wg.Go(func() {
		answers, rcode := u.lookup(q)
		msg := q.reply(answers, rcode, q.limit())
		now := u.lock()
		defer u.unlock()
		delete(u.dns.asking, key)
		u.dns.busy--
		u.countLookup(rcode)
		if !u.closed {
			u.reply(now, src, msg)
		}
	})
}

// takeLookup takes one of the places at the host's resolver, if there is one.
func (u *Uplink) takeLookup(now time.Time, src netip.AddrPort, proto wire.Proto) bool {
	if u.dns.busy >= u.c.MaxLookups {
		u.refuse(Event{At: now, Proto: proto, Src: src, Dst: u.dnsAddr(), Reason: ReasonTooMany})
		return false
	}
	u.dns.busy++
	return true
}

func (u *Uplink) countLookup(rcode dnsmessage.RCode) {
	if rcode == dnsmessage.RCodeServerFailure {
		u.stats.DNS.Failed++
	} else {
		u.stats.DNS.Answered++
	}
}

func (u *Uplink) dnsAddr() netip.AddrPort { return netip.AddrPortFrom(u.policy.gateway, dnsPort) }

func (u *Uplink) reply(now time.Time, to netip.AddrPort, msg []byte) {
	if msg == nil || u.s.SendUDP(now, u.dnsAddr(), to, msg) != nil {
		u.stats.UDP.Unsent++
	}
}

// serveDNS returns the device's end of a stream with a name server at the other (RFC 7766): devices come here when an answer
// was truncated.
func (u *Uplink) serveDNS() stream {
	fromDevice, deviceOut := io.Pipe()
	deviceIn, toDevice := io.Pipe()
	u.wg.Go(func() {
		defer fromDevice.Close()
		defer toDevice.Close()
		idle := time.AfterFunc(u.c.DNSTimeout, func() { fromDevice.Close() })
		defer idle.Stop()
		for u.serveOne(fromDevice, toDevice) {
			idle.Reset(u.c.DNSTimeout)
		}
	})
	return &duplex{deviceIn, deviceOut}
}

// serveOne answers one question of a stream and reports whether another may follow.
func (u *Uplink) serveOne(r io.Reader, w io.Writer) bool {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return false
	}
	b := getBuffer()
	defer putBuffer(b)
	msg := b[:binary.BigEndian.Uint16(length[:])]
	if _, err := io.ReadFull(r, msg); err != nil {
		return false
	}
	answer := u.answerStream(msg)
	if answer == nil {
		return false
	}
	answer = append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
	_, err := w.Write(answer)
	return err == nil
}

// answerStream answers a question that came over TCP; nil if it is none.
func (u *Uplink) answerStream(msg []byte) []byte {
	q, rcode, ok := parseQuestion(msg)
	now := u.lock()
	ask := false
	var answers []dnsmessage.Resource
	switch {
	case !ok, rcode != dnsmessage.RCodeSuccess:
		u.stats.DNS.Malformed++
	default:
		u.stats.DNS.Queries++
		var local bool
		if answers, rcode, local = u.local(q); local {
			u.stats.DNS.Local++
		} else if ask = u.takeLookup(now, netip.AddrPort{}, wire.ProtoTCP); !ask {
			rcode = dnsmessage.RCodeServerFailure
		}
	}
	u.unlock()
	if ask {
		answers, rcode = u.lookup(q)
		u.lock()
		u.dns.busy--
		u.countLookup(rcode)
		u.unlock()
	}
	if !ok {
		return nil
	}
	return q.reply(answers, rcode, maxMessage)
}

// lookup asks the host's resolver. It runs without the lock.
func (u *Uplink) lookup(q question) ([]dnsmessage.Resource, dnsmessage.RCode) {
	ctx, cancel := context.WithTimeout(u.ctx, u.c.DNSTimeout)
	defer cancel()
	return lookup(ctx, u.c.Resolver, q)
}

// A duplex is one end of two pipes.
type duplex struct {
	*io.PipeReader
	w *io.PipeWriter
}

func (d *duplex) Write(p []byte) (int, error) { return d.w.Write(p) }
func (d *duplex) CloseWrite() error           { return d.w.Close() }
func (d *duplex) Close() error {
	d.w.Close()
	return d.PipeReader.Close()
}

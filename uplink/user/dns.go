package user

import (
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"github.com/understudy-net/understudy/stack/dns"
	"github.com/understudy-net/understudy/wire"
)

// The names that the gateway answers by itself.
const (
	HostName    = "host.internal"    // the host's loopback; reachable only with Config.AllowHost
	GatewayName = "gateway.internal" // the gateway
)

const (
	dnsPort  = dns.Port
	dhcpPort = 67 // of servers
)

// answerTTL is the life of a record. The host's resolver does not tell the true one; half a minute keeps a device
// from asking again for each connection.
const answerTTL = 30 * time.Second

// newForwarder makes the gateway's name server.
func (u *Uplink) newForwarder() (*dns.Forwarder, error) {
	var own dns.Server
	if err := own.Set(HostName, answerTTL, u.policy.host); err != nil {
		return nil, err
	}
	if err := own.Set(GatewayName, answerTTL, u.policy.gateway); err != nil {
		return nil, err
	}
	return dns.NewForwarder(dns.ForwarderConfig{
		Pending: u.c.MaxLookups, Timeout: u.c.DNSTimeout, Local: &own, Network: u.c.Prefix,
	}), nil
}

// query takes a question that came over UDP.
func (u *Uplink) query(now time.Time, src netip.AddrPort, msg []byte) {
	u.noteBusy(now, src, wire.ProtoUDP, u.dns.Input(now, src, msg))
	u.pumpDNS(now)
}

func (u *Uplink) noteBusy(now time.Time, src netip.AddrPort, proto wire.Proto, err error) {
	if err == dns.ErrBusy {
		u.refuse(Event{At: now, Proto: proto, Src: src, Dst: u.dnsAddr(), Reason: ReasonTooMany})
	}
}

func (u *Uplink) dnsAddr() netip.AddrPort { return netip.AddrPortFrom(u.policy.gateway, dnsPort) }

// pumpDNS has the host's resolver asked what devices asked, and sends what they are answered. The lock is held.
func (u *Uplink) pumpDNS(now time.Time) {
	for q, ok := u.dns.NextEvent(); ok; q, ok = u.dns.NextEvent() {
		u.wg.Go(func() { u.lookup(q) })
	}
	for {
		msg, to, stream, ok := u.dns.Output(now, nil)
		switch {
		case !ok:
			return
		case stream != nil:
			stream.(chan []byte) <- msg // does not block: it has room for one, and one is asked at a time
		case u.s.SendUDP(now, u.dnsAddr(), to, msg) != nil:
			u.stats.UDP.Unsent++
		}
	}
}

// serveDNS returns the device's end of a stream with a name server at the other (RFC 7766): devices come here when an answer
// was truncated.
func (u *Uplink) serveDNS(src netip.AddrPort) stream {
	fromDevice, deviceOut := io.Pipe()
	deviceIn, toDevice := io.Pipe()
	u.wg.Go(func() {
		defer fromDevice.Close()
		defer toDevice.Close()
		idle := time.AfterFunc(u.c.DNSTimeout, func() { fromDevice.Close() })
		defer idle.Stop()
		answers := make(chan []byte, 1)
		for u.serveOne(src, answers, fromDevice, toDevice) {
			idle.Reset(u.c.DNSTimeout)
		}
	})
	return &duplex{deviceIn, deviceOut}
}

// serveOne answers one question of a stream and reports whether another may follow.
func (u *Uplink) serveOne(src netip.AddrPort, answers chan []byte, r io.Reader, w io.Writer) bool {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return false
	}
	b := getBuffer()
	defer putBuffer(b)
	msg := b[:binary.BigEndian.Uint16(length[:])]
	if _, err := io.ReadFull(r, msg); err != nil || !u.queryStream(src, answers, msg) {
		return false
	}
	select {
	case answer := <-answers:
		// Length and message in one write (RFC 7766, 8).
		_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
		return err == nil
	case <-u.ctx.Done():
		return false
	}
}

// queryStream takes a question that came over TCP and reports whether an answer will come to answers.
func (u *Uplink) queryStream(src netip.AddrPort, answers chan []byte, msg []byte) bool {
	now := u.lock()
	defer u.unlock()
	if u.closed {
		return false
	}
	err := u.dns.InputStream(now, src, answers, msg)
	u.noteBusy(now, src, wire.ProtoTCP, err)
	u.pumpDNS(now)
	return err != dns.ErrNotQuery
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

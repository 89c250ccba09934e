package stack

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/stack/tcp"
	"github.com/understudy-net/understudy/wire"
)

// A script is a conversation with one stack, in packetdrill's notation: < is a segment to us, > one
// from us, numbers are relative to the initial ones, times to the line before. Each line is a time,
// a verb and its arguments:
//
//	+0     listen                      at port 80
//	+0     connect                     to the peer's port 7
//	+0     < S 0:0(0) win 8192 <mss 1460>
//	+0     > S. 0:0(0) ack 1           win and options are compared only if they are there
//	+0     accept | read 5 | write 5 | nodelay | close | closewrite | abort | eof | err TEXT | state ESTABLISHED ...
//
// Whatever the stack sends must be in the script: a line that is not > fails if something was sent
// and not expected.
type script struct {
	t     *testing.T
	s     *Stack
	now   time.Time
	out   []sentFrame
	c     TCP
	l     Listener
	port  uint16 // ours
	peer  uint16
	iss   uint32 // ours, once known
	known bool
	wrote int
	trace []string

	pendingARP []wire.ARP
	deaf       int  // requests that the peer did not answer
	gone       bool // the peer answers no ARP
}

type sentFrame struct {
	at    time.Time
	frame []byte
}

const peerISN = 5000

var peerMAC = wire.MAC{2, 0, 0, 0, 0, 9}

// scriptConf is the configuration of scripts: no option but MSS, unless asked for.
func scriptConf() Config {
	return Config{TCP: tcp.Config{NoTimestamps: true, NoWindowScale: true, NoSACK: true, Congestion: tcp.NewReno}}
}

// lone makes a stack with an address and a neighbour that it knows, addrB.
func lone(t *testing.T, c Config) *script {
	x := &script{t: t, now: start, port: 80, peer: 7}
	c.MAC, c.Rand = wire.MAC{2, 0, 0, 0, 0, 1}, testSource(5)
	c.ACD = ACD{Off: true, Announces: -1}
	c.Output = func(now time.Time, f []byte) {
		if h, b, err := wire.ParseEthernet(f); err == nil && h.Type == wire.EtherTypeARP {
			a, _ := wire.ParseARP(b)
			if a.Op == wire.ARPRequest && a.TargetIP == addrB { // the peer answers at once, out of the script's sight
				r := wire.ARP{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: addrB, TargetMAC: a.SenderMAC, TargetIP: a.SenderIP}
				if x.gone {
					x.deaf++
				} else {
					x.pendingARP = append(x.pendingARP, r)
				}
				return
			}
		}
		x.out = append(x.out, sentFrame{now, append([]byte(nil), f...)})
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	x.s = s
	s.SetAddr(x.now, netip.PrefixFrom(addrA, 24), netip.MustParseAddr("10.0.0.254"))
	x.arpReply(wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addrB, TargetIP: addrA})
	x.out = nil
	x.drainEvents()
	return x
}

func (x *script) drainEvents() (l []Event) {
	for {
		e, ok := x.s.NextEvent()
		if !ok {
			return l
		}
		l = append(l, e)
	}
}

func (x *script) arpReply(a wire.ARP) {
	f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: a.SenderMAC, Type: wire.EtherTypeARP}.Append(nil)
	x.s.Input(x.now, a.Append(f))
}

func (x *script) answerARP() {
	for len(x.pendingARP) > 0 {
		a := x.pendingARP[0]
		x.pendingARP = x.pendingARP[1:]
		x.arpReply(a)
	}
}

// pass advances the stack to the time d from now.
func (x *script) pass(d time.Duration) {
	until := x.now.Add(d)
	for i := 0; ; i++ {
		x.answerARP()
		dl := x.s.Deadline()
		if dl.IsZero() || dl.After(until) {
			break
		}
		if i > 20000 {
			x.t.Fatalf("Advance does not come to rest at %v, deadline %v", x.now.Sub(start), dl.Sub(start))
		}
		if dl.After(x.now) {
			x.now = dl
		}
		x.s.Advance(x.now)
	}
	x.now = until
	x.answerARP()
}

// ip wraps a payload in IPv4 and Ethernet, from the peer to us.
func (x *script) ip(proto wire.Proto, payload []byte) []byte {
	return x.ipFrom(addrB, addrA, proto, payload)
}

func (x *script) ipFrom(src, dst netip.Addr, proto wire.Proto, payload []byte) []byte {
	f := wire.Ethernet{Dst: x.s.cfg.MAC, Src: peerMAC, Type: wire.EtherTypeIPv4}.Append(nil)
	f = wire.IPv4{TTL: 64, Proto: proto, Src: src, Dst: dst}.Append(f, len(payload))
	return append(f, payload...)
}

func (x *script) segment(seg wire.TCP, data []byte) []byte {
	return x.ip(wire.ProtoTCP, seg.Append(nil, addrB, addrA, data))
}

// run plays a script.
func (x *script) run(text string) *script {
	x.t.Helper()
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 0 {
			if err := x.line(f); err != nil {
				x.t.Fatalf("line %d, %q: %v\ntrace:\n%s", i+1, strings.TrimSpace(line), err, strings.Join(x.trace, "\n"))
			}
		}
	}
	if err := x.nothingLeft(); err != nil {
		x.t.Fatalf("at the end: %v\ntrace:\n%s", err, strings.Join(x.trace, "\n"))
	}
	return x
}

func (x *script) note(format string, a ...any) {
	x.trace = append(x.trace, fmt.Sprintf("%9.4f ", x.now.Sub(start).Seconds())+fmt.Sprintf(format, a...))
}

func (x *script) nothingLeft() error {
	if len(x.out) > 0 {
		return fmt.Errorf("was not expected: > %s at %.4f", x.text(x.out[0].frame), x.out[0].at.Sub(start).Seconds())
	}
	return nil
}

func (x *script) line(f []string) error {
	if strings.HasPrefix(f[0], "+") {
		d, err := strconv.ParseFloat(f[0][1:], 64)
		if err != nil {
			return err
		}
		x.pass(time.Duration(d * float64(time.Second)))
		f = f[1:]
	}
	if f[0] == ">" {
		return x.expect(strings.Join(f[1:], " "))
	}
	if f[0] == "skip" { // whatever was sent
		x.out = nil
		return nil
	}
	if err := x.nothingLeft(); err != nil {
		return err
	}
	x.note("%s", strings.Join(f, " "))
	arg := func(i int) int {
		if i >= len(f) {
			return 0
		}
		n, err := strconv.Atoi(f[i])
		if err != nil {
			x.t.Fatal(err)
		}
		return n
	}
	var err error
	switch f[0] {
	case "<":
		err = x.inject(f[1:])
	case "listen":
		x.l, err = x.s.Listen(x.now, netip.AddrPortFrom(addrA, x.port), ListenConfig{Backlog: arg(1)})
	case "hold":
		x.l, err = x.s.Listen(x.now, netip.AddrPortFrom(addrA, x.port), ListenConfig{Hold: true})
	case "held":
		err = fmt.Errorf("no held connection")
		for _, e := range x.drainEvents() {
			if e.Flags.Has(Held) {
				x.c, err = e.TCP, nil
			}
		}
	case "release":
		err = x.c.Accept(x.now)
	case "refuse":
		err = x.c.Refuse(x.now)
	case "drop":
		err = x.c.Drop(x.now)
	case "accept":
		x.c, err = x.l.Accept(x.now)
	case "noaccept":
		if _, e := x.l.Accept(x.now); e != errWouldBlock {
			err = fmt.Errorf("accept gave %v", e)
		}
	case "unlisten":
		err = x.l.Close(x.now)
	case "connect":
		x.port = 1234
		x.c, err = x.s.Dial(x.now, netip.AddrPortFrom(addrA, x.port), netip.AddrPortFrom(addrB, x.peer))
	case "write":
		b := make([]byte, arg(1))
		for i := range b {
			b[i] = byte(x.wrote + i)
		}
		var n int
		n, err = x.c.Write(x.now, b)
		x.wrote += n
		if err == errWouldBlock {
			err = nil
		}
	case "read":
		b := make([]byte, arg(1))
		n, e := x.c.Read(x.now, b)
		if n != arg(1) {
			err = fmt.Errorf("read %d bytes, %v", n, e)
		}
	case "unread":
		if in, _ := x.c.Buffered(); in != arg(1) {
			err = fmt.Errorf("%d bytes are to be read", in)
		}
	case "eof":
		if _, e := x.c.Read(x.now, make([]byte, 1)); e != io.EOF {
			err = fmt.Errorf("read gave %v", e)
		}
	case "err":
		_, e := x.c.Read(x.now, make([]byte, 1))
		if e == nil || !strings.Contains(e.Error(), strings.Join(f[1:], " ")) {
			err = fmt.Errorf("read gave %v", e)
		}
	case "close":
		err = x.c.Close(x.now)
	case "closewrite":
		err = x.c.CloseWrite(x.now)
	case "abort":
		err = x.c.Abort(x.now)
	case "nodelay":
		err = x.c.SetNoDelay(true)
	case "buffers":
		err = x.c.SetBuffers(arg(1), arg(2))
	case "keepalive":
		err = x.c.SetKeepAlive(x.now, time.Duration(arg(1))*time.Second, time.Duration(arg(2))*time.Second, arg(3))
	case "usertimeout":
		err = x.c.SetUserTimeout(x.now, time.Duration(arg(1))*time.Second)
	case "state":
		if got := x.state(); got != f[1] {
			err = fmt.Errorf("state is %s", got)
		}
	case "icmp": // type code relative-seq mtu
		x.icmp(arg(1), arg(2), uint32(arg(3)), arg(4))
	case "cwnd":
		if got := x.c.Info().Cwnd; got != arg(1) {
			err = fmt.Errorf("cwnd is %d", got)
		}
	default:
		err = fmt.Errorf("no such verb")
	}
	return err
}

// state is that of the connection of the script, also when its owner has closed it.
func (x *script) state() string {
	for _, k := range x.s.tcpSlots {
		if k != nil && k.key.local.port == x.port && k.key.remote.port == x.peer {
			return k.conn.State().String()
		}
	}
	return "CLOSED"
}

// icmp injects an error that quotes our segment beginning at seq.
func (x *script) icmp(typ, code int, seq uint32, mtu int) {
	q := wire.TCP{SrcPort: x.port, DstPort: x.peer, Seq: x.iss + seq}.Append(nil, addrA, addrB, nil)
	p := wire.IPv4{TTL: 60, Proto: wire.ProtoTCP, Src: addrA, Dst: addrB}.Append(nil, len(q))
	m := wire.ICMP{Type: wire.ICMPType(typ), Code: uint8(code), MTU: uint16(mtu)}.Append(nil, append(p, q[:8]...))
	x.s.Input(x.now, x.ip(wire.ProtoICMP, m))
}

var flagLetters = map[rune]wire.TCPFlags{'F': wire.FIN, 'S': wire.SYN, 'R': wire.RST, 'P': wire.PSH, '.': wire.ACK, 'U': wire.URG, 'E': wire.ECE, 'W': wire.CWR}

// inject parses "FLAGS seq:end(len) [ack N] [win N] [urg N] [<options>]". A number with ! before it
// is absolute.
func (x *script) inject(f []string) error {
	seg := wire.TCP{SrcPort: x.peer, DstPort: x.port, Wnd: 65535}
	for _, r := range f[0] {
		if r != '-' {
			seg.Flags |= flagLetters[r]
		}
	}
	var from, to, n int64
	if _, err := fmt.Sscanf(f[1], "%d:%d(%d)", &from, &to, &n); err != nil {
		return err
	}
	seg.Seq = uint32(peerISN + from)
	rest := strings.Join(f[2:], " ")
	rest, opts, _ := strings.Cut(rest, "<")
	w := strings.Fields(rest)
	for i := 0; i+1 < len(w); i += 2 {
		v, err := strconv.ParseInt(w[i+1], 10, 64)
		if err != nil {
			return err
		}
		switch w[i] {
		case "ack":
			seg.Ack = x.iss + uint32(v)
		case "win":
			seg.Wnd = uint16(v)
		case "urg":
			seg.Urg = uint16(v)
		}
	}
	for _, o := range strings.Split(strings.TrimSuffix(opts, ">"), ",") {
		fmt.Sscanf(o, "mss %d", &seg.Opt.MSS)
		if k, _ := fmt.Sscanf(o, "wscale %d", &seg.Opt.WScale); k == 1 {
			seg.Opt.HasWScale = true
		}
		if o == "sackOK" {
			seg.Opt.SACKPermitted = true
		}
		if strings.HasPrefix(o, "sack ") {
			for _, b := range strings.Fields(o)[1:] {
				var l, r uint32
				fmt.Sscanf(b, "%d:%d", &l, &r)
				seg.Opt.SACK[seg.Opt.NSACK] = wire.SACKBlock{Left: x.iss + l, Right: x.iss + r}
				seg.Opt.NSACK++
			}
		}
		if k, _ := fmt.Sscanf(o, "TS val %d ecr %d", &seg.Opt.TSVal, &seg.Opt.TSEcr); k == 2 {
			seg.Opt.TS = true
		}
	}
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(from + int64(i))
	}
	x.s.Input(x.now, x.segment(seg, data))
	x.answerARP()
	return nil
}

// text is a frame of ours, its numbers relative.
func (x *script) text(f []byte) string {
	_, b, err := wire.ParseEthernet(f)
	if err != nil {
		return err.Error()
	}
	ip, b, err := wire.ParseIPv4(b)
	if err != nil {
		return err.Error()
	}
	if ip.Proto != wire.ProtoTCP {
		return ip.String()
	}
	seg, data, err := wire.ParseTCP(b, ip.Src, ip.Dst)
	if err != nil {
		return err.Error()
	}
	if seg.Flags.Has(wire.SYN) {
		x.iss, x.known = seg.Seq, true
	}
	for i := range seg.Opt.Blocks() {
		seg.Opt.SACK[i].Left -= peerISN
		seg.Opt.SACK[i].Right -= peerISN
	}
	return seg.RelativeText(x.iss, peerISN, len(data))
}

// expect takes the next frame of ours and compares it.
func (x *script) expect(want string) error {
	if len(x.out) == 0 {
		return fmt.Errorf("nothing was sent")
	}
	o := x.out[0]
	x.out = x.out[1:]
	got := x.text(o.frame)
	x.note("> %s", got)
	if d := x.now.Sub(o.at); d > time.Millisecond || d < 0 {
		return fmt.Errorf("> %s came %v ago", got, d)
	}
	if !strings.Contains(want, " win ") {
		got, _, _ = strings.Cut(got, " win ")
	} else if !strings.Contains(want, "<") {
		got, _, _ = strings.Cut(got, " <")
	}
	if got != want {
		return fmt.Errorf("got > %s", got)
	}
	return nil
}

const handshake = `
	+0 listen
	+0 < S 0:0(0) win 65535 <mss 1460>
	+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>
	+0.1 < . 1:1(0) ack 1 win 65535
	+0 accept
	+0 state ESTABLISHED
`

func play(t *testing.T, text string) *script {
	t.Helper()
	return lone(t, scriptConf()).run(text)
}

const (
	second = time.Second
	minute = time.Minute
	hour   = time.Hour
)

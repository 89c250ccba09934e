package device

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// This file is a host driver as it is seen on the wire, written from spec host-bus 2 and 5 alone: it shares no code with
// package spi, so that host and device cannot share one misreading. What differs from driver to driver is in its habits
// (habits_test.go).

// framing says which bytes go into one chip-select window (host-bus 1.2).
type framing uint8

const (
	framePhases framing = iota // a window for each phase, polls byte by byte
	frameGroups                // command; echo and state; token and data; response
	frameWhole                 // a whole transaction in one window, answers searched in it afterwards
)

// answers says how echo and state are looked at (host-bus 2.10).
type answers uint8

const (
	answersForgiven answers = iota // polled up to 11 times each, and never missed
	answersChecked                 // polled up to 11 times each, else an error; of clockless accesses read once and ignored
	answersStrict                  // zeros are skipped, anything else that is not expected is an error; writes to clockless ignored
	answersExact                   // read once, must match
)

// habits is what a driver does on the wire.
type habits struct {
	name    string
	version uint32 // written to NMI_STATE_REG at boot

	frame      framing
	answers    answers
	skip1400   bool // the answer to a write of GLB_RESET_0 is not read
	single     byte // token of a packet that is the only one
	packetCode uint32
	attempts   int  // of an access, with a soft reset in between
	piece      int  // most bytes of a block access; 0: not cut
	cutWrites  bool // only writes are cut
	plainWake  bool // wake writes registers without reading them first
	resetAfter bool // wake ends with a soft reset
	alwaysWake bool // wakes and sleeps around every request, without power save too
	wakeInside bool // wakes while a message is open too
	maxLen     int  // longest request that it sends; 0: does not look

	boot func(s *scripted)

	// Messages.
	newConnect bool              // CONN (59), else CONNECT (40)
	dhcpLen    int               // of DHCP_CONF
	recvLen    int               // of RECV requests: 8 or 12
	oneRead    bool              // takes the data of a RECV reply in one read
	lazy       int               // takes so much at once and leaves the message open; 0: takes all
	doneFirst  bool              // says RX done before it reads the payload, and again after it
	stray      bool              // takes a false interrupt for a real one
	freshRecv  bool              // a new session id in each RECV
	resolveAll bool              // resolves numeric addresses too
	claim152   bool              // claims credentials of 152 bytes for an open network
	extra      func(s *scripted) // what it sends after its boot
}

// scripted is a host with habits on a port.
type scripted struct {
	habits
	t     testing.TB
	port  bus.Port
	sleep func(time.Duration) // lets time pass

	crc    bool
	packet int
	log    []string // windows, when it is not nil
	failed *int     // windows that failed so far; nil: none can
	dead   bool     // LITE: the first error is the last
	tries  int      // accesses that had to be tried again

	edges   func() int // edges since it was asked last; nil: looks at the level of the line
	pending int
	masked  bool

	mode    uint8 // power save
	reading *incoming
	inbox   []message
	inside  func(m *incoming) // nested requests from a callback
	held    []string          // what lazy reads have left open
	keep    time.Duration     // for how long
}

// incoming is a message that is open.
type incoming struct {
	s    *scripted
	op   hif.Op
	addr uint32
	size int // posted
	len  int // of the payload
	done bool
}

var (
	errEcho     = errors.New("no echo")
	errState    = errors.New("bad state")
	errToken    = errors.New("no token")
	errResponse = errors.New("bad data response")
	errDead     = errors.New("bus is dead after an earlier error")
)

// out and in are one window each.
func (s *scripted) out(w []byte) {
	s.note(">", w)
	if err := s.port.Tx(w, nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scripted) in(n int) []byte {
	r := make([]byte, n)
	if err := s.port.Tx(nil, r); err != nil {
		s.t.Fatal(err)
	}
	s.note("<", r)
	return r
}

func (s *scripted) note(dir string, b []byte) {
	if s.log != nil {
		s.log = append(s.log, fmt.Sprintf("%s % X", dir, b))
	}
}

// crc7 is host-bus 2.3 bit by bit.
func crc7(b []byte) byte {
	r := 0x7f
	for _, v := range b {
		for i := 7; i >= 0; i-- {
			r = r<<1 ^ int(v)>>i&1<<7
			if r&0x80 != 0 {
				r ^= 0x89
			}
		}
	}
	return byte(r << 1)
}

// command sends a command, and reads echo and state.
func (s *scripted) command(clockless bool, cmd ...byte) error {
	if s.crc {
		cmd = append(cmd, crc7(cmd))
	}
	s.out(cmd)
	if s.skip1400 && cmd[0] == 0xc9 && cmd[2] == 0x14 && cmd[3] == 0 {
		return nil
	}
	reset := cmd[0] == 0xcf
	switch s.answers {
	case answersExact:
		n := 2
		if reset {
			n = 3
		}
		r := s.in(n)
		if r[n-2] != cmd[0] {
			return errEcho
		}
		if r[n-1] != 0 {
			return errState
		}
		return nil
	case answersStrict:
		return s.strictAnswers(cmd[0], clockless && cmd[0] == 0xc3)
	}
	if clockless && s.answers == answersChecked {
		s.in(1)
		s.in(1)
		return nil
	}
	if !s.poll(func(b byte) bool { return b == cmd[0] }) && s.answers == answersChecked {
		return errEcho
	}
	if !s.poll(func(b byte) bool { return b == 0 }) && s.answers == answersChecked {
		return errState
	}
	return nil
}

// poll reads up to 11 bytes, one a window.
func (s *scripted) poll(ok func(byte) bool) bool {
	for range 11 {
		if ok(s.in(1)[0]) {
			return true
		}
	}
	return false
}

func (s *scripted) strictAnswers(cmd byte, ignored bool) error {
	if ignored {
		s.in(1)
		s.in(1)
		return nil
	}
	for i := 0; ; i++ {
		b := s.in(1)[0]
		if b == cmd {
			break
		}
		if b != 0 || i == 10 {
			return errEcho
		}
	}
	if s.in(1)[0] != 0 {
		return errState
	}
	return nil
}

// token waits for the token of a data packet.
func (s *scripted) token(clockless bool) error {
	polls := 10
	if s.answers == answersStrict {
		polls = 11
	}
	for range polls {
		b := s.in(1)[0]
		if b&0xf0 == 0xf0 {
			return nil
		}
		if b != 0 && s.answers == answersStrict {
			return errToken
		}
	}
	if clockless && s.answers == answersChecked {
		return nil
	}
	return errToken
}

// data reads one packet of n bytes.
func (s *scripted) data(n int, clockless bool) ([]byte, error) {
	crc := s.crc && !clockless
	if s.frame == frameGroups {
		r := s.in(1 + n)
		if r[0]&0xf0 != 0xf0 {
			return nil, errToken
		}
		if crc {
			s.in(2)
		}
		return r[1:], nil
	}
	if err := s.token(clockless); err != nil {
		return nil, err
	}
	r := s.in(n)
	if crc {
		s.in(2)
	}
	return r, nil
}

// access runs one access, and again after a soft reset while it fails (host-bus 2.12).
func (s *scripted) access(what string, do func() error) {
	s.t.Helper()
	if err := s.try(do); err != nil {
		s.t.Fatalf("%s: %s: %v", s.name, what, err)
	}
}

func (s *scripted) try(do func() error) error {
	if s.dead {
		return errDead
	}
	var err error
	for range max(s.attempts, 1) {
		if err = s.attempt(do); err == nil {
			return nil
		}
		s.tries++
		if s.answers == answersStrict {
			s.dead = true
			return err
		}
		s.sleep(time.Millisecond)
		s.softReset()
		s.sleep(time.Millisecond)
		if s.answers == answersExact {
			s.sleep(100 * time.Millisecond)
		}
	}
	return err
}

// attempt runs an access once. It has failed too if one of its windows has.
func (s *scripted) attempt(do func() error) error {
	if s.failed == nil {
		return do()
	}
	before := *s.failed
	if err := do(); err != nil {
		return err
	}
	if *s.failed != before {
		return bus.ErrFault
	}
	return nil
}

// softReset is CF; most hosts do not look at the result.
func (s *scripted) softReset() error { return s.command(false, 0xcf, 0xff, 0xff, 0xff) }

func (s *scripted) readReg(a uint32) (uint32, error) {
	a &^= reg.Clockless // which marks the constants of package reg; the wire has the plain address
	clockless := a <= 0xff
	cmd := []byte{0xca, byte(a >> 16), byte(a >> 8), byte(a)}
	if clockless {
		cmd = []byte{0xc4, 0x80 | byte(a>>8)&0x7f, byte(a), 0}
	}
	if s.frame == frameWhole {
		r, err := s.whole(cmd, 4, clockless)
		if err != nil {
			return 0, err
		}
		return le.Uint32(r), nil
	}
	if err := s.command(clockless, cmd...); err != nil {
		return 0, err
	}
	r, err := s.data(4, clockless)
	if err != nil {
		return 0, err
	}
	return le.Uint32(r), nil
}

func (s *scripted) writeReg(a, v uint32) error {
	a &^= reg.Clockless
	clockless := a <= 0x30
	cmd := []byte{0xc9, byte(a >> 16), byte(a >> 8), byte(a)}
	if clockless {
		cmd = []byte{0xc3, 0x80 | byte(a>>8)&0x7f, byte(a)}
	}
	cmd = append(cmd, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	if s.frame == frameWhole {
		_, err := s.whole(cmd, 0, clockless)
		return err
	}
	return s.command(clockless, cmd...)
}

// whole clocks command, answers and one data packet in a single window, with some zeros to spare (LNX).
func (s *scripted) whole(cmd []byte, n int, clockless bool) ([]byte, error) {
	const spare = 7
	if s.crc {
		cmd = append(cmd, crc7(cmd))
	}
	w := append(cmd, make([]byte, 2+spare)...)
	if n > 0 {
		w = append(w, make([]byte, 1+n+2)...)
	}
	r := make([]byte, len(w))
	if err := s.port.Tx(w, r); err != nil {
		s.t.Fatal(err)
	}
	r = r[len(cmd):]
	i := bytes.IndexByte(r, cmd[0])
	if i < 0 || i > spare {
		return nil, errEcho
	}
	if r[i+1] != 0 {
		return nil, errState
	}
	if n == 0 {
		return nil, nil
	}
	for r = r[i+2:]; len(r) > n; r = r[1:] {
		if r[0]&0xf0 == 0xf0 {
			return r[1 : 1+n], nil
		}
	}
	return nil, errToken
}

func (s *scripted) read(a uint32) (v uint32) {
	s.t.Helper()
	s.access(fmt.Sprintf("read of %s", reg.String(a)), func() (err error) {
		v, err = s.readReg(a)
		return err
	})
	return v
}

func (s *scripted) write(a, v uint32) {
	s.t.Helper()
	s.access(fmt.Sprintf("write of %s", reg.String(a)), func() error { return s.writeReg(a, v) })
}

// blockCommand is C7 or C8. One byte is asked for as two (host-bus 2.11).
func (s *scripted) blockCommand(cmd byte, a uint32, n int) error {
	return s.command(false, cmd, byte(a>>16), byte(a>>8), byte(a), byte(n>>16), byte(n>>8), byte(n))
}

func (s *scripted) readBlock(a uint32, n int) ([]byte, error) {
	size := max(n, 2)
	if err := s.blockCommand(0xc8, a, size); err != nil {
		return nil, err
	}
	var p []byte
	for len(p) < size {
		r, err := s.data(min(size-len(p), s.packet), false)
		if err != nil {
			return nil, err
		}
		p = append(p, r...)
	}
	return p[:n], nil
}

func (s *scripted) writeBlockOnce(a uint32, p []byte) error {
	if len(p) == 1 {
		p = []byte{p[0], 0x99} // whatever follows in the host's memory
	}
	if err := s.blockCommand(0xc7, a, len(p)); err != nil {
		return err
	}
	for at := 0; at < len(p); at += s.packet {
		n := min(s.packet, len(p)-at)
		token := byte(0xf2)
		switch {
		case n == len(p):
			token = s.single
		case at == 0:
			token = 0xf1
		case at+n == len(p):
			token = 0xf3
		}
		if s.frame == frameGroups {
			s.out(append([]byte{token}, p[at:at+n]...))
		} else {
			s.out([]byte{token})
			s.out(p[at : at+n])
		}
		if s.crc {
			s.out([]byte{0, 0}) // never computed
		}
	}
	return s.response()
}

// response is what follows the data of a block write (host-bus 2.8, 2.10).
func (s *scripted) response() error {
	var r []byte
	switch {
	case s.answers == answersStrict:
		for range 11 {
			if r = s.in(1); r[0] != 0 {
				break
			}
		}
		r = append(r, s.in(1)...)
	case s.answers == answersExact && s.crc:
		r = s.in(3)[:2]
	case s.crc:
		r = s.in(2)
	default:
		r = s.in(3)[1:]
	}
	if r[0] != 0xc3 || r[1] != 0 {
		return errResponse
	}
	return nil
}

// block reads in pieces as the host's bus layer has them.
func (s *scripted) block(a uint32, n int) (p []byte) {
	s.t.Helper()
	for n > 0 {
		k := n
		if s.piece > 0 && !s.cutWrites {
			k = min(n, s.piece)
		}
		s.access(fmt.Sprintf("read of %d bytes at %#x", k, a), func() error {
			r, err := s.readBlock(a, k)
			if err == nil {
				p = append(p, r...)
			}
			return err
		})
		a, n = a+uint32(k), n-k
	}
	return p
}

func (s *scripted) writeBlock(a uint32, p []byte) {
	s.t.Helper()
	for len(p) > 0 {
		k := len(p)
		if s.piece > 0 {
			k = min(k, s.piece)
		}
		s.access(fmt.Sprintf("write of %d bytes at %#x", k, a), func() error { return s.writeBlockOnce(a, p[:k]) })
		a, p = a+uint32(k), p[k:]
	}
}

// wake and doze are host-bus 5.6.
func (s *scripted) wake() {
	s.t.Helper()
	if s.reading != nil && !s.wakeInside || s.mode == 0 && !s.alwaysWake {
		return
	}
	if s.plainWake {
		s.write(reg.HostCortComm, 1)
		s.write(reg.WakeClk, 2)
		s.sleep(3 * time.Millisecond)
	} else {
		if v := s.read(reg.HostCortComm); v&1 == 0 {
			s.write(reg.HostCortComm, v|1)
		}
		if v := s.read(reg.WakeClk); v&2 == 0 {
			s.write(reg.WakeClk, v|2)
		}
	}
	for i := 0; s.read(reg.ClocksEn)&4 == 0; i++ {
		if i == 4 {
			s.t.Fatalf("%s: the chip does not wake [BD-11]", s.name)
		}
		s.sleep(2 * time.Millisecond)
	}
	if s.resetAfter {
		s.access("reset after wake", s.softReset)
	}
}

func (s *scripted) doze() {
	s.t.Helper()
	if s.mode == 0 && !s.alwaysWake {
		return
	}
	for i := 0; s.read(reg.CortHostComm)&1 != 0; i++ {
		if i == 100 {
			s.t.Fatalf("%s: the chip stays busy [BD-10]", s.name)
		}
	}
	if v := s.read(reg.WakeClk); v&2 != 0 {
		s.write(reg.WakeClk, v&^2)
	}
	if v := s.read(reg.HostCortComm); v&1 != 0 {
		s.write(reg.HostCortComm, v&^1)
	}
}

// send hands over a request: header, control part and data part are block writes of their own, and what lies between them is
// not written (host-bus 5.2). It reports false when there is no buffer.
func (s *scripted) send(group, op byte, ctrl, data []byte, offset int) bool {
	s.t.Helper()
	n := 8 + len(ctrl)
	code := op
	if data != nil {
		n = 8 + offset + len(data)
		code |= 0x80
	}
	if s.maxLen > 0 && n > s.maxLen {
		s.t.Fatalf("%s: request of %d bytes", s.name, n)
	}
	s.wake()
	defer s.doze()
	s.write(reg.State, uint32(group)|uint32(code)<<8|uint32(n)<<16)
	s.write(reg.RcvCtrl2, 2)
	for i := 1; s.read(reg.RcvCtrl2)&2 != 0; i++ {
		if i == 1000 {
			s.t.Fatalf("%s: no answer to a request for a buffer", s.name)
		}
		if i > 500 {
			s.sleep(time.Millisecond)
		}
	}
	a := s.read(reg.RcvCtrl4)
	if a == 0 {
		return false
	}
	s.writeBlock(a, []byte{group, op, byte(n), byte(n >> 8), 0xaa, 0xbb, 0xcc, 0xdd}) // garbage from the stack
	if len(ctrl) > 0 {
		s.writeBlock(a+8, ctrl)
	}
	if len(data) > 0 {
		s.writeBlock(a+8+uint32(offset), data)
	}
	s.write(reg.RcvCtrl3, a<<2|2)
	return true
}

// interrupt reports whether there is an interrupt to handle.
func (s *scripted) interrupt() bool {
	s.t.Helper()
	if s.edges == nil {
		low, err := s.port.IRQ()
		if err != nil {
			s.t.Fatal(err)
		}
		return low
	}
	if n := s.edges(); !s.masked {
		s.pending += n
	}
	if s.pending == 0 {
		return false
	}
	s.pending--
	return true
}

// unmask enables the interrupt again: edges until now are lost, as they are on a pin whose handler was detached.
func (s *scripted) unmask() {
	if s.edges != nil && s.masked {
		s.edges()
	}
	s.masked = false
}

// isr is one interrupt (host-bus 5.3). It reports whether there was a message.
func (s *scripted) isr() bool {
	s.t.Helper()
	v := s.read(reg.RcvCtrl0)
	if v&1 == 0 && !s.stray {
		return false
	}
	if s.edges != nil {
		s.edges()
	}
	s.masked = true
	s.write(reg.RcvCtrl0, v&^1)
	size := int(v >> 2 & 0xfff)
	if size == 0 {
		if !s.stray {
			s.t.Fatalf("%s: notice %#x has no size", s.name, v)
		}
		s.unmask()
		return false
	}
	a := s.read(reg.RcvCtrl1)
	h := s.block(a, 4)
	length := int(le.Uint16(h[2:]))
	if h[1]&0x80 != 0 || length < 8 || length > size || size-length > 3 || h[0] == 0 || h[0] == 3 || h[0] > 7 {
		s.t.Fatalf("%s: header % x in a message of %d bytes [BD-14]", s.name, h, size)
	}
	m := &incoming{s: s, op: hif.MakeOp(hif.Group(h[0]), h[1]), addr: a + 8, size: size - 8, len: length - 8}
	s.reading = m
	if s.doneFirst {
		m.rxDone()
		m.done = false
	}
	s.callback(m)
	if s.reading == m && (s.lazy == 0 || m.done || !m.isRecv()) {
		m.finish()
	}
	return true
}

func (m *incoming) isRecv() bool { return m.op == hif.OpRecv || m.op == hif.OpRecvFrom }

// callback takes the payload.
func (s *scripted) callback(m *incoming) {
	s.t.Helper()
	if s.inside != nil {
		f := s.inside
		s.inside = nil
		f(m)
	}
	if !m.isRecv() {
		s.inbox = append(s.inbox, message{m.op, m.receive(0, m.len, false)})
		return
	}
	p := m.receive(0, 16, false)
	n := int(int16(le.Uint16(p[8:])))
	if n <= 0 {
		s.inbox = append(s.inbox, message{m.op, p})
		return
	}
	at := int(le.Uint16(p[10:]))
	if n >= m.len || at+n > m.len {
		s.t.Fatalf("%s: %d bytes of data in a payload of %d", s.name, n, m.len)
	}
	piece := n
	if s.lazy > 0 {
		piece = s.lazy
	} else if !s.oneRead {
		piece = 512
	}
	for first := true; n > 0; first = false {
		if s.lazy > 0 && !first { // the application takes its time, and asks for other things meanwhile
			s.leaveOpen()
		}
		k := min(piece, n)
		p = append(p, m.receive(at, k, k == n)...)
		at, n = at+k, n-k
	}
	s.inbox = append(s.inbox, message{m.op, p})
}

// leaveOpen lets time pass with a message open, in which a request goes out.
func (s *scripted) leaveOpen() {
	s.t.Helper()
	s.held = append(s.held, s.reading.op.String())
	s.sleep(s.keep)
	s.send(1, 3, nil, nil, 0) // GET_RSSI
	s.sleep(s.keep)
}

// receive reads a piece of the payload, with the checks of the driver (host-bus 5.4).
func (m *incoming) receive(at, n int, done bool) []byte {
	m.s.t.Helper()
	if n == 0 {
		return nil
	}
	if at+n > m.size {
		m.s.t.Fatalf("%s: read of %d bytes at %d of a payload of %d", m.s.name, n, at, m.size)
	}
	p := m.s.block(m.addr+uint32(at), n)
	if done || at+n == m.size {
		m.finish()
	}
	return p
}

// finish is RX done, once.
func (m *incoming) finish() {
	if m.done {
		return
	}
	m.done = true
	m.rxDone()
	if m.s.reading == m {
		m.s.reading = nil
	}
}

// rxDone enables the interrupt and only then says RX done [BH-16].
func (m *incoming) rxDone() {
	s := m.s
	s.t.Helper()
	s.unmask()
	s.write(reg.RcvCtrl0, s.read(reg.RcvCtrl0)|2)
}

// await handles interrupts until a message with the opcode has come.
func (s *scripted) await(d time.Duration, op hif.Op) []byte {
	s.t.Helper()
	m, ok := s.wait(d, op)
	if !ok {
		s.t.Fatalf("%s: no %v within %v; there are %v", s.name, op, d, s.inbox)
	}
	return m.payload
}

// wait handles interrupts until a message with one of the opcodes has come, at most for d.
func (s *scripted) wait(d time.Duration, ops ...hif.Op) (message, bool) {
	s.t.Helper()
	for waited := time.Duration(0); ; {
		for s.interrupt() && s.isr() {
		}
		for i, m := range s.inbox {
			if slices.Contains(ops, m.op) {
				s.inbox = append(s.inbox[:i:i], s.inbox[i+1:]...)
				return m, true
			}
		}
		if waited >= d {
			return message{}, false
		}
		step := min(max(waited/16, time.Millisecond), d-waited) // the longer it has taken, the less it matters
		s.sleep(step)
		waited += step
	}
}

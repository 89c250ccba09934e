package spi

import (
	"encoding/binary"

	"github.com/understudy-net/understudy/bus/reg"
)

// How many bytes the master looks at before it gives up waiting for one that counts (2.10).
const (
	maxEchoPolls  = 11
	maxTokenPolls = 11
	maxDMAPolls   = 100 // token of a block read [host-bus BH-07]
	crc16Len      = 2
)

func (m *Master) tryReadReg(a *access) failure {
	cmd, clockless := byte(cmdSingleRead), false
	if a.addr&reg.Clockless != 0 || a.addr <= reg.ClocklessReadMax {
		cmd, clockless = cmdInternalRead, true
	}
	w := m.command(cmd)
	if clockless {
		w = append(w, clocklessFlag|byte(a.addr>>8)&0x7f, byte(a.addr), 0)
	} else {
		w = append24(w, a.addr)
	}
	crc := m.crc && !clockless // clockless reads never carry CRC16 (2.4)
	n := len(m.value) + 1
	if crc {
		n += crc16Len
	}
	if f := m.open(w, 2+n); f.reason != 0 {
		return f
	}
	if f := m.head(cmd, clockless); f.reason != 0 {
		return f
	}
	if f := m.packetIn(m.value[:], maxTokenPolls, crc); f.reason != 0 {
		return f
	}
	a.value = binary.LittleEndian.Uint32(m.value[:])
	return failure{}
}

func (m *Master) tryWriteReg(a *access) failure {
	cmd, clockless := byte(cmdSingleWrite), false
	if a.addr&reg.Clockless != 0 || a.addr <= reg.ClocklessWriteMax {
		cmd, clockless = cmdInternalWrite, true
	}
	w := m.command(cmd)
	if clockless {
		w = append(w, clocklessFlag|byte(a.addr>>8)&0x7f, byte(a.addr))
	} else {
		w = append24(w, a.addr)
	}
	w = be.AppendUint32(w, a.value)
	if a.addr == reg.GlobalReset {
		return m.open(w, 0)
	}
	if f := m.open(w, 2); f.reason != 0 {
		return f
	}
	return m.head(cmd, clockless)
}

func (m *Master) tryReadBlock(a *access) failure {
	size := max(len(a.p), 2) // never a single byte [host-bus BH-05]
	w := append24(append24(m.command(cmdDMAExtRead), a.addr), uint32(size))
	packets := (size + m.packet - 1) / m.packet
	each := 1
	if m.crc {
		each += crc16Len
	}
	if f := m.open(w, 2+size+packets*each); f.reason != 0 {
		return f
	}
	if f := m.head(cmdDMAExtRead, false); f.reason != 0 {
		return f
	}
	if len(a.p) == 1 {
		f := m.packetIn(m.pair[:], maxDMAPolls, m.crc)
		a.p[0] = m.pair[0]
		return f
	}
	for p := a.p; len(p) > 0; {
		n := min(len(p), m.packet)
		if f := m.packetIn(p[:n], maxDMAPolls, m.crc); f.reason != 0 {
			return f
		}
		p = p[n:]
	}
	return failure{}
}

func (m *Master) tryWriteBlock(a *access) failure {
	p := a.p
	if len(p) == 1 {
		m.pair = [2]byte{p[0], 0}
		p = m.pair[:]
	}
	w := append24(append24(m.command(cmdDMAExtWrite), a.addr), uint32(len(p)))
	if m.conf.MultiWindow {
		return m.writePhases(w, p)
	}
	return m.writeAtOnce(w, p)
}

// writePhases waits for the answer to the command before it sends data, each phase in its window.
func (m *Master) writePhases(w, p []byte) failure {
	if f := m.open(w, 0); f.reason != 0 {
		return f
	}
	if f := m.head(cmdDMAExtWrite, false); f.reason != 0 {
		return f
	}
	for first := true; len(p) > 0; first = false {
		n := min(len(p), m.packet)
		m.value[0] = token(first, n == len(p))
		if f := m.send(m.value[:1]); f.reason != 0 {
			return f
		}
		if f := m.send(p[:n]); f.reason != 0 {
			return f
		}
		if m.crc {
			be.PutUint16(m.sum[:], CRC16(p[:n]))
			if f := m.send(m.sum[:]); f.reason != 0 {
				return f
			}
		}
		p = p[n:]
	}
	// The answers to packets before the last were shifted out under the packets that followed (2.8).
	return m.acknowledged()
}

// writeAtOnce sends command, room for the answer, data and room for the acknowledgement in one window.
func (m *Master) writeAtOnce(w, p []byte) failure {
	w = m.seal(w)
	command := len(w)
	w = append(w, 0, 0)
	for first := true; len(p) > 0; first = false {
		n := min(len(p), m.packet)
		w = append(w, token(first, n == len(p)))
		w = append(w, p[:n]...)
		if m.crc {
			w = be.AppendUint16(w, CRC16(p[:n]))
		}
		p = p[n:]
	}
	data := len(w)
	w = append(w, 0, 0)
	if !m.crc {
		w = append(w, 0) // one filler comes first (2.8)
	}
	m.w, m.dirty = w[:cap(w)], max(m.dirty, len(w)) // append may have moved it; a shorter write leaves the rest of a longer one
	r := m.receive(len(w))
	if err := m.wire.Tx(w, r); err != nil {
		return failure{reason: ReasonWire, err: err}
	}
	m.rx = r[command:data]
	if f := m.head(cmdDMAExtWrite, false); f.reason != 0 {
		return f
	}
	m.rx = r[data:]
	return m.acknowledged()
}

func token(first, last bool) byte {
	switch {
	case last:
		return tokenLast
	case first:
		return tokenFirst
	}
	return tokenInner
}

// tryReset sends CF, whose echo comes a byte later than others (2.6).
func (m *Master) tryReset() failure {
	if f := m.open(append(m.command(cmdReset), 0xff, 0xff, 0xff), 3); f.reason != 0 {
		return f
	}
	return m.head(cmdReset, false)
}

// command begins a command.
func (m *Master) command(cmd byte) []byte { return append(m.w[:0], cmd) }

func append24(w []byte, v uint32) []byte { return append(w, byte(v>>16), byte(v>>8), byte(v)) }

// seal appends CRC7 when it is on.
func (m *Master) seal(w []byte) []byte {
	if m.crc {
		return append(w, CRC7(w))
	}
	return w
}

// open sends a command and, in the same window if windows are not separate, receives the n bytes
// that a device without fillers answers.
func (m *Master) open(w []byte, n int) failure {
	w = m.seal(w)
	command := len(w)
	m.rx = nil
	if m.dirty > command {
		clear(m.w[command:m.dirty])
	}
	m.dirty = command
	if m.conf.MultiWindow || n == 0 {
		return m.send(w)
	}
	w = m.grow(w, command+n)
	r := m.receive(command + n)
	if err := m.wire.Tx(w, r); err != nil {
		return failure{reason: ReasonWire, err: err}
	}
	m.rx = r[command:]
	return failure{}
}

// grow returns w, which lies in m.w, with zeros behind it up to n bytes.
func (m *Master) grow(w []byte, n int) []byte {
	if cap(m.w) < n {
		m.w = make([]byte, n)
		copy(m.w, w)
	}
	return m.w[:n]
}

// receive returns room for n bytes.
func (m *Master) receive(n int) []byte {
	if cap(m.r) < n {
		m.r = make([]byte, n)
	}
	return m.r[:n]
}

// send clocks bytes to the device in a window of their own.
func (m *Master) send(w []byte) failure {
	if err := m.wire.Tx(w, nil); err != nil {
		return failure{reason: ReasonWire, err: err}
	}
	return failure{}
}

// take fills p with the next bytes from the device: those that have come, then new ones.
func (m *Master) take(p []byte) failure {
	n := copy(p, m.rx)
	m.rx = m.rx[n:]
	if n == len(p) {
		return failure{}
	}
	if err := m.wire.Tx(nil, p[n:]); err != nil {
		return failure{reason: ReasonWire, err: err}
	}
	return failure{}
}

// next returns the next byte from the device.
func (m *Master) next() (byte, failure) {
	if len(m.rx) > 0 {
		b := m.rx[0]
		m.rx = m.rx[1:]
		return b, failure{}
	}
	f := m.take(m.one[:])
	return m.one[0], f
}

// poll looks for the first byte that is not a filler, within limit bytes.
func (m *Master) poll(limit int) (byte, failure) {
	for range limit {
		if b, f := m.next(); b != 0 || f.reason != 0 {
			return b, f
		}
	}
	return 0, failure{}
}

// head checks echo and state: fillers before the echo are fine, the state follows at once, and
// anything else is an error at once [host-bus BH-06, BH-07]. Clockless accesses on real chips answer
// oddly: there one byte each is read and not looked at [host-bus BH-08].
func (m *Master) head(cmd byte, clockless bool) failure {
	if clockless {
		if _, f := m.next(); f.reason != 0 {
			return f
		}
		_, f := m.next()
		return f
	}
	b, f := m.poll(maxEchoPolls)
	if f.reason != 0 {
		return f
	}
	if b != cmd {
		return failure{reason: ReasonEcho}
	}
	if b, f = m.next(); f.reason != 0 {
		return f
	}
	if b != 0 {
		return failure{reason: ReasonState, state: State(b)}
	}
	return failure{}
}

// packetIn receives a data packet into p: fillers, token, data, CRC16.
func (m *Master) packetIn(p []byte, polls int, crc bool) failure {
	b, f := m.poll(polls)
	if f.reason != 0 {
		return f
	}
	if b>>4 != 0xf {
		return failure{reason: ReasonToken}
	}
	if f := m.take(p); f.reason != 0 || !crc {
		return f
	}
	if f := m.take(m.sum[:]); f.reason != 0 {
		return f
	}
	if be.Uint16(m.sum[:]) != CRC16(p) {
		return failure{reason: ReasonCRC}
	}
	return failure{}
}

// acknowledged looks for the answer to the last data packet: C3 00, after a filler when CRC is off, and
// perhaps after the rest of the answer to a packet before it (2.8).
func (m *Master) acknowledged() failure {
	n := 2
	if !m.crc {
		n++
	}
	if len(m.rx) == 0 {
		// All of it in one window, as hosts do; 2 or 3 bytes are there at once.
		if f := m.take(m.value[:n]); f.reason != 0 {
			return f
		}
		m.rx = m.value[:n]
	}
	b, f := m.poll(maxEchoPolls)
	if f.reason != 0 {
		return f
	}
	if b != dataLast {
		return failure{reason: ReasonResponse}
	}
	if b, f = m.next(); f.reason != 0 {
		return f
	}
	if b != 0 {
		return failure{reason: ReasonState, state: State(b)}
	}
	return failure{}
}

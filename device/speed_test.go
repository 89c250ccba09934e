package device

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
)

// BenchmarkSend is one SEND of 1400 bytes from the host's SPI master to the peer's Read, and its answer.
func BenchmarkSend(bm *testing.B) {
	b, _, c := pair(bm)
	payload := make([]byte, hif.TCPDataOffset+1400)
	hif.Send{Session: 1, Size: 1400}.Append(payload[:0])
	msg := hif.Header{Op: hif.OpSend, Len: hif.HeaderLen + len(payload)}.Append(nil)
	msg = append(msg, payload...)
	word := hif.Request{Op: hif.OpSend, Data: true, Len: len(msg)}.Word()
	buf := make([]byte, 64<<10)
	bm.SetBytes(1400)
	bm.ReportAllocs()
	for bm.Loop() {
		for {
			b.h.m.WriteReg(reg.State, word)
			b.h.m.WriteReg(reg.RcvCtrl2, reg.RequestBuffer)
			b.h.m.ReadReg(reg.RcvCtrl2)
			a, _ := b.h.m.ReadReg(reg.RcvCtrl4)
			if a != 0 {
				b.h.m.WriteBlock(a, msg)
				b.h.m.WriteReg(reg.RcvCtrl3, a<<reg.DoorbellShift|reg.Doorbell)
				break
			}
			b.run(time.Millisecond)
			c.Read(b.now, buf)
		}
		for b.dev.IRQ() {
			v, _ := b.h.m.ReadReg(reg.RcvCtrl0)
			b.h.m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending)
			a, _ := b.h.m.ReadReg(reg.RcvCtrl1)
			b.h.m.ReadBlock(a, buf[:hif.ParseNotice(v).Size])
			b.h.m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending|reg.RcvDone)
		}
	}
}

// BenchmarkRecv is one RECV of 1400 bytes that are there, and its answer.
func BenchmarkRecv(bm *testing.B) {
	b, _, c := pair(bm)
	req := hif.Header{Op: hif.OpRecv, Len: hif.HeaderLen + hif.RecvLenLong}.Append(nil)
	req = recvOf(0, 1).Append(req)
	word := hif.Request{Op: hif.OpRecv, Len: len(req)}.Word()
	buf, data := make([]byte, 2048), make([]byte, 64<<10)
	bm.SetBytes(1400)
	bm.ReportAllocs()
	for bm.Loop() {
		b.h.m.WriteReg(reg.State, word)
		b.h.m.WriteReg(reg.RcvCtrl2, reg.RequestBuffer)
		b.h.m.ReadReg(reg.RcvCtrl2)
		a, _ := b.h.m.ReadReg(reg.RcvCtrl4)
		b.h.m.WriteBlock(a, req)
		b.h.m.WriteReg(reg.RcvCtrl3, a<<reg.DoorbellShift|reg.Doorbell)
		for !b.dev.IRQ() {
			c.Write(b.now, data)
			b.run(time.Millisecond)
		}
		v, _ := b.h.m.ReadReg(reg.RcvCtrl0)
		b.h.m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending)
		a, _ = b.h.m.ReadReg(reg.RcvCtrl1)
		b.h.m.ReadBlock(a, buf[:hif.ParseNotice(v).Size])
		b.h.m.WriteReg(reg.RcvCtrl0, v&^reg.RcvPending|reg.RcvDone)
	}
}

// BenchmarkBoot is a reset and a boot.
func BenchmarkBoot(bm *testing.B) {
	b := newBench(bm)
	bm.ReportAllocs()
	for bm.Loop() {
		b.dev.Reset(b.now, true)
		b.dev.Reset(b.now, false)
		b.h.boot()
	}
}

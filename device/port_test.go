package device

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/bus/reg"
	"github.com/understudy-net/understudy/bus/spi"
	"github.com/understudy-net/understudy/world"
)

// A port may be used from any goroutine while its world runs.
func TestPortInAWorld(t *testing.T) {
	w := world.NewVirtual(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	defer w.Close()
	d, err := New(Config{MAC: devMAC, Rand: rand.NewPCG(1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	w.Lock()
	slot := w.Add(d)
	w.Unlock()
	d.SetTouch(slot.Touch)
	p := d.Port(w, slot.Touch)
	falls := make(chan struct{}, 1)
	p.OnIRQ(func() { falls <- struct{}{} })
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 200 {
			p.IRQ()
		}
	})
	m := spi.NewMaster(p, spi.MasterConfig{Sleep: func(time.Duration) {}})
	for range 2 {
		p.SetEnable(false)
		p.SetReset(true)
		p.SetEnable(true)
		p.SetReset(false)
		m = spi.NewMaster(p, spi.MasterConfig{Sleep: func(time.Duration) {}})
		if err := m.Init(); err != nil {
			t.Fatal(err)
		}
		m.WriteReg(reg.State, 0x13301377)
		m.WriteReg(reg.BootROM, reg.StartFirmware)
		m.WriteReg(reg.IntrEnable, reg.IntrHost)
	}
	msg := hif.AppendMessage(nil, hif.OpGetRSSI, hif.None{})
	m.WriteReg(reg.State, hif.Request{Op: hif.OpGetRSSI, Len: len(msg)}.Word())
	m.WriteReg(reg.RcvCtrl2, reg.RequestBuffer)
	a, _ := m.ReadReg(reg.RcvCtrl4)
	m.WriteBlock(a, msg)
	m.WriteReg(reg.RcvCtrl3, a<<reg.DoorbellShift|reg.Doorbell)
	<-falls
	if asserted, err := p.IRQ(); !asserted || err != nil {
		t.Errorf("IRQ %v, %v", asserted, err)
	}
	wg.Wait()
}

package wifi

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
	"github.com/understudy-net/understudy/world"
)

// BenchmarkForward is one full frame from a station through the access point to its distribution side.
func BenchmarkForward(b *testing.B) {
	a := air.New(air.Config{})
	n := 0
	ap, s := pair(b, a, func(time.Time, []byte) { n++ })
	frame := eth(apMAC, staMAC, string(make([]byte, 1500)))
	ap.counts, s.counts = APCounters{}, StationCounters{}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		s.Send(epoch, frame)
		a.Advance(epoch)
	}
	if n == 0 {
		b.Fatal("nothing arrives")
	}
}

func pair(tb testing.TB, a *air.Air, out func(time.Time, []byte)) (*AccessPoint, *Station) {
	ap, err := NewAccessPoint(APConfig{Air: a, MAC: apMAC, Rand: rand.NewPCG(1, 1), SSID: ssid, Channel: 6, Output: out})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := NewStation(StationConfig{Air: a, MAC: staMAC, Rand: rand.NewPCG(1, 2)})
	if err != nil {
		tb.Fatal(err)
	}
	ap.Start(epoch)
	if err := s.Join(epoch, JoinParams{SSID: ssid, BSSID: apMAC, Channel: 6}); err != nil {
		tb.Fatal(err)
	}
	for now := epoch; !s.Joined(); now = now.Add(time.Millisecond) {
		a.Advance(now)
		ap.Advance(now)
		s.Advance(now)
	}
	return ap, s
}

// BenchmarkCrowd is 10,000 WPA2 stations that join one access point at the same time, and then an idle second
// of theirs, in a virtual world. It reports the time and the memory of one station.
func BenchmarkCrowd(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		w := world.NewVirtual(world.Epoch)
		a := air.New(air.Config{Delay: air.TypicalDelay, Queue: 1 << 16})
		a.OnSend = w.Add(a).Touch
		var pmks PMKCache
		var slot *world.Slot
		ap, err := NewAccessPoint(APConfig{Air: a, MAC: apMAC, Rand: rand.NewPCG(1, 2), SSID: ssid, Channel: 6,
			Passphrase: passphrase, PMKs: &pmks, MaxStations: n, Touch: func() { slot.Touch() }})
		if err != nil {
			b.Fatal(err)
		}
		slot = w.Add(ap)
		ap.Start(w.Now())
		stations := make([]*Station, n)
		for i := range stations {
			var slot *world.Slot
			s, err := NewStation(StationConfig{Air: a, MAC: wire.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}, Rand: rand.NewPCG(2, uint64(i)),
				PMKs: &pmks, Touch: func() { slot.Touch() }, Handle: func(time.Time, Event) {}})
			if err != nil {
				b.Fatal(err)
			}
			stations[i] = s
			slot = w.Add(s)
			now := w.Lock()
			if err := s.Join(now, wpa); err != nil {
				b.Fatal(err)
			}
			w.Unlock()
		}
		until := func(d time.Duration) {
			for end := w.Now().Add(d); w.Now().Before(end) && w.Step(); {
			}
		}
		until(3 * time.Second)
		if ap.Counters().Joined != n {
			b.Fatalf("%d of %d joined", ap.Counters().Joined, n)
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "ns/join")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/station")
		start = time.Now()
		until(10 * time.Second)
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/10/n, "ns/idle-second")
		runtime.KeepAlive(stations)
	}
}

package wifi

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/wire"
)

// failing is a destination that fails from the n-th write on.
type failing struct{ n, writes int }

var errDisk = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.writes++; f.writes >= f.n {
		return 0, errDisk
	}
	return len(b), nil
}

func TestCaptureStopsAfterAFailedWriteAndSaysSoOnce(t *testing.T) {
	b := newBench(t, 80)
	b.accessPoint(APConfig{})
	s := b.station(staMAC)
	s.mustJoin(JoinParams{SSID: ssid})
	dst := &failing{n: 2}
	w, err := pcap.NewWriter(dst, pcap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var failures []error
	Capture(b.air, wire.MAC{}, w, 0, func(err error) { failures = append(failures, err) })
	for range 500 {
		s.Send(b.now, eth(apMAC, staMAC, string(make([]byte, 1400))))
		b.run(time.Millisecond)
	}
	if len(failures) != 1 || !errors.Is(failures[0], errDisk) || dst.writes != 2 {
		t.Errorf("failures %v, %d writes", failures, dst.writes)
	}
}

func TestCaptureTakesOneAccessPointsDataOnly(t *testing.T) {
	b := newBench(t, 81)
	other := wire.MAC{2, 0, 0, 0, 0, 9}
	b.accessPoint(APConfig{})
	b.accessPoint(APConfig{MAC: other, SSID: "other"})
	one, two := b.station(staMAC), b.station(sta2)
	one.mustJoin(JoinParams{SSID: ssid})
	two.mustJoin(JoinParams{SSID: "other"})
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, pcap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	empty := file.Len()
	Capture(b.air, apMAC, w, 0, nil)
	two.Send(b.now, eth(other, sta2, "two"))
	b.run(time.Second) // beacons
	if err := w.Flush(); err != nil || file.Len() != empty {
		t.Fatalf("wrote %d bytes for another access point, %v", file.Len()-empty, err)
	}
	one.Send(b.now, eth(apMAC, staMAC, "one"))
	if err := w.Flush(); err != nil || !bytes.Contains(file.Bytes(), []byte("one")) {
		t.Errorf("%v: not written", err)
	}
}

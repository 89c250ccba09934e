package wifi

import (
	"bytes"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air"
	"github.com/understudy-net/understudy/wire"
)

// eapolOf returns the payload of an EAPOL frame, nil for anything else.
func eapolOf(f air.Frame) []byte {
	if f.Kind != air.KindData {
		return nil
	}
	h, payload, err := wire.ParseEthernet(f.Data)
	if err != nil || h.Type != wire.EtherTypeEAPOL {
		return nil
	}
	return payload
}

// record keeps the EAPOL frames of an air.
func (b *bench) record() *[]air.Frame {
	list := new([]air.Frame)
	b.air.Tap(func(_ time.Time, f air.Frame) {
		if eapolOf(f) != nil {
			f.Data = bytes.Clone(f.Data)
			*list = append(*list, f)
		}
	})
	return list
}

func TestTheFourMessages(t *testing.T) {
	b := newBench(t, 60)
	b.accessPoint(wpaAP)
	frames := b.record()
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	if len(*frames) != 4 {
		t.Fatalf("%d EAPOL frames, want 4", len(*frames))
	}
	var k [4]key
	for i, f := range *frames {
		var err error
		if k[i], _, err = parseKey(eapolOf(f)); err != nil {
			t.Fatalf("message %d: %v", i+1, err)
		}
	}
	for i, want := range []uint16{0x008a, 0x010a, 0x13ca, 0x030a} {
		if uint16(k[i].info) != want {
			t.Errorf("message %d: key information 0x%04x, want 0x%04x", i+1, uint16(k[i].info), want)
		}
	}
	if k[0].replay != k[1].replay || k[2].replay != k[3].replay || k[2].replay <= k[0].replay {
		t.Errorf("replay counters %d %d %d %d", k[0].replay, k[1].replay, k[2].replay, k[3].replay)
	}
	if k[0].nonce != k[2].nonce || k[0].nonce == k[1].nonce || k[0].nonce == (nonce{}) || k[3].nonce != (nonce{}) {
		t.Error("nonces are not ANonce, SNonce, ANonce, 0")
	}
	if k[0].keyLen != 16 || k[2].keyLen != 16 || len(k[0].data) != 0 || len(k[3].data) != 0 || len(k[2].data)%8 != 0 {
		t.Errorf("lengths: %d %d, %d %d %d", k[0].keyLen, k[2].keyLen, len(k[0].data), len(k[3].data), len(k[2].data))
	}
}

// replays sends everything that was recorded once more, from both sides.
func replays(b *bench, frames []air.Frame) {
	for _, f := range frames {
		p := b.air.NewPort(f.From, nil)
		p.SetChannel(6)
		p.Send(b.now, f)
		b.run(time.Millisecond)
		p.Close()
	}
}

func TestReplayedHandshakeChangesNothing(t *testing.T) {
	b := newBench(t, 61)
	ap := b.accessPoint(wpaAP)
	frames := b.record()
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	peerKeys, stationKeys := ap.peers[staMAC].keys, s.keys
	recorded := *frames
	replays(b, recorded[:4:4])
	if got := s.Counters().EAPOL; got.Replayed != 2 || got.Sent != 2 {
		t.Errorf("station: %+v", got)
	}
	if got := ap.Counters().EAPOL; got.Replayed != 2 || got.Sent != 2 {
		t.Errorf("access point: %+v", got)
	}
	if ap.peers[staMAC].keys != peerKeys || s.keys != stationKeys {
		t.Error("keys have changed")
	}
	b.run(time.Minute)
	s.wantNoEvent("after a replay")
}

func TestLostMessage4IsRepeated(t *testing.T) {
	b := newBench(t, 62)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	lost := 0
	b.air.Tap(func(_ time.Time, f air.Frame) {
		if e := eapolOf(f); e != nil && f.From == apMAC && e[5] == 0x13 && lost < 3 {
			lost++ // message 3 is under way: its answer will not arrive
			b.air.SetLink(staMAC, apMAC, air.Link{Down: true})
		}
	})
	s.mustJoin(wpa)
	b.run(50 * time.Millisecond)
	if n := ap.Stations(); n[0].Joined {
		t.Fatal("joined without message 4")
	}
	lost = 3
	b.air.SetLink(staMAC, apMAC, air.Link{})
	b.run(time.Second)
	if n := ap.Stations(); !n[0].Joined || !s.Joined() {
		t.Errorf("stations: %v; station %v", n, s.State())
	}
}

func TestMalformedEAPOLIsCountedAndDropped(t *testing.T) {
	b := newBench(t, 63)
	ap := b.accessPoint(wpaAP)
	frames := b.record()
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	msg1, msg2 := (*frames)[0], (*frames)[1]
	fromStation := b.air.NewPort(staMAC, nil)
	fromAP := b.air.NewPort(apMAC, nil)
	fromStation.SetChannel(6)
	fromAP.SetChannel(6)
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[wire.EthernetLen+at:], v); return b }
	}
	for _, c := range []struct {
		name                   string
		change                 func([]byte) []byte
		malformed, unsupported uint64
	}{
		{"empty", func(b []byte) []byte { return b[:wire.EthernetLen] }, 1, 0},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }, 1, 0},
		{"version 9", set(0, 9), 1, 0},
		{"EAPOL-Start", set(1, 1, 0, 0), 1, 0},
		{"length too short", set(2, 0, 94), 1, 0},
		{"length too long", set(2, 0xff, 0xff), 1, 0},
		{"descriptor 254", set(4, 254), 1, 0},
		{"key data length too long", set(97, 0xff, 0xff), 1, 0},
		{"descriptor version 3", set(6, 0x8b), 0, 1},
		{"group key", set(6, 0x82), 0, 1},
		{"request", set(5, 0x08), 0, 1},
	} {
		before, beforeAP := s.Counters().EAPOL, ap.Counters().EAPOL
		fromAP.Send(b.now, air.Frame{To: staMAC, Data: c.change(bytes.Clone(msg1.Data))})
		fromStation.Send(b.now, air.Frame{To: apMAC, Data: c.change(bytes.Clone(msg2.Data))})
		b.run(time.Millisecond)
		counted := func(n EAPOLCounters) EAPOLCounters {
			n.Received++
			n.Malformed += c.malformed
			n.Unsupported += c.unsupported
			return n
		}
		if got, want := s.Counters().EAPOL, counted(before); got != want {
			t.Errorf("%s: station %+v, want %+v", c.name, got, want)
		}
		if got, want := ap.Counters().EAPOL, counted(beforeAP); got != want {
			t.Errorf("%s: access point %+v, want %+v", c.name, got, want)
		}
	}
	if !s.Joined() {
		t.Error("the station has left")
	}
}

func TestForgedMessage1DuringTheHandshakeDoesNotStopIt(t *testing.T) {
	b := newBench(t, 64)
	b.accessPoint(wpaAP)
	forger := b.air.NewPort(wire.MAC{2, 6, 6, 6, 6, 6}, nil)
	forger.SetChannel(6)
	b.air.Tap(func(now time.Time, f air.Frame) {
		e := eapolOf(f)
		if e == nil || f.From != staMAC || e[5] != 0x01 {
			return
		}
		// As message 2 leaves, a message 1 with another nonce is put in the way of message 3.
		k := key{info: infoMessage1, keyLen: 16, replay: 77, nonce: nonce{6, 6, 6}}
		h := wire.Ethernet{Dst: staMAC, Src: apMAC, Type: wire.EtherTypeEAPOL}
		b.machines = append(b.machines, &once{at: now, do: func(now time.Time) {
			forger.Send(now, air.Frame{From: apMAC, To: staMAC, Data: k.append(h.Append(nil))})
		}})
	})
	s := b.station(staMAC)
	s.join(wpa)
	s.want("join", 5*time.Second, EventJoined, ReasonNone)
}

// once does something at a time.
type once struct {
	at time.Time
	do func(now time.Time)
}

func (o *once) Deadline() time.Time { return o.at }
func (o *once) Advance(now time.Time) {
	o.at = time.Time{}
	o.do(now)
}

func TestForgedMessage3IsNotBelieved(t *testing.T) {
	b := newBench(t, 65)
	b.accessPoint(wpaAP)
	s := b.station(staMAC)
	frames := b.record()
	s.mustJoin(wpa)
	b.run(time.Second)
	gtk := s.keys.gtk
	f := (*frames)[2]
	f.Data[wire.EthernetLen+16]++ // the replay counter, up
	f.Data[wire.EthernetLen+100]++
	replays(b, []air.Frame{f})
	if c := s.Counters().EAPOL; c.MICFailures != 1 || s.keys.gtk != gtk || !s.Joined() {
		t.Errorf("%+v, %v", c, s.State())
	}
}

func TestMessage3WithAnotherRSNElementEndsTheJoin(t *testing.T) {
	b := newBench(t, 66)
	b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.join(wpa)
	b.runUntil(5*time.Second, func() bool { return s.State() == StateHandshake })
	s.network.rsn = "what the beacons said"
	e := s.want("join", time.Second, EventJoinFailed, ReasonAuthenticationFailed)
	if e.Code != CodeElementDiffers {
		t.Errorf("code %v", e.Code)
	}
}

func TestMessage2WithAnotherRSNElementIsSentAway(t *testing.T) {
	b := newBench(t, 67)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.join(wpa)
	b.runUntil(5*time.Second, func() bool { return s.State() == StateHandshake })
	ap.peers[staMAC].rsn = []byte{1, 0}
	e := s.want("join", time.Second, EventJoinFailed, ReasonAuthenticationFailed)
	if e.Code != CodeElementDiffers {
		t.Errorf("code %v", e.Code)
	}
}

func TestEAPOLFromAboveDoesNotReachTheAir(t *testing.T) {
	b := newBench(t, 68)
	ap := b.accessPoint(wpaAP)
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	frames := b.record()
	s.Send(b.now, wire.Ethernet{Dst: apMAC, Src: staMAC, Type: wire.EtherTypeEAPOL}.Append(nil))
	ap.Send(b.now, wire.Ethernet{Dst: staMAC, Src: apMAC, Type: wire.EtherTypeEAPOL}.Append(nil))
	b.run(time.Second)
	if len(*frames) != 0 || s.Counters().BadFrame != 1 || ap.Counters().EAPOLBridge != 1 {
		t.Errorf("%d frames; %+v; %+v", len(*frames), s.Counters(), ap.Counters())
	}
}

func TestKeyDataIsPaddedForTheWrap(t *testing.T) {
	for n := range 24 {
		d := keyData{rsn: make([]byte, n), gtk: bytes.Repeat([]byte{7}, gtkLen), gtkID: 1}
		b := d.appendKeyData(nil)
		if len(b)%8 != 0 {
			t.Errorf("RSN element of %d bytes: %d bytes of key data", n, len(b))
		}
		got, err := parseKeyData(b)
		if err != nil || !bytes.Equal(got.rsn, d.rsn) || !bytes.Equal(got.gtk, d.gtk) || got.gtkID != 1 {
			t.Errorf("RSN element of %d bytes: %+v, %v", n, got, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	k := key{info: infoMessage2, replay: 1, nonce: nonce{1}, data: appendElement(nil, elementRSN, rsnPSK)}
	f.Add(k.append(nil))
	f.Add((&key{info: infoMessage1, keyLen: 16}).append(nil))
	f.Add([]byte{2, 3, 0, 95, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, frame, err := parseKey(b)
		if err != nil {
			return
		}
		if len(frame) > len(b) || len(k.data) != len(frame)-eapolHeader-keyFixed {
			t.Fatalf("lengths: %d %d %d", len(b), len(frame), len(k.data))
		}
		micValid([16]byte{}, frame)
		again, _, err := parseKey(k.append(nil))
		if err != nil || again.info != k.info || again.replay != k.replay || again.nonce != k.nonce ||
			again.mic != k.mic || again.keyLen != k.keyLen || !bytes.Equal(again.data, k.data) {
			t.Fatalf("%+v, then %+v, %v", k, again, err)
		}
		if d, err := parseKeyData(k.data); err == nil && len(d.gtk) > len(k.data) {
			t.Fatal("group key out of nowhere")
		}
		if plain, err := keyUnwrap([16]byte{}, bytes.Clone(k.data)); err == nil && len(plain) != len(k.data)-8 {
			t.Fatal("length of unwrapped data")
		}
	})
}

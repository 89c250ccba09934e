package air

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func mac(n int) wire.MAC { return wire.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)} }

// hearer is a port that keeps what it hears.
type hearer struct {
	*Port
	got   []string
	at    []time.Duration
	rssi  []int8
	frame []Frame
}

func listen(a *Air, m wire.MAC, ch uint8) *hearer {
	h := &hearer{}
	h.Port = a.NewPort(m, func(now time.Time, f Frame) {
		h.got = append(h.got, string(f.Data))
		h.at = append(h.at, now.Sub(epoch))
		h.rssi = append(h.rssi, f.RSSI)
		h.frame = append(h.frame, f)
	})
	h.SetChannel(ch)
	return h
}

func (h *hearer) want(t *testing.T, who string, want ...string) {
	t.Helper()
	if fmt.Sprint(h.got) != fmt.Sprint(want) {
		t.Errorf("%s heard %q, want %q", who, h.got, want)
	}
}

func frame(to wire.MAC, data string) Frame { return Frame{To: to, Data: []byte(data)} }

// settle advances from deadline to deadline until the air is silent.
func settle(t *testing.T, a *Air) {
	t.Helper()
	for i := 0; ; i++ {
		at := a.Deadline()
		if at.IsZero() {
			break
		}
		if i > 1_000_000 {
			t.Fatal("the air does not come to rest")
		}
		a.Advance(at)
	}
	if a.pool.inUse != 0 {
		t.Errorf("%d packets are still in use", a.pool.inUse)
	}
}

func TestWhoHearsWhat(t *testing.T) {
	a := New(Config{Delay: time.Millisecond})
	one, two, three := listen(a, mac(1), 6), listen(a, mac(2), 6), listen(a, mac(3), 11)
	twin, mon := listen(a, mac(2), 6), listen(a, mac(9), ChannelAll)
	off := listen(a, mac(2), ChannelOff)
	var tapped []string
	cancel := a.Tap(func(_ time.Time, f Frame) { tapped = append(tapped, string(f.Data)) })

	one.Send(epoch, frame(mac(2), "to two"))
	one.Send(epoch, frame(mac(3), "to three on another channel"))
	one.Send(epoch, frame(mac(1), "to myself"))
	one.Send(epoch, frame(wire.Broadcast, "to all"))
	one.Send(epoch, Frame{To: wire.Broadcast, Channel: 11, Data: []byte("to all on 11")})
	cancel()
	one.Send(epoch, frame(mac(9), "to the monitor"))
	if len(two.got) != 0 {
		t.Error("Send delivers")
	}
	settle(t, a)

	one.want(t, "the sender")
	two.want(t, "two", "to two", "to all")
	twin.want(t, "another with the same address", "to two", "to all")
	three.want(t, "three", "to all on 11")
	mon.want(t, "the monitor", "to two", "to three on another channel", "to myself", "to all", "to all on 11", "to the monitor")
	off.want(t, "one that is off")
	if len(tapped) != 5 {
		t.Errorf("the tap saw %q", tapped)
	}
	if f := two.frame[0]; f.From != mac(1) || f.To != mac(2) || f.Channel != 6 || f.RSSI != -40 {
		t.Errorf("frame %+v", f)
	}
	if two.at[0] != time.Millisecond {
		t.Errorf("heard after %v", two.at[0])
	}
	want := Counters{Sent: 6, SentBytes: 74, Delivered: 2 + 2 + 1 + 6, Drops: Drops{NoReceiver: 2}}
	if c := a.Counters(); c != want {
		t.Errorf("counters %+v, want %+v", c, want)
	}
	if c := one.Counters(); c.Sent != 6 || c.Received != 0 {
		t.Errorf("the sender's counters: %+v", c)
	}
}

func TestGroupsWithMembersReachMembersOnly(t *testing.T) {
	a := New(Config{})
	group := wire.MAC{3, 1, 1, 1, 1, 1}
	one, two, three, far := listen(a, mac(1), 6), listen(a, mac(2), 6), listen(a, mac(3), 6), listen(a, mac(4), 1)
	two.JoinGroup(group)
	two.JoinGroup(group)
	far.JoinGroup(group)
	one.Send(epoch, frame(group, "members"))
	one.Send(epoch, frame(wire.MAC{3, 2, 2, 2, 2, 2}, "everybody"))
	settle(t, a)
	two.want(t, "member", "members", "everybody")
	three.want(t, "not a member", "everybody")
	far.want(t, "member on another channel")
	two.LeaveGroup(group)
	far.Close()
	one.Send(epoch, frame(group, "nobody is a member now"))
	settle(t, a)
	three.want(t, "not a member", "everybody", "nobody is a member now")
	two.JoinGroup(mac(7)) // no group
	if len(a.groups) != 0 {
		t.Errorf("%d groups are left", len(a.groups))
	}
}

func TestPortsComeAndGoDuringADelivery(t *testing.T) {
	a := New(Config{})
	var order []int
	ports := map[int]*Port{}
	add := func(n int, in func()) {
		ports[n] = a.NewPort(mac(n), func(time.Time, Frame) {
			order = append(order, n)
			if in != nil {
				in()
			}
		})
	}
	add(1, func() { ports[2].Close(); ports[3].SetChannel(11) }) // the next two go
	add(2, nil)
	add(3, nil)
	add(4, func() { ports[4].SetChannel(11); ports[4].SetChannel(1) }) // to the end, and not again
	add(5, func() { ports[5].Close(); ports[5].Close(); add(7, nil) })
	add(6, nil)
	src := a.NewPort(mac(99), nil)
	src.Send(epoch, frame(wire.Broadcast, "x"))
	settle(t, a)
	if fmt.Sprint(order) != "[1 4 5 6 7]" {
		t.Errorf("heard by %v", order)
	}
	order = nil
	src.Send(epoch, frame(wire.Broadcast, "y"))
	settle(t, a)
	if fmt.Sprint(order) != "[1 6 4 7]" {
		t.Errorf("then by %v", order)
	}
	if c := a.Counters(); c.Drops != (Drops{}) {
		t.Errorf("drops %+v", c.Drops)
	}
}

func TestAnswersAtOnceDoNotKeepAdvanceBusy(t *testing.T) {
	a := New(Config{})
	var one, two *Port
	n := 0
	one = a.NewPort(mac(1), func(now time.Time, f Frame) { n++; one.Send(now, frame(mac(2), "ping")) })
	two = a.NewPort(mac(2), func(now time.Time, f Frame) { n++; two.Send(now, frame(mac(1), "pong")) })
	one.Send(epoch, frame(mac(2), "ping"))
	for range 10 {
		a.Advance(epoch)
	}
	if n != 10 {
		t.Errorf("10 calls delivered %d frames", n)
	}
}

func TestQueuesAreBoundedAndDropsCounted(t *testing.T) {
	a := New(Config{Queue: 3, MaxFrames: 5, Delay: time.Millisecond})
	one, two, three := listen(a, mac(1), 1), listen(a, mac(2), 1), listen(a, mac(3), 1)
	for range 5 {
		one.Send(epoch, frame(mac(2), "a"))
	}
	for range 3 {
		three.Send(epoch, frame(mac(2), "b"))
	}
	one.Send(epoch, Frame{To: mac(2), Data: make([]byte, MaxData+1)})
	two.SetChannel(ChannelOff)
	two.Send(epoch, frame(mac(1), "off"))
	two.SetChannel(ChannelAll)
	two.Send(epoch, frame(mac(1), "no channel"))
	two.SetChannel(1)
	settle(t, a)
	two.want(t, "two", "a", "a", "a", "b", "b")
	two.Close()
	two.Send(epoch, frame(mac(1), "closed"))
	want := Drops{QueueFull: 3, Oversize: 1, Tuned: 2, Closed: 1}
	if c := a.Counters(); c.Drops != want {
		t.Errorf("drops %+v, want %+v", c.Drops, want)
	}
	if c := one.Counters(); c.Dropped != 3 {
		t.Errorf("port %+v", c)
	}
	for range 100 { // room again
		one.Send(epoch, frame(mac(3), "c"))
		settle(t, a)
	}
	if len(three.got) != 100 {
		t.Errorf("then %d of 100 arrive", len(three.got))
	}
}

func TestFrameOfTheLargestSizeArrives(t *testing.T) {
	a := New(Config{})
	one, two := listen(a, mac(1), 1), listen(a, mac(2), 1)
	big := string(bytes.Repeat([]byte{7}, MaxData))
	one.Send(epoch, frame(mac(2), big))
	one.Send(epoch, frame(mac(2), ""))
	settle(t, a)
	two.want(t, "two", big, "")
}

func TestSendCopies(t *testing.T) {
	a := New(Config{})
	one, two := listen(a, mac(1), 1), listen(a, mac(2), 1)
	b := []byte("before")
	one.Send(epoch, Frame{To: mac(2), Data: b})
	copy(b, "after!")
	settle(t, a)
	two.want(t, "two", "before")
}

func TestOnSendAndDeadline(t *testing.T) {
	a := New(Config{Delay: time.Second})
	touched := 0
	a.OnSend = func() { touched++ }
	one := listen(a, mac(1), 1)
	if !a.Deadline().IsZero() {
		t.Error("a silent air has a deadline")
	}
	one.Send(epoch, frame(mac(2), "x"))
	if touched != 1 || !a.Deadline().Equal(epoch.Add(time.Second)) {
		t.Errorf("touched %d times, deadline %v", touched, a.Deadline())
	}
	a.Advance(epoch) // too early
	if a.Counters().Drops.NoReceiver != 0 {
		t.Error("delivered before its time")
	}
	settle(t, a)
}

func TestSetMACAndForgedSender(t *testing.T) {
	a := New(Config{Rand: rand.NewPCG(1, 1)})
	one, two := listen(a, mac(1), 1), listen(a, mac(2), 1)
	two.SetMAC(mac(5))
	one.Send(epoch, frame(mac(2), "old"))
	one.Send(epoch, frame(mac(5), "new"))
	one.Send(epoch, Frame{From: mac(77), To: mac(5), Data: []byte("forged")})
	settle(t, a)
	two.want(t, "two", "new", "forged")
	if two.frame[0].From != mac(1) || two.frame[1].From != mac(77) {
		t.Errorf("from %v and %v", two.frame[0].From, two.frame[1].From)
	}
	if two.MAC() != mac(5) || two.Channel() != 1 {
		t.Errorf("%v on %d", two.MAC(), two.Channel())
	}
}

func TestNothingIsLeftOfClosedPorts(t *testing.T) {
	a := New(Config{Rand: rand.NewPCG(1, 1)})
	if err := a.SetLink(wire.MAC{}, wire.MAC{}, Link{Delay: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	one := listen(a, mac(1), 1)
	for i := range 1000 {
		p := listen(a, mac(100+i), uint8(1+i%14))
		p.JoinGroup(wire.MAC{3, 1, 1, 1, 1, byte(i)})
		one.Send(epoch, frame(wire.Broadcast, "x"))
		p.Send(epoch, frame(mac(1), "y"))
		settle(t, a)
		p.Close()
	}
	if len(a.byMAC) != 1 || len(a.channels) != 1 || len(a.groups) != 0 || len(a.links.pairs) > 8 {
		t.Errorf("%d addresses, %d channels, %d groups, %d pairs", len(a.byMAC), len(a.channels), len(a.groups), len(a.links.pairs))
	}
}

func TestCopyForAClosedPortIsGone(t *testing.T) {
	a := New(Config{})
	one, two, three := listen(a, mac(1), 1), listen(a, mac(2), 1), listen(a, mac(3), 1)
	if err := a.SetLink(mac(1), wire.MAC{}, Link{Delay: time.Second}); err != nil {
		t.Fatal(err)
	}
	one.Send(epoch, frame(wire.Broadcast, "late"))
	a.Advance(epoch)
	two.Close()
	three.SetChannel(2)
	settle(t, a)
	two.want(t, "closed")
	three.want(t, "elsewhere")
	if c := a.Counters(); c.Drops.Gone != 2 {
		t.Errorf("drops %+v", c.Drops)
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	for _, links := range []bool{false, true} {
		a := New(Config{Rand: rand.NewPCG(1, 1)})
		if links {
			if err := a.SetLink(wire.MAC{}, wire.MAC{}, Link{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Corrupt: 0.1,
				Delay: time.Millisecond, Jitter: time.Millisecond}); err != nil {
				t.Fatal(err)
			}
		}
		var p [10]*Port
		for i := range p {
			p[i] = a.NewPort(mac(i), func(time.Time, Frame) {})
		}
		data := make([]byte, 1514)
		now := epoch
		round := func() {
			for i := range p {
				p[i].Send(now, Frame{To: mac((i + 1) % 10), Data: data})
			}
			p[0].Send(now, Frame{To: wire.Broadcast, Data: data})
			now = now.Add(time.Millisecond)
			a.Advance(now)
		}
		for range 1000 {
			round()
		}
		if n := testing.AllocsPerRun(1000, round); n != 0 {
			t.Errorf("links %v: %v allocations for 11 frames", links, n)
		}
	}
}

func TestFrameAndKindPrint(t *testing.T) {
	f := Frame{From: mac(1), To: wire.Broadcast, Channel: 6, Kind: KindManagement, Data: make([]byte, 10)}
	if got, want := f.String(), "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff ch 6 management 10"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := Kind(9).String(); got != "kind(9)" {
		t.Error(got)
	}
}

// BenchmarkUnicast shows that the cost does not grow with the number of ports.
func BenchmarkUnicast(b *testing.B) {
	for _, n := range []int{2, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := New(Config{})
			ports := make([]*Port, n)
			for i := range ports {
				ports[i] = a.NewPort(mac(i), nil)
			}
			f := Frame{To: mac(n - 1), Data: make([]byte, 1514)}
			b.SetBytes(1514)
			b.ReportAllocs()
			for b.Loop() {
				ports[0].Send(epoch, f)
				a.Advance(epoch)
			}
		})
	}
}

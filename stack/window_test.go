package stack

import (
	"strconv"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/stack/tcp"
)

// T-24: an urgent pointer without its flag is no pointer.
func TestT24_UrgentPointerWithoutFlag(t *testing.T) {
	x := hostile(t)
	x.run(`
	+0 < P. 1:11(10) ack 1 urg 65535
	+0 < P. 11:21(10) ack 1 urg 1
	+0 > . 1:1(0) ack 21
	+0 < . 21:21(0) ack 1 urg 100
	+0 unread 20
	+0 read 20
	`)
	x.alive()
}

// T-37: a peer whose window is one byte for ever gets its bytes, but no storm of them: one when waiting for more has proved to be
// in vain (RFC 1122, 4.2.3.4). The sole exception is a peer whose window never was larger: one byte is all of it, and
// is sent for each acknowledgement.
func TestT37_WindowOfOneByte(t *testing.T) {
	for _, c := range []struct {
		before string // the window at first
		most   int    // segments in ten minutes, at 20 acknowledgements a second
	}{
		{"65535", 10 * 60 * 6},
		{"1", 10 * 60 * 21},
	} {
		x := play(t, strings.ReplaceAll(`
		+0 listen
		+0 < S 0:0(0) win WIN <mss 1460>
		+0 > S. 0:0(0) ack 1
		+0.1 < . 1:1(0) ack 1 win 1
		+0 accept
		`, "WIN", c.before))
		x.line([]string{"write", "20000"})
		sent, una := 0, 1
		for until := x.now.Add(10 * minute); x.now.Before(until); {
			x.pass(second / 20)
			now := x.out
			x.out = nil
			if len(now) > 1 {
				t.Fatalf("%d segments within 50 ms", len(now))
			}
			for _, o := range now {
				sent++
				if text := x.text(o.frame); !strings.Contains(text, "(1)") {
					t.Fatalf("beyond the window: %s", text)
				}
				una++
				x.line(strings.Fields("< . 1:1(0) win 1 ack " + strconv.Itoa(una)))
			}
		}
		if x.state() != "ESTABLISHED" || sent < 60 || sent > c.most {
			t.Errorf("window %s, then 1: %s, %d segments in ten minutes, want at most %d", c.before, x.state(), sent, c.most)
		}
		x.line(strings.Fields("< . 1:1(0) win 60000 ack " + strconv.Itoa(una)))
		x.pass(second)
		if len(x.out) < 2 {
			t.Errorf("%d segments after the window opened", len(x.out))
		}
	}
}

// T-38: the window shrinks below what is under way: nothing new is sent, and of the old only what is inside.
func TestT38_WindowShrinks(t *testing.T) {
	x := hostile(t)
	x.run(`
	+0 write 2920
	+0 > . 1:1461(1460) ack 1
	+0 > P. 1461:2921(1460) ack 1
	+0.05 < . 1:1(0) ack 1 win 500
	+0 write 1000
	`)
	for until := x.now.Add(20 * second); x.now.Before(until); x.pass(second / 10) {
		for _, o := range x.out {
			text := x.text(o.frame)
			if !strings.Contains(text, " 1:501(500) ") && !strings.Contains(text, " 1:1(0) ") {
				t.Errorf("beyond the window: %s", text)
			}
		}
		x.out = nil
	}
	x.run(`
	+0 < . 1:1(0) ack 2921 win 65535
	skip
	+0 state ESTABLISHED
	`)
	x.pass(5 * second)
	x.out = nil
	x.line(strings.Fields("< . 1:1(0) ack 3921 win 65535"))
	if _, out := x.c.Buffered(); out != 0 {
		t.Errorf("%d bytes are left", out)
	}
	x.alive()
}

// Rounding to units of the scaled window takes back up to a unit of what was offered before, and data may be under way that
// fill just that (RFC 7323, 2.4). The peer has taken them when our next ACK arrives, so an ACK with the number before them
// would be an old duplicate to it: the window update in it would be lost, and the peer would wait for its probe.
func TestWindowThatRoundingTakesBack(t *testing.T) {
	x := lone(t, Config{TCP: tcp.Config{NoTimestamps: true, NoSACK: true}})
	x.run(`
	+0 listen
	+0 < S 0:0(0) win 1000 <mss 1460,wscale 5>
	+0 > S. 0:0(0) ack 1
	+0.1 < . 1:1(0) ack 1 win 4
	+0 accept
	+0 nodelay
	+0 write 100
	+0 > P. 1:101(100) ack 1
	+0 write 28
	+0 > P. 101:129(28) ack 1
	+0 < P. 1:1461(1460) ack 101 win 0      # 28 are under way, to be had by the peer before our ACK
	+0.04 > . 129:129(0) ack 1461
	+0 < . 1461:1461(0) ack 129 win 0
	+0 write 500
	+0.3375 > . 129:130(1) ack 1461       # a probe, which is not taken
	+0 < P. 1461:2921(1460) ack 129 win 0
	+0.04 > . 129:129(0) ack 2921        # so ACKs have the number before it
	`)
}

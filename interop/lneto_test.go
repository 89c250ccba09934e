package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/soypat/lneto"
	ltcp "github.com/soypat/lneto/tcp"
	"github.com/soypat/lneto/x/xnet"

	"github.com/understudy-net/understudy/stack"
	"github.com/understudy-net/understudy/wire"
)

// lnetoBench is a stack of ours and one of lneto's, in one loop and in virtual time.
type lnetoBench struct {
	t      *testing.T
	now    time.Time
	ours   *stack.Stack
	theirs *xnet.StackAsync
	out    [][]byte // of ours
	buf    [2048]byte
}

func newLnetoBench(t *testing.T) *lnetoBench {
	b := &lnetoBench{t: t, now: start}
	s, err := stack.New(stack.Config{
		MAC: wire.MAC{2, 0, 0, 0, 0, 1}, Rand: rand.NewPCG(1, 1), ACD: stack.ACD{Off: true, Announces: -1},
		Output: func(_ time.Time, f []byte) { b.out = append(b.out, bytes.Clone(f)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.ours = s
	if err := s.SetAddr(b.now, netip.MustParsePrefix("10.0.0.1/24"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	b.theirs = new(xnet.StackAsync)
	err = b.theirs.Reset(xnet.StackConfig{
		Hostname: "l2", RandSeed: 2, StaticAddress4: [4]byte{10, 0, 0, 2}, HardwareAddress: [6]byte{2, 0, 0, 0, 0, 2},
		MaxActiveTCPPorts: 4, MTU: 1500,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.theirs.SetGatewayHardwareAddr([6]byte{2, 0, 0, 0, 0, 1})
	return b
}

// step carries what is there both ways, lets time pass, and says whether anything moved.
func (b *lnetoBench) step() bool {
	moved := false
	for len(b.out) > 0 {
		f := b.out[0]
		b.out = b.out[1:]
		moved = true
		if err := b.theirs.IngressEthernet(f); err != nil && err != lneto.ErrPacketDrop {
			b.t.Logf("lneto: %v", err)
		}
	}
	for {
		n, err := b.theirs.EgressEthernet(b.buf[:])
		if err != nil && !errors.Is(err, net.ErrClosed) {
			b.t.Logf("lneto: %v", err)
		}
		if n == 0 {
			break
		}
		moved = true
		b.ours.Input(b.now, b.buf[:n])
	}
	if moved {
		b.now = b.now.Add(50 * time.Microsecond)
	} else {
		b.now = b.now.Add(5 * time.Millisecond)
	}
	if d := b.ours.Deadline(); !d.IsZero() && !d.After(b.now) {
		b.ours.Advance(b.now)
	}
	for b.ours.Pending() {
		b.ours.NextEvent()
	}
	return moved
}

func (b *lnetoBench) until(what string, ok func() bool) {
	b.t.Helper()
	for range 100_000 {
		if ok() {
			return
		}
		b.step()
	}
	b.t.Fatalf("never: %s", what)
}

func (b *lnetoBench) conn() *ltcp.Conn {
	c := new(ltcp.Conn)
	err := c.Configure(ltcp.ConnConfig{RxBuf: make([]byte, 16<<10), TxBuf: make([]byte, 16<<10), TxPacketQueueSize: 32,
		RWBackoff: func(uint) time.Duration { return lneto.BackoffFlagNop }})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// exchange sends n bytes each way at once; ours closes first.
func (b *lnetoBench) exchange(a stack.TCP, c *ltcp.Conn, n int) {
	b.t.Helper()
	there, back := randomBytes(n, 1), randomBytes(n, 2)
	var gotThere, gotBack []byte
	sentThere, sentBack := 0, 0
	buf := make([]byte, 64<<10)
	b.until(fmt.Sprintf("%d bytes each way", n), func() bool {
		k, err := a.Write(b.now, there[sentThere:])
		if sentThere += k; k == 0 && a.Err() != nil {
			b.t.Fatal(err)
		}
		if k := min(c.FreeOutput(), n-sentBack); k > 0 {
			k, err := c.Write(back[sentBack : sentBack+k])
			if err != nil {
				b.t.Fatal(err)
			}
			sentBack += k
		}
		if c.BufferedInput() > 0 {
			k, err := c.Read(buf)
			if err != nil {
				b.t.Fatal(err)
			}
			gotThere = append(gotThere, buf[:k]...)
		}
		k, _ = a.Read(b.now, buf)
		gotBack = append(gotBack, buf[:k]...)
		return len(gotThere) >= n && len(gotBack) >= n
	})
	if !bytes.Equal(gotThere, there) || !bytes.Equal(gotBack, back) {
		b.t.Error("other bytes arrived")
	}
	if err := a.CloseWrite(b.now); err != nil {
		b.t.Fatal(err)
	}
	// lneto closes its own end when ours is closed.
	b.until("the end of the stream", func() bool {
		_, err := a.Read(b.now, buf)
		if c.State() == ltcp.StateCloseWait {
			c.Close()
		}
		return err == io.EOF
	})
	if s := b.ours.Stats(); s.TCP.BadChecksum+s.TCP.Malformed+s.IP.BadChecksum+s.IP.Malformed != 0 {
		b.t.Errorf("counters: %+v", *s)
	}
	if r := a.Info().Retransmits; r != 0 {
		b.t.Errorf("%d retransmissions on a clean link", r)
	}
}

func TestTCPWithLneto(t *testing.T) {
	t.Run("ours opens", func(t *testing.T) {
		b := newLnetoBench(t)
		c := b.conn()
		if err := b.theirs.ListenTCP4(c, 80); err != nil {
			t.Fatal(err)
		}
		a, err := b.ours.Dial(b.now, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		b.until("ESTABLISHED", func() bool { return a.State().String() == "ESTABLISHED" && c.State() == ltcp.StateEstablished })
		b.exchange(a, c, 1<<20)
	})
	t.Run("lneto opens", func(t *testing.T) {
		b := newLnetoBench(t)
		ln, err := b.ours.Listen(b.now, netip.MustParseAddrPort("10.0.0.1:80"), stack.ListenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		c := b.conn()
		if err := b.theirs.DialTCP(c, 4711, ln.Addr()); err != nil {
			t.Fatal(err)
		}
		var a stack.TCP
		b.until("a connection to accept", func() bool {
			a, err = ln.Accept(b.now)
			return err == nil
		})
		b.exchange(a, c, 1<<20)
	})
}

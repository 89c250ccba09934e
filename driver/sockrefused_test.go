package driver_test

import (
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/driver"
)

// refusals are the requests that reset the options of a socket. Each takes its
// request off the chip and returns what answers it.
var refusals = []struct {
	name string
	ask  func(b *bench, s driver.Socket) (answer func(hif.Status))
}{
	{"BIND", func(b *bench, s driver.Socket) func(hif.Status) {
		check(b.t, s.Bind(addrPort("0.0.0.0:81")))
		m := want(b.chip, hif.OpBind, hif.ParseBind)
		return func(st hif.Status) {
			b.tell(hif.OpBind, hif.BindReply{Sock: m.Sock, Status: st, Session: m.Session})
		}
	}},
	{"CONNECT", func(b *bench, s driver.Socket) func(hif.Status) {
		check(b.t, s.Connect(addrPort("10.0.0.9:81")))
		m := want(b.chip, hif.OpSockConnect, hif.ParseSockConnect)
		return func(st hif.Status) { b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, Status: st}) }
	}},
}

// A request that the device refuses without having looked at the socket leaves its
// options as they are there, so it must here.
func TestRefusedRequestLeavesOptions(t *testing.T) {
	for _, q := range refusals {
		for _, tc := range []struct {
			status hif.Status
			idle   int // 0: set back
		}{{hif.StatusInvalid, 4}, {hif.StatusInvalidAddress, 4}, {hif.StatusOK, 0}, {hif.StatusAddressInUse, 0}, {hif.StatusAborted, 0}} {
			b := newBench(t)
			b.events()
			s := b.socket(driver.Stream)
			check(t, s.SetOpt(driver.OptKeepAlive, 1))
			check(t, s.SetOpt(driver.OptKeepIdle, 4))
			b.take()
			answer := q.ask(b, s)
			check(t, s.SetOpt(driver.OptKeepCount, 7)) // the device takes it after the request
			answer(tc.status)
			v, err := s.Opt(driver.OptKeepIdle)
			if tc.idle == 0 {
				wantErr(t, q.name, err, driver.ErrSockArg)
			} else if v != tc.idle || err != nil {
				t.Errorf("%s refused with %d: idle %d, %v", q.name, tc.status, v, err)
			}
			if v, err := s.Opt(driver.OptKeepCount); v != 7 || err != nil {
				t.Errorf("%s answered with %d: what was set after it is %d, %v", q.name, tc.status, v, err)
			}
		}
	}
}

// A datagram socket whose sends have no answer has none after a refused BIND either:
// one that is waited for would never come.
func TestRefusedBindLeavesSendsSilent(t *testing.T) {
	b := newBench(t)
	got := b.events()
	s := b.socket(driver.Datagram)
	check(t, s.SetOpt(driver.OptUDPSendEvents, 0))
	b.take()
	answer := refusals[0].ask(b, s)
	check(t, s.SendTo([]byte("x"), addrPort("10.0.0.9:7"))) // while it is not known
	answer(hif.StatusInvalid)
	check(t, s.SendTo([]byte("x"), addrPort("10.0.0.9:7")))
	check(t, s.Send([]byte("x")))
	wantLines(t, "refused", got, "7 BIND (-9)")
	b.online()
	b.tell(hif.OpStateChanged, hif.StateChanged{}) // the link is lost: what waits fails
	wantLines(t, "nothing waits", got)
}

// The peer of an attempt that was refused is not that of the next one.
func TestRefusedConnectHasNoPeer(t *testing.T) {
	b := newBench(t)
	var peers []any
	check(t, b.c.OnSocket(func(_ driver.Socket, m driver.Msg) {
		if m, ok := m.(driver.RecvMsg); ok {
			peers = append(peers, m.Peer)
		}
	}))
	s := b.socket(driver.Stream)
	refusals[1].ask(b, s)(hif.StatusInvalid)
	check(t, s.Connect(addrPort("10.0.0.8:80")))
	m := want(b.chip, hif.OpSockConnect, hif.ParseSockConnect)
	b.tell(hif.OpSockConnect, hif.SockConnectReply{Sock: m.Sock, AppDataOffset: hif.TCPAppDataOffset})
	refusals[1].ask(b, s)(hif.StatusInvalid) // connected already
	check(t, s.Recv(make([]byte, 9), time.Second))
	b.recvReply(hif.OpRecv, m.Sock, m.Session, "data")
	if len(peers) != 1 || peers[0] != addrPort("10.0.0.8:80") {
		t.Error(peers)
	}
}

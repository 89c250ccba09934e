package hif_test

import (
	"fmt"
	"net/netip"

	"github.com/understudy-net/understudy/bus/hif"
)

// A host builds a BIND; a device takes it apart.
func Example() {
	msg := hif.AppendMessage(nil, hif.OpBind, hif.Bind{
		Addr:    netip.MustParseAddrPort("0.0.0.0:5353"),
		Sock:    hif.FirstUDP,
		Session: 1,
	})
	fmt.Printf("% x\n", msg)

	h, err := hif.ParseHeader(msg)
	if err != nil {
		fmt.Println(err)
		return
	}
	switch h.Op {
	case hif.OpBind:
		m, err := hif.ParseBind(msg[hif.HeaderLen:h.Len])
		fmt.Println(h.Op, m.Sock, m.Addr, m.Session, err)
	}
	// Output:
	// 02 41 14 00 00 00 00 00 02 00 14 e9 00 00 00 00 07 00 01 00
	// IP/BIND 7 0.0.0.0:5353 1 <nil>
}

package wire_test

import (
	"fmt"
	"net/netip"

	"github.com/understudy-net/understudy/wire"
)

// A frame is built from the outside in and read the same way.
func Example() {
	src, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	payload := []byte("hello")

	frame := wire.Ethernet{
		Dst: wire.MAC{2, 0, 0, 0, 0, 2}, Src: wire.MAC{2, 0, 0, 0, 0, 1}, Type: wire.EtherTypeIPv4,
	}.Append(nil)
	frame = wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: src, Dst: dst}.Append(frame, wire.UDPLen+len(payload))
	frame = wire.UDP{SrcPort: 1234, DstPort: 7}.Append(frame, src, dst, payload)

	eth, b, err := wire.ParseEthernet(frame)
	if err != nil {
		fmt.Println(err)
		return
	}
	ip, b, err := wire.ParseIPv4(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	udp, b, err := wire.ParseUDP(b, ip.Src, ip.Dst)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(eth)
	fmt.Println(ip)
	fmt.Printf("%v: %s\n", udp, b)
	// Output:
	// 02:00:00:00:00:01 > 02:00:00:00:00:02 IPv4
	// 192.0.2.1 > 192.0.2.2 UDP ttl 64 id 0
	// UDP 1234 > 7: hello
}

// Segments print as packet scripts have them.
func ExampleTCP_Text() {
	syn := wire.TCP{SrcPort: 49152, DstPort: 80, Flags: wire.SYN, Wnd: 65535, Opt: wire.TCPOptions{MSS: 1460}}
	fmt.Println(syn.Text(0))
	// Output: S 0:0(0) win 65535 <mss 1460>
}

// A checksum over pieces, one of which is odd in length.
func ExampleCombine() {
	a, b := []byte{1, 2, 3}, []byte{4, 5}
	sum := wire.Combine(wire.Sum(0, a), len(a), wire.Sum(0, b))
	fmt.Printf("%#04x %#04x\n", ^wire.Fold(sum), wire.Checksum([]byte{1, 2, 3, 4, 5}))
	// Output: 0xf6f9 0xf6f9
}

func ExampleParseMAC() {
	m, err := wire.ParseMAC("02:00:5e:00:53:01")
	fmt.Println(m, m.IsMulticast(), err)
	// Output: 02:00:5e:00:53:01 false <nil>
}

package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/understudy-net/understudy/understudytest"
)

// A join with WPA2, DHCP, a look-up and a connection, as written to pcapng: gopacket reads
// the file and understands every frame, down to the messages.
func TestCaptureOfABenchAsGopacketReadsIt(t *testing.T) {
	b := understudytest.Virtual(t, 1)
	var out bytes.Buffer
	stop, err := b.Capture(&out)
	if err != nil {
		t.Fatal(err)
	}
	peer := b.AddHost("peer.test")
	if err := peer.HandleTCP(7, func(c net.Conn) { io.Copy(c, c) }); err != nil {
		t.Fatal(err)
	}
	var failed error
	err = b.Run(func() { failed = visit(b) })
	if err = errors.Join(err, failed, stop()); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[gopacket.LayerType]int{}
	names := map[string]bool{}
	for {
		frame, _, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range decode(t, frame).Layers() {
			seen[l.LayerType()]++
			switch l := l.(type) {
			case *layers.DNS:
				for _, q := range l.Questions {
					names[string(q.Name)] = true
				}
			case *layers.DHCPv4:
				if l.HardwareType != layers.LinkTypeEthernet {
					t.Errorf("DHCP for hardware %v", l.HardwareType)
				}
			}
		}
	}
	t.Log(seen)
	for _, want := range []struct {
		what gopacket.LayerType
		n    int
	}{{layers.LayerTypeEAPOLKey, 4}, {layers.LayerTypeARP, 2}, {layers.LayerTypeDHCPv4, 4}, {layers.LayerTypeDNS, 2}, {layers.LayerTypeTCP, 5}} {
		if seen[want.what] < want.n {
			t.Errorf("%d of %v, want at least %d", seen[want.what], want.what, want.n)
		}
	}
	if !names["peer.test"] {
		t.Errorf("no question for peer.test, but %v", names)
	}
}

func visit(b *understudytest.Bench) error {
	if err := b.Join(); err != nil {
		return err
	}
	c, err := b.Net.DialContext(context.Background(), "tcp", "peer.test:7")
	if err != nil {
		return err
	}
	defer c.Close()
	want := bytes.Repeat([]byte("understudy"), 500)
	if _, err := c.Write(want); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("the echo is another")
	}
	return nil
}

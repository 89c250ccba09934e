package stack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/understudy-net/understudy/wire"
)

// TestMUST65_MUST67_MUST68_MUST69_OurHeaders looks at all headers of ours in a transfer with losses: the
// MSS is in SYN only and no more than what can be received, each option has its length, and what is
// left of the header is zero.
func TestMUST65_MUST67_MUST68_MUST69_OurHeaders(t *testing.T) {
	kinds := map[byte]int{}
	for seed := uint64(1); seed <= 24; seed++ {
		_, err := tortureWith(seed, false, func(f []byte) {
			h, b, err := wire.ParseEthernet(f)
			if err != nil || h.Type != wire.EtherTypeIPv4 {
				return
			}
			ip, b, err := wire.ParseIPv4(b)
			if err != nil || ip.Proto != wire.ProtoTCP {
				t.Fatal(err)
			}
			flags := wire.TCPFlags(b[13])
			o := b[20 : int(b[12]>>4)*4]
			for len(o) > 0 {
				kind := o[0]
				if kind == 0 { // the end: the padding must be zero (MUST-69)
					for _, x := range o {
						if x != 0 {
							t.Fatalf("padding %x", o)
						}
					}
					break
				}
				kinds[kind]++
				if kind == 1 {
					o = o[1:]
					continue
				}
				if len(o) < 2 || int(o[1]) < 2 || int(o[1]) > len(o) { // MUST-68
					t.Fatalf("options end in %x", o)
				}
				if (kind == 2 || kind == 3 || kind == 4) && !flags.Has(wire.SYN) {
					t.Fatalf("option %d outside of SYN", kind) // MUST-65, WS-1, SACK-1
				}
				if kind == 2 && int(o[2])<<8+int(o[3]) != 1460 {
					t.Fatalf("MSS %x at an MTU of 1500", o[2:4]) // MUST-67
				}
				o = o[o[1]:]
			}
			if len(f) > ethLen+1500 {
				t.Fatalf("%d bytes of frame", len(f)) // MUST-16
			}
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	for _, k := range []byte{1, 2, 3, 4, 5, 8} {
		if kinds[k] == 0 {
			t.Errorf("option %d was never sent: this proves nothing", k)
		}
	}
}

func TestACD4_ManyConflictsSlowDown(t *testing.T) {
	// RFC 5227, 2.1.1: after ten conflicts there is at most one attempt in a minute.
	x := lone(t, scriptConf())
	x.s.cfg.ACD = ACD{}
	var gaps []time.Duration
	for range 13 {
		x.out = nil
		began := x.now
		x.s.SetAddr(x.now, netip.PrefixFrom(addrA, 24), netip.Addr{})
		for len(x.out) == 0 {
			x.pass(100 * time.Millisecond)
		}
		gaps = append(gaps, x.now.Sub(began))
		x.arpReply(wire.ARP{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: addrA, TargetIP: addrA})
	}
	if gaps[0] > 2*time.Second || gaps[12] < time.Minute {
		t.Fatalf("attempts began after %v", gaps)
	}
}

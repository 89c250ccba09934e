package stack

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// requirement is a row, or a run of rows, of spec/stack-conformance.md, 1.1 to 1.10, that no test's
// name bears: tests shows which ones prove it all the same, else why it cannot apply.
type requirement struct{ ids, tests, why string }

// rows are all identifiers, in the order of the specification.
var rows = []struct{ title, ids string }{
	{"Ethernet and ARP", "LNK-1..6 ARP-1..9 ACD-1..6"},
	{"IPv4", "IP-1..24"},
	{"ICMP", "ICMP-1..15"},
	{"UDP", "UDP-1..9"},
	{"TCP: RFC 9293", "MUST-1..69 REC-1 SHLD-1..31 MAY-1..18"},
	{"TCP: the other RFCs", "RTO-1..5 CC-1..11 SACK-1..4 WS-1 TS-1..3 RACK 5961-1..4 PORT-1 PMTU-1..3 TW-1"},
	{"TCP: the mistakes that RFC 2525 collects", "2525-3..18 2525-20..21"},
	{"DHCP client", "DC-1..22"},
	{"DHCP server", "DS-1..15"},
	{"DNS", "DNS-1..16"},
	{"SNTP", "NTP-1..11"},
}

var requirements = []requirement{
	{"LNK-1", "TestE03_E04_E11_OtherFrames", ""},
	{"LNK-6", "TestE06_LongFrames TestE03_E04_E11_OtherFrames", ""},
	{"ARP-1", "TestE08_E10_BrokenARP", ""},
	{"ARP-2 ARP-8", "TestE12_E13_E14_E15_E16_ARPLearning", ""},
	{"ARP-4", "TestE21_E22_ARP5_ARP6_WaitingPackets", ""},
	{"ACD-6", "TestE19_OurOwnFramesComeBack", ""},
	{"IP-1..3", "TestI01toI07_BrokenHeaders", ""},
	{"IP-4 IP-5", "TestI08_I09_I10_Addresses", ""},
	{"IP-9", "TestI12toI20_Options", ""},
	{"IP-10", "TestI12toI20_Options", "packets with a source route are dropped: RFC 7126, 4.3"},
	{"IP-11", "TestIP19_NoGateway", ""},
	{"IP-15", "TestF01toF08_BadFragments TestF20_ForgedSecondFragment", ""},
	{"IP-16", "TestF11_F12_F19_ReassemblyIsBounded", ""},
	{"IP-17", "TestF01toF08_BadFragments", ""},
	{"IP-23", "TestI25_IGMP", ""},
	{"ICMP-1..3 ICMP-12 ICMP-13", "TestC01toC09_ICMP", ""},
	{"ICMP-5", "TestI18_ErrorsQuoteAtMost576Bytes", ""},
	{"ICMP-8", "TestC10_C11_C15_C18_QuotedPackets", ""},
	{"ICMP-9 ICMP-10", "TestMUST54_MUST56_SoftErrorsDoNotAbort", ""},
	{"ICMP-11", "TestC01toC09_ICMP", "redirects are ignored: the safer choice, as the row says"},
	{"ICMP-14", "TestC13_C14_PathMTUFlood TestPMTU1_FragmentationNeeded", ""},
	{"ICMP-15", "TestIP20_PingNobody TestPingTTLExceeded", ""},
	{"UDP-1 UDP-4 UDP-5 UDP-8", "TestU01toU08_UDP", ""},
	{"UDP-7", "TestS07_PORT1_EphemeralPorts", ""},
	{"UDP-9", "", "the API has no such switch: who writes to a broadcast address means it"},

	{"MUST-1 REC-1", "TestWS1_WindowScale", ""},
	{"MUST-2 MUST-3", "TestT01toT05_BrokenSegments", ""},
	{"MUST-9", "TestS03_S04_S11_SecretsDiffer TestS10_NoRandomSource", ""},
	{"MUST-19", "TestCC1_CC2_SlowStart TestCC3_TimeoutStartsOver", ""},
	{"MUST-31..33 MUST-62 SHLD-13", "TestMUST30_UrgentDataInLine TestT24_UrgentPointerWithoutFlag", "no interface for urgent data: they are read in line and the pointer is never used (RFC 6093)"},
	{"MUST-35", "TestMUST36_ZeroWindowProbes", ""},
	{"MUST-44", "TestMUST43_MUST45_LocalAddress", ""},
	{"MUST-47 SHLD-20", "", "soft errors are not reported to the user, who could do nothing about them; they are counted"},
	{"MUST-51..53 SHLD-24 MAY-10 MAY-11", "", "source route, record route and timestamp are left out: RFC 7126"},
	{"MUST-55", "TestMUST54_MUST56_SoftErrorsDoNotAbort", ""},
	{"MUST-59", "TestMUST58_SHLD31_HoleIsFilledWithOneACK TestABatchInOrderIsAcknowledgedAtItsEnd", ""},
	{"MUST-61", "TestMUST60_PushAtTheEndOfAWrite", ""},
	{"MUST-64", "TestT09toT19_MUST4toMUST7_Options", ""},
	{"SHLD-1", "TestS01_InitialSequenceNumbers", ""},
	{"SHLD-4", "TestMAY2_NewConnectionOutOfTimeWait", ""},
	{"SHLD-5 MAY-3", "TestMUST14_MUST15_NoMSSMeans536", ""},
	{"SHLD-6", "", "the MTU of the interface does not change in the life of a stack"},
	{"SHLD-7", "TestMUST17_Nagle", ""},
	{"SHLD-8", "TestT50_ReservedBits", "no ECN: a small stack. ECE and CWR of the peer do no harm"},
	{"SHLD-9..11", "TestMUST20_RetransmissionGivesUp TestMUST21_SuspectsTheNeighbor", ""},
	{"SHLD-12 MAY-5 MAY-6", "TestKeepAlive_MUST24to29", ""},
	{"SHLD-15..17", "TestMUST34_PeerShrinksItsWindow TestT38_WindowShrinks", ""},
	{"SHLD-19", "TestMUST40_SHLD18_DelayedACK", ""},
	{"SHLD-21..23", "TestIP22_MUST48_MUST49_TOSAndTTL", ""},
	{"SHLD-25 SHLD-26", "TestMUST54_MUST56_SoftErrorsDoNotAbort", ""},
	{"SHLD-27 SHLD-28 MAY-15..17", "TestMUST60_PushAtTheEndOfAWrite", ""},
	{"SHLD-29 SHLD-30", "TestMUST36_ZeroWindowProbes", ""},
	{"MAY-4 MAY-7..9 MAY-14", "", "free choices: a new IP ID for each packet with DF (RFC 6864), nothing sent beyond the right edge, no DSCP passed up, no FLUSH call"},
	{"MAY-12", "TestArrivalTable", ""},
	{"MAY-13", "TestMUST58_SHLD31_HoleIsFilledWithOneACK", ""},

	{"RTO-3", "TestRTTBounds", "the lower bound is 200 ms; the upper one 60 s"},
	{"CC-10", "TestMUST58_SHLD31_HoleIsFilledWithOneACK TestABatchWithAHoleIsNotPutOff", ""},
	{"TS-3", "TestS03_S04_S11_SecretsDiffer", ""},
	{"5961-1..3", "TestArrivalTable", ""},

	{"2525-3", "TestCC1_CC2_SlowStart", ""},                                                   // no initial slow start
	{"2525-4", "TestCC3_TimeoutStartsOver", ""},                                               // no slow start after a timeout
	{"2525-5", "TestMUST14_MUST15_NoMSSMeans536", ""},                                         // uninitialized cwnd
	{"2525-6", "TestT40_FirstCopyWins TestTorture", ""},                                       // inconsistent retransmission
	{"2525-7", "TestMUST58_SHLD31_HoleIsFilledWithOneACK", ""},                                // failure to retain above-sequence data
	{"2525-8", "TestCongestionAvoidance", ""},                                                 // extra additive constant
	{"2525-9", "TestRTO1_InitialRTO", ""},                                                     // initial RTO too low
	{"2525-10", "TestCC4_CC6_FastRetransmit", ""},                                             // no window deflation
	{"2525-11", "TestKeepAlive_MUST24to29", ""},                                               // excessively short keep-alive time-out
	{"2525-12", "TestMUST18_RTO4_KarnAndBackoff", ""},                                         // failure to back off
	{"2525-13", "TestKeepAlive_MUST24to29", ""},                                               // insufficient interval between keep-alives
	{"2525-14", "TestMUST36_ZeroWindowProbes TestBothEndsProbeAtOnce", ""},                    // window probe deadlock
	{"2525-15", "TestMUST40_SHLD18_DelayedACK", ""},                                           // stretch ACKs
	{"2525-16", "TestCC3_TimeoutStartsOver", ""},                                              // several segments at one timeout
	{"2525-17", "TestFinIsRetransmitted TestSimultaneousClose TestHalfClose", ""},             // FIN not sent promptly
	{"2525-18 2525-20", "TestMAY1_SHLD3_CloseWithUnreadDataResets", ""},                       // no RST after a half-duplex close, with data pending
	{"2525-21", "TestMUST16_TimestampsAreTakenOff TestSACK2_ThreeBlocksBesideTimestamps", ""}, // options left out of the MSS

	{"DC-19", "TestD25_NoAckForTheRequest TestD11_ClassfulDefault TestDC17_D12_D13_D19_RoutersAndServers", ""},
	{"DC-22", "TestX05_AddressChanges", ""},
	{"DNS-8", "TestServerTruncatesAndKnowsEDNS", "no EDNS is sent; it is accepted"},
	{"DNS-9 DNS-11", "TestR06ToR17_BrokenAnswers", ""},
	{"DNS-15", "", "the resolver hands on what it was told; who must not go there refuses, as the row says of the OTA client"},
}

// expand makes single identifiers of "A-1..3 B-4".
func expand(t *testing.T, s string) (ids []string) {
	for _, f := range strings.Fields(s) {
		lo, hi, ok := strings.Cut(f, "..")
		if !ok {
			ids = append(ids, f)
			continue
		}
		i := strings.LastIndex(lo, "-")
		a, err := strconv.Atoi(lo[i+1:])
		b, err2 := strconv.Atoi(hi)
		if err != nil || err2 != nil || a >= b {
			t.Fatalf("%q", f)
		}
		for ; a <= b; a++ {
			ids = append(ids, fmt.Sprintf("%s%d", lo[:i+1], a))
		}
	}
	return ids
}

var (
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.T\)`)
	inName   = regexp.MustCompile(`([A-Z]+)(\d+)(?:to[A-Z]*(\d+))?$`)
)

// testNames are the tests of this folder and those below, with the folder of each.
func testNames(t *testing.T) map[string]string {
	names := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(b, -1) {
			names[string(m[1])] = filepath.ToSlash(filepath.Join("stack", filepath.Dir(path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// borne are the identifiers that the names of tests bear: TestMUST24to29 bears six.
func borne(names map[string]string) map[string][]string {
	m := map[string][]string{}
	for name := range names {
		rest := strings.TrimPrefix(name, "Test")
		if strings.HasPrefix(rest, "5961_") {
			m["5961-"+rest[5:6]] = append(m["5961-"+rest[5:6]], name)
		}
		for _, part := range strings.Split(rest, "_") {
			if part == "RACK" {
				m["RACK"] = append(m["RACK"], name)
			}
			g := inName.FindStringSubmatch(part)
			if g == nil || g[0] != part {
				continue
			}
			lo, _ := strconv.Atoi(g[2])
			hi := lo
			if g[3] != "" {
				hi, _ = strconv.Atoi(g[3])
			}
			for ; lo <= hi; lo++ {
				id := fmt.Sprintf("%s-%d", g[1], lo)
				m[id] = append(m[id], name)
			}
		}
	}
	return m
}

// TestEachRequirementHasATest makes docs/conformance.md out of the names of tests and the table above,
// and fails where there is neither, or a test that is named does not exist.
func TestEachRequirementHasATest(t *testing.T) {
	names := testNames(t)
	tests := borne(names)
	why, known := map[string]string{}, map[string]bool{}
	for _, r := range rows {
		for _, id := range expand(t, r.ids) {
			known[id] = true
		}
	}
	for _, r := range requirements {
		for _, id := range expand(t, r.ids) {
			if !known[id] {
				t.Errorf("%s is no row", id)
			}
			for _, name := range strings.Fields(r.tests) {
				if names[name] == "" {
					t.Errorf("%s: there is no %s", id, name)
				}
				tests[id] = append(tests[id], name)
			}
			why[id] = r.why
		}
	}
	var b bytes.Buffer
	b.WriteString("# Conformance of the stack\n\n" +
		"Each requirement of the RFCs by its number (RFC 9293's own labels where it has them; 2525-n is section 2.n of RFC 2525),\n" +
		"and the tests that show it, or the reason why it does not apply. `go test ./stack -run Requirement -update` writes\n" +
		"this page out of the tests; it is checked to be current.\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "\n## %s\n\n| Requirement | Tests | Note |\n|---|---|---|\n", r.title)
		for _, id := range expand(t, r.ids) {
			l := tests[id]
			sort.Strings(l)
			if len(l) == 0 && why[id] == "" {
				t.Errorf("%s has neither a test nor a reason why not", id)
			}
			for i, name := range l {
				l[i] = "`" + strings.TrimPrefix(names[name], "stack/") + "` " + name
				if names[name] == "stack" {
					l[i] = name
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", id, strings.Join(l, ", "), why[id])
		}
	}
	const page = "../docs/conformance.md"
	if *update {
		if err := os.WriteFile(page, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(page); err != nil || !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), b.Bytes()) {
		t.Errorf("docs/conformance.md is not what the tests say: run go test ./stack -run Requirement -update (%v)", err)
	}
}

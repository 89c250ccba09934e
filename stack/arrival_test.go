package stack

import (
	"strings"
	"testing"
)

// The arrival table of spec/stack-conformance.md, part 1.5 (RFC 9293, 3.10.7): every cell. The
// other flag combinations of T-07 are covered along with it.

// states are scripts that bring a connection into a state; at their end the peer's next number is
// in nxt and ours in una.
var arrivalStates = []struct {
	name, script string
	nxt, una     string // RCV.NXT and the ACK that is right
}{
	{"SYN-RECEIVED", `
	+0 listen
	+0 < S 0:0(0) win 8000 <mss 1460>
	+0 > S. 0:0(0) ack 1`, "1", "0"},
	{"ESTABLISHED", handshake, "1", "1"},
	{"FIN-WAIT-1", handshake + `
	+0 closewrite
	+0 > F. 1:1(0) ack 1`, "1", "1"},
	{"FIN-WAIT-2", handshake + `
	+0 closewrite
	+0 > F. 1:1(0) ack 1
	+0 < . 1:1(0) ack 2`, "1", "2"},
	{"CLOSE-WAIT", handshake + `
	+0 < F. 1:1(0) ack 1
	+0 > . 1:1(0) ack 2`, "2", "1"},
	{"CLOSING", handshake + `
	+0 closewrite
	+0 > F. 1:1(0) ack 1
	+0 < F. 1:1(0) ack 1
	+0 > . 2:2(0) ack 2`, "2", "1"},
	{"LAST-ACK", handshake + `
	+0 < F. 1:1(0) ack 1
	+0 > . 1:1(0) ack 2
	+0 closewrite
	+0 > F. 1:1(0) ack 2`, "2", "1"},
	{"TIME-WAIT", handshake + `
	+0 closewrite
	+0 > F. 1:1(0) ack 1
	+0 < F. 1:1(0) ack 2
	+0 > . 2:2(0) ack 2`, "2", "2"},
}

func TestArrivalTable(t *testing.T) {
	type cell struct {
		what, script, state string // state: empty means the same as before
	}
	for _, st := range arrivalStates {
		ours := map[string]string{"SYN-RECEIVED": "1", "ESTABLISHED": "1", "CLOSE-WAIT": "1"}[st.name]
		if ours == "" {
			ours = "2" // FIN was sent
		}
		ack := "\n+0 > . " + ours + ":" + ours + "(0) ack " + st.nxt
		n := st.nxt
		cells := []cell{
			{"RST in the window: challenge (5961-1, T-26)", "+0 < R 1000:1000(0)" + ack, ""},
			{"RST outside: dropped", "+0 < R 70000:70000(0)", ""},
			{"RST far behind: dropped", "+0 < R -1000:-1000(0)", ""},
			{"ACK of what was not sent: challenge (T-29)", "+0 < . " + n + ":" + n + "(0) ack 1000" + ack, ""},
			{"no ACK bit: dropped", "+0 < - " + n + ":" + n + "(0)", ""},
			{"data without ACK: dropped", "+0 < P " + n + ":1000(10)", ""},
			{"data beyond the window: ACK (T-39)", "+0 < . 90000:90010(10) ack " + st.una + ack, ""},
			{"zero length at the right edge: ACK (T-52)", "+0 < . 65536:65536(0) ack " + st.una + ack, ""},
			{"SYN outside of the window: challenge (5961-2, T-28)", "+0 < S 90000:90000(0)" + ack, ""},
			{"SYN+FIN in the window: as SYN (T-07)", "+0 < SF 1000:1000(0)" + ack, ""},
			{"SYN+RST counts as RST (T-07)", "+0 < SR 1000:1000(0)" + ack, ""},
			{"exact RST", "+0 < R " + n + ":" + n + "(0)", "CLOSED"},
		}
		switch st.name {
		case "SYN-RECEIVED":
			// An ACK that is wrong gets a RST with its number; a SYN in the window sends us back to
			// LISTEN.
			cells[3] = cell{"wrong ACK: RST", "+0 < . 1:1(0) ack 1000\n+0 > R 1000:1000(0)", ""}
			cells[6] = cell{"data beyond the window", "+0 < . 90000:90010(10) ack 1" + ack, ""}
			cells[7] = cell{"zero length at the right edge", "+0 < . 65536:65536(0) ack 1" + ack, ""}
			cells[9] = cell{"SYN+FIN in the window: LISTEN", "+0 < SF 1000:1000(0)", "CLOSED"}
			cells = append(cells,
				cell{"SYN in the window: LISTEN", "+0 < S 1000:1000(0)", "CLOSED"},
				cell{"the first SYN again: SYN,ACK again", "+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1", ""},
				cell{"ACK with data", "+0 < P. 1:11(10) ack 1\n+0 accept\n+0 read 10\n+0.04 > . 1:1(0) ack 11", "ESTABLISHED"},
				cell{"ACK with FIN", "+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2", "CLOSE-WAIT"})
		case "TIME-WAIT":
			// SYNs beyond RCV.NXT begin anew (MAY-2), and a RST never ends it (TW-1).
			cells[8] = cell{"old SYN: challenge", "+0 < S 1:1(0)" + ack, ""}
			cells[9] = cell{"SYN+FIN: challenge", "+0 < SF 1000:1000(0)" + ack, ""}
			cells[11] = cell{"exact RST: ignored", "+0 < R 2:2(0)", ""}
			cells = append(cells, cell{"FIN again: ACK", "+0 < F. 1:1(0) ack 2" + ack, ""})
		default:
			cells = append(cells,
				cell{"too old an ACK: challenge (5961-3)", "+0 < . " + n + ":" + n + "(0) ack -70000" + ack, ""},
				cell{"SYN in the window: challenge", "+0 < S 1000:1000(0)" + ack, ""},
				cell{"SYN of the past: challenge", "+0 < S 0:0(0)" + ack, ""},
				cell{"FIN+URG+PSH without ACK: dropped", "+0 < FPU " + n + ":" + n + "(0)", ""})
		}
		for _, c := range cells {
			t.Run(st.name+"/"+c.what, func(t *testing.T) {
				script := st.script + "\n" + c.script
				state := c.state
				if state == "" {
					state = st.name
				}
				play(t, script+"\n+0 state "+state)
			})
		}
	}
}

func TestArrivalInClosed(t *testing.T) {
	// No connection and no listener: RST, which never answers a RST (RFC 9293, 3.10.7.1).
	play(t, `
	+0 < S 100:100(0)
	+0 > R. 0:0(0) ack 101
	`)
	for _, c := range []struct{ in, out string }{
		{"S 100:110(10)", "R. 0:0(0) ack 111"},
		{"SF 100:100(0)", "R. 0:0(0) ack 102"},
		{"- 100:100(0)", "R. 0:0(0) ack 100"},
		{"F 100:100(0)", "R. 0:0(0) ack 101"},
		{". 100:100(0) ack 77", "R 77:77(0)"},
		{"FPU. 100:110(10) ack 77", "R 77:77(0)"},
		{"S. 100:100(0) ack 77", "R 77:77(0)"},
		{"R 100:100(0)", ""},
		{"SR 100:100(0)", ""},
		{"R. 100:100(0) ack 77", ""},
	} {
		s := "+0 < " + c.in
		if c.out != "" {
			s += "\n+0 > " + c.out
		}
		play(t, s)
	}
}

func TestArrivalInListen(t *testing.T) {
	// T-31: SYN,ACK and ACK get a RST, data without them silence.
	for _, c := range []struct{ in, out string }{
		{"S. 100:100(0) ack 77", "R 77:77(0)"},
		{". 100:100(0) ack 77", "R 77:77(0)"},
		{"- 100:110(10)", ""},
		{"F 100:100(0)", ""},
		{"FPU 100:100(0)", ""},
		{"R 100:100(0)", ""},
		{"SR 100:100(0)", ""},
		{"SF 0:0(0)", "S. 0:0(0) ack 1"},
		{"SPU 0:10(10)", "S. 0:0(0) ack 1"}, // T-08: the data come again later
		{"SEW 0:0(0)", "S. 0:0(0) ack 1"},   // ECN is not spoken (SHLD-8)
	} {
		s := "+0 listen\n+0 < " + c.in
		if c.out != "" {
			s += "\n+0 > " + c.out
		}
		t.Run(strings.Fields(c.in)[0], func(t *testing.T) { play(t, s) })
	}
}

func TestArrivalInSynSent(t *testing.T) {
	const open = "+0 connect\n+0 > S 0:0(0)\n"
	for _, c := range []struct{ what, in, state string }{
		{"RST without ACK (T-27)", "+0 < R 0:0(0)", "SYN-SENT"},
		{"RST with a wrong ACK", "+0 < R. 0:0(0) ack 7", "SYN-SENT"},
		{"RST with ACK of ISS", "+0 < R. 0:0(0) ack 0", "SYN-SENT"},
		{"RST with the right ACK", "+0 < R. 0:0(0) ack 1\n+0 err refused", "CLOSED"},
		{"ACK of ISS (T-32)", "+0 < S. 0:0(0) ack 0\n+0 > R 0:0(0)", "SYN-SENT"},
		{"ACK of ISS+2", "+0 < S. 0:0(0) ack 2\n+0 > R 2:2(0)", "SYN-SENT"},
		{"ACK without SYN", "+0 < . 0:0(0) ack 1", "SYN-SENT"},
		{"nothing", "+0 < - 0:0(0)", "SYN-SENT"},
		{"FIN", "+0 < F 0:0(0)", "SYN-SENT"},
		{"SYN,ACK", "+0 < S. 0:0(0) ack 1\n+0 > . 1:1(0) ack 1", "ESTABLISHED"},
		{"SYN,ACK with data (T-08)", "+0 < S. 0:10(10) ack 1\n+0 > . 1:1(0) ack 1\n+0 unread 0", "ESTABLISHED"},
		{"SYN,ACK with URG (T-23)", "+0 < SU. 0:0(0) ack 1 urg 9\n+0 > . 1:1(0) ack 1", "ESTABLISHED"},
		{"SYN", "+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1", "SYN-RECEIVED"},
	} {
		t.Run(c.what, func(t *testing.T) { play(t, open+c.in+"\n+0 state "+c.state) })
	}
}

func TestArrivalInSynReceivedFromSynSent(t *testing.T) {
	// The other way into SYN-RECEIVED (MUST-11): a SYN in the window is challenged, a RST refuses.
	const open = "+0 connect\n+0 > S 0:0(0)\n+0 < S 0:0(0) win 8000\n+0 > S. 0:0(0) ack 1\n"
	for _, c := range []struct{ what, in, state string }{
		{"SYN in the window", "+0 < S 1000:1000(0)\n+0 > . 1:1(0) ack 1", "SYN-RECEIVED"},
		{"the first SYN again", "+0 < S 0:0(0)\n+0 > S. 0:0(0) ack 1", "SYN-RECEIVED"},
		{"exact RST", "+0 < R 1:1(0)\n+0 err refused", "CLOSED"},
		{"RST in the window", "+0 < R 1000:1000(0)\n+0 > . 1:1(0) ack 1", "SYN-RECEIVED"},
		{"wrong ACK", "+0 < . 1:1(0) ack 9\n+0 > R 9:9(0)", "SYN-RECEIVED"},
		{"ACK with FIN", "+0 < F. 1:1(0) ack 1\n+0 > . 1:1(0) ack 2", "CLOSE-WAIT"},
	} {
		t.Run(c.what, func(t *testing.T) { play(t, open+c.in+"\n+0 state "+c.state) })
	}
}

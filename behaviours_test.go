package understudy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// behavioursDoc is the table that TestEachBehaviourHasATest checks and, with
// -update, writes.
const behavioursDoc = "docs/behaviours.md"

// behaviours are the numbered behaviours of the driver, in our words: of each
// prefix the first one has the number 1.
var behaviours = []struct{ prefix, subject, each string }{
	{"LIF", "Life cycle", `not ready before start-up ends; ready and open after it; another chip family is an error; opening twice
		is one client; exclusive next to shared; a closed client refuses all; an invalid client is invalid; flash needs exclusive
		access; all sockets after a restart; no callback before the call returns; a blocking call inside a callback`},
	{"SOC", "Sockets: allocation", `seven streams; no eighth; four datagram sockets; no fifth; datagrams do not need streams; closing
		one makes room for one; unknown families and types; calls on no socket; calls on a closed socket; no events of an earlier
		owner; a plain socket is silent on the air; an option never set; accept is an empty shell`},
	{"BND", "Sockets: bind", `a TCP port; port 0; a port that is taken; one TCP and one UDP socket at a port; a foreign address; any
		address; binding twice`},
	{"LSN", "Sockets: listen", `after bind; without bind; a connection comes by itself; two peers, two sockets; no slot is free; the
		listener is closed; nobody listens; data waits for recv`},
	{"TCP", "Sockets: TCP", `connected after the SYN,ACK; connect returns at once; a closed port; a silent host; connect of a datagram
		socket; the id stays after a failure; 1400 bytes; 1401 bytes; SEND means acknowledged; a late acknowledgement; ten sends in
		order; a flood is refused and goes on; the buffer is free at once; recv in pieces; recv times out; recv after a time-out;
		recv without a time-out; recv without a buffer; a second recv replaces the buffer; the window closes and opens; all data
		before the end; the id stays after the end; a reset; a reset of another connection; close sends a FIN; close with a recv
		pending; a megabyte over a bad link; segments out of order; a wrong checksum; keep-alive; no probes unless asked`},
	{"UDP", "Sockets: UDP, broadcast, multicast", `one datagram; from whom it comes; the rest of a datagram is gone; two wait apart;
		the last destination; no destination; send after sendto; 1401 bytes; recvfrom times out; events switched off; switched off
		too early; an unbound port; a broadcast comes; a broadcast goes; a group is joined; a group is left; sendto on a stream`},
	{"OPT", "Sockets: options", `a value of another length; TLS options of plain sockets; an unknown level; the length of server names;
		lists of protocols`},
	{"TLS", "Sockets: TLS", `a trusted server; an unknown root; not verified; the server's name in the hello; a certificate for another
		name; the index of the protocol; secured later; secured in the wrong state; the server's alert`},
	{"WIF", "Sockets: loss of the link", `the link is down before sockets hear; a pending recv; a pending connect; a pending look-up;
		old sockets are dead and new ones work; renewal disturbs nothing`},
	{"ICM", "ICMP echo", `request and round-trip time; nobody answers; unreachable; no destination; TTL; no callback; the newest counts;
		wrong identifiers; a late reply; no address; the device answers; no socket is used`},
	{"DHC", "DHCP client", `joining discovers; told of the lease once; no callback needed; refused while connected; selected by default;
		stays selected; the address is the lease; a lost offer; renewing and rebinding; told of renewals; a lease runs out; a
		renewal is refused; router and DNS are used; no server; the host's name; a taken address; the newest callback; again after
		reconnecting`},
	{"STA", "Static address", `no DHCP, and ARP answered; refused while connected; the DNS server; the gateway and the mask; nothing
		before the next connect; the address shows when connected; DHCP takes it back; survives a reconnect; without a gateway; DNS
		alone keeps DHCP; a conflict is told and survived; impossible addresses`},
	{"LNK", "Link check", `DHCP: up with the lease; static: up when connected; down when Disconnect returns; down in the callback; down
		without a client; Soft-AP: up when started; not when refused; up through a roam`},
	{"APD", "Soft-AP and its DHCP server", `a station gets an address; the default address; the first host number; the callback has the
		station's address; our own address; router and DNS; the mask; a change waits for the next start; the same station, the same
		address; a foreign request; one station; who comes and goes; impossible addresses; impossible networks; a hidden network;
		traffic both ways; stopping without one; stop, and a station again`},
	{"CBK", "Callbacks of sockets and resolver", `one function for all sockets; a name; no such name; a silent server; the longest name;
		a chain of aliases; replaced; silenced; outlives the client; two names at once; the device's own look-ups; forged answers; a
		dotted quad; a callback may call`},
	{"OTA", "Firmware updates", `one GET and one status; the running version stays; switched at the next reset; no image to switch to;
		aborted; nothing to abort; one at a time; closed, and no URL; the length of URLs; not found; no server; unknown scheme; one
		wrong byte; too large; the connection breaks; a failure voids the old image; rolled back; Wi-Fi goes; again from the
		callback; a switch during a download; one status each; power cut at any write; no address; sockets go on; certificates`},
	{"NTP", "Time", `asked for without a call; the server's time; not known yet; set by hand; one server; the offered server first; pool
		names; the length of names; another server; once a day; set and read; a server that knows nothing; not our question`},
	{"NET", "Go adapters", `net/http both ways; the suite of connections; deadlines; Close unblocks; a long Write; a cancelled dial;
		TLS over a connection; an unknown name; two pings at once; hundreds of cycles`},
}

// partly says of behaviours what does not apply in Go, or not in the way in which
// the others are shown.
var partly = map[string]string{
	"SOC-07": "`Client.Socket` has no family: it is IPv4. Addresses of another one are refused where they are given.",
	"SOC-08": "An id that was never given out cannot be said: a `Socket` comes from a call. The zero one stands for the id −1.",
	"OPT-01": "Values have no length: they are an `int`. One that does not fit into four bytes is refused.",
	"OPT-03": "Options have no levels: `Opt` lists those of both. What is not in the list is refused.",
	"STA-12": "A mask with holes cannot be said: `netip.Prefix` has a length. Lengths that are none are refused.",
	"OTA-08": "The URL is no pointer: the empty string stands for nil.",
	"NET-02": "The suite makes subtests and measures with package time, so it runs on the wall clock over the pipe too.",
}

// behaviour is a line of the table.
type behaviour struct{ id, prefix, what string }

func listBehaviours(t *testing.T) (all []behaviour) {
	t.Helper()
	for _, g := range behaviours {
		for i, what := range strings.Split(g.each, ";") {
			all = append(all, behaviour{fmt.Sprintf("%s-%02d", g.prefix, i+1), g.prefix, strings.Join(strings.Fields(what), " ")})
		}
	}
	if len(all) != 237 {
		t.Fatalf("%d behaviours are listed, the document has 237", len(all))
	}
	return all
}

// bearer is a test with the number of a behaviour in its name.
type bearer struct {
	dir, name string
	forms     bool // it also runs over a bus socket
}

var testNumber = regexp.MustCompile(`([A-Z]{3})([0-9]{2})_`)

// Each numbered behaviour has a test with its number that runs over a bus socket
// too (they reach overbus.Pipe); else the table says why not. No test has a number
// that does not exist.
func TestEachBehaviourHasATest(t *testing.T) {
	all, tests := listBehaviours(t), bearers(t)
	known, prefixes := map[string]bool{}, map[string]bool{}
	for _, b := range all {
		known[b.id], prefixes[b.prefix] = true, true
	}
	for _, id := range slices.Sorted(maps.Keys(tests)) {
		if !known[id] && prefixes[id[:3]] {
			t.Errorf("there is no %s; it is in the name of %s in %s", id, tests[id][0].name, tests[id][0].dir)
		}
	}
	for id := range partly {
		if !known[id] {
			t.Errorf("partly has %s, which is not documented", id)
		}
	}
	var doc strings.Builder
	doc.WriteString(behavioursHead)
	for _, g := range behaviours {
		fmt.Fprintf(&doc, "\n## %s\n\n| Behaviour | | Tests |\n|---|---|---|\n", g.subject)
		for _, b := range all {
			if b.prefix == g.prefix {
				fmt.Fprintf(&doc, "| %s | %s | %s |\n", b.id, b.what, testCell(t, b.id, tests[b.id]))
			}
		}
	}
	if *update {
		if err := os.WriteFile(behavioursDoc, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if doc.String() != read(t, behavioursDoc) {
		t.Errorf("%s is not what the tests are; go test . -run TestEachBehaviourHasATest -update", behavioursDoc)
	}
}

const behavioursHead = `# The numbered behaviours and their tests

Made from the names of the tests by ` + "`go test . -run TestEachBehaviourHasATest -update`" + `; a test keeps it true. The numbers are
those of section 5 of the specification of the driver; the words are reminders. What does not apply in Go is said in
[functions.md](functions.md#numbered-behaviours).

The tests that are named, of package understudytest unless it is said, run in virtual time, with driver and device on one
bus in memory, and again with a bus socket between them (` + "`bus/remote`" + `) over a pipe; those that take less than two seconds of
virtual time run once more over a Unix socket, on the wall clock. "also" are packages with tests of one end alone.
`

// behavioursSection is the end of docs/functions.md.
func behavioursSection() string {
	var b strings.Builder
	b.WriteString("\n## Numbered behaviours\n\n" + behavioursText + "\n\n| Behaviour | What does not apply |\n|---|---|\n")
	for _, id := range slices.Sorted(maps.Keys(partly)) {
		fmt.Fprintf(&b, "| %s | %s |\n", id, partly[id])
	}
	return b.String()
}

const behavioursText = `Each of the 237 numbered behaviours of the specification has a test that bears its number, which [behaviours.md](behaviours.md)
lists. Of these some do not apply as they stand, mostly because Go's types cannot say what is to be refused:`

// testCell is the third column: the tests that run in all forms, and the packages of the others.
func testCell(t *testing.T, id string, found []bearer) string {
	t.Helper()
	var named, also []string
	for _, b := range found {
		if b.forms {
			cell := "`" + b.name + "`"
			if b.dir != "understudytest" {
				cell += " of `" + b.dir + "`"
			}
			named = append(named, cell)
		} else {
			also = append(also, "`"+b.dir+"`")
		}
	}
	if len(named) == 0 {
		t.Errorf("%s: no test with this number runs over a bus socket", id)
	}
	cell := strings.Join(named, ", ")
	if slices.Sort(also); len(also) > 0 {
		cell += "; also " + strings.Join(slices.Compact(also), ", ")
	}
	return cell
}

// bearers finds the tests of all packages below this one by the numbers in their
// names.
func bearers(t *testing.T) map[string][]bearer {
	t.Helper()
	found := map[string][]bearer{}
	err := filepath.WalkDir(".", func(dir string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || dir == "." {
			return err
		}
		if e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") {
			return filepath.SkipDir
		}
		funcs := testFuncs(t, dir)
		for _, name := range slices.Sorted(maps.Keys(funcs)) {
			if !strings.HasPrefix(name, "Test") {
				continue
			}
			for _, m := range testNumber.FindAllStringSubmatch(name, -1) {
				id := m[1] + "-" + m[2]
				found[id] = append(found[id], bearer{filepath.ToSlash(dir), name, funcs.reach(name, map[string]bool{})})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// callGraph has, of each function of the tests of a package, the names that its body
// mentions. Methods count as functions of their name.
type callGraph map[string]map[string]bool

// overPipe is the mention that a test is looked for.
const overPipe = "overbus.Pipe"

func (g callGraph) reach(name string, seen map[string]bool) bool {
	if seen[name] {
		return false
	}
	seen[name] = true
	if g[name][overPipe] {
		return true
	}
	for called := range g[name] {
		if g[called] != nil && g.reach(called, seen) {
			return true
		}
	}
	return false
}

// testFuncs parses the _test.go files of a folder.
func testFuncs(t *testing.T, dir string) callGraph {
	t.Helper()
	g := callGraph{}
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				if g[fn.Name.Name] == nil {
					g[fn.Name.Name] = map[string]bool{}
				}
				mentions(fn.Body, g[fn.Name.Name])
			}
		}
	}
	return g
}

func mentions(body *ast.BlockStmt, names map[string]bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				names[x.Name+"."+n.Sel.Name] = true
			}
		case *ast.Ident:
			names[n.Name] = true
		}
		return true
	})
}

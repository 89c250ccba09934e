package provision

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/sock"
)

// pipe is a Stream: what the browser has sent, and what it was sent.
type pipe struct {
	in      []byte
	eof     bool
	out     []byte
	room    int // bytes that out may still take; -1: any
	shut    bool
	closed  bool
	aborted bool
}

func (p *pipe) Read(_ time.Time, b []byte) (int, error) {
	switch {
	case len(p.in) > 0:
		n := copy(b, p.in)
		p.in = p.in[n:]
		return n, nil
	case p.eof:
		return 0, io.EOF
	}
	return 0, sock.ErrWouldBlock
}

func (p *pipe) Write(_ time.Time, b []byte) (int, error) {
	n := len(b)
	if p.room >= 0 {
		n = min(n, p.room)
		p.room -= n
	}
	p.out = append(p.out, b[:n]...)
	if n < len(b) {
		return n, sock.ErrWouldBlock
	}
	return n, nil
}

func (p *pipe) CloseWrite(time.Time) error { p.shut = true; return nil }
func (p *pipe) Close(time.Time) error      { p.closed = true; return nil }
func (p *pipe) Abort(time.Time) error      { p.aborted = true; return nil }
func (p *pipe) LocalAddr() netip.AddrPort  { return netip.AddrPort{} }
func (p *pipe) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

var start = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

var kitchen = Network{SSID: "Kitchen", RSSI: -50, Security: hif.SecurityPSK}

// newServer makes a server that has scanned.
func newServer(t testing.TB, list ...Network) *Server {
	s, err := New(Config{Domain: "setup.test", Addr: netip.MustParseAddr("192.168.10.1"), Redirect: true, Name: "WINC-AB-CD"})
	if err != nil {
		t.Fatal(err)
	}
	s.ScanWanted()
	s.SetNetworks(start, append(list, kitchen, Network{"Café", -60, hif.SecurityOpen}, Network{"corp", -70, hif.SecurityEnterprise}))
	return s
}

// ask sends a request as it stands, and returns the answer.
func ask(t testing.TB, s *Server, request string) (*http.Response, string) {
	t.Helper()
	p := &pipe{in: []byte(request), room: -1}
	c := s.Accept(start, p)
	p.eof = true
	c.Ready(start)
	if !p.shut || !p.closed || p.aborted || c.phase != phaseEnded {
		t.Fatalf("%.60q: shut %v, closed %v, aborted %v", request, p.shut, p.closed, p.aborted)
	}
	if len(p.out) == 0 {
		return nil, ""
	}
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(p.out))), &http.Request{Method: strings.SplitN(request, " ", 2)[0]})
	if err != nil {
		t.Fatalf("%.60q: %v in %.200q", request, err, p.out)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: setup.test\r\n\r\n" }

func post(v url.Values, header ...string) string {
	body := v.Encode()
	return "POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
		strings.Join(append(header, ""), "\r\n") + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func TestRequests(t *testing.T) {
	form := url.Values{"network": {"other"}, "ssid": {"x"}}.Encode()
	long := strings.Repeat("x", 1000)
	for name, tc := range map[string]struct {
		request string
		status  int
	}{
		"the page":               {get("/"), 200},
		"HEAD":                   {"HEAD / HTTP/1.1\r\nHost: setup.test\r\n\r\n", 200},
		"by address":             {"GET / HTTP/1.1\r\nHost: 192.168.10.1\r\n\r\n", 200},
		"by address and port":    {"GET / HTTP/1.1\r\nHost: 192.168.10.1:80\r\n\r\n", 200},
		"in capitals with a dot": {"GET / HTTP/1.1\r\nHost: SETUP.test.\r\n\r\n", 200},
		"HTTP/1.0 without Host":  {"GET / HTTP/1.0\r\n\r\n", 200},
		"another port":           {"GET / HTTP/1.1\r\nHost: setup.test:8080\r\n\r\n", 303},
		"captive portal":         {"GET /hotspot-detect.html HTTP/1.1\r\nHost: captive.example\r\n\r\n", 303},
		"a proxy's form":         {"GET http://captive.example/ HTTP/1.1\r\nHost: captive.example\r\n\r\n", 303},
		"another page":           {get("/elsewhere"), 303},
		"favicon":                {get("/favicon.ico"), 404},
		"the form loaded again":  {get("/join"), 303},
		"DELETE":                 {"DELETE / HTTP/1.1\r\nHost: setup.test\r\n\r\n", 405},
		"PUT of the form":        {"PUT /join HTTP/1.1\r\nHost: setup.test\r\n\r\n", 405},
		"POST elsewhere":         {"POST /x HTTP/1.1\r\nHost: setup.test\r\nContent-Length: 0\r\n\r\n", 404},
		"HTTP/2":                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"TLS":                    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"no version":             {"GET /\r\n\r\n", 400},
		"two Hosts":              {"GET / HTTP/1.1\r\nHost: setup.test\r\nHost: evil.test\r\n\r\n", 400},
		"a blank in a field":     {"GET / HTTP/1.1\r\nHo st: setup.test\r\n\r\n", 400},
		"two lengths":            {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
		"a long head":            {"GET / HTTP/1.1\r\nHost: setup.test\r\n" + strings.Repeat("A: "+long+"\r\n", 17) + "\r\n", 431},
		"an endless line":        {"GET /" + strings.Repeat(long, 20), 431},
		"another site's form":    {post(url.Values{"ssid": {"x"}}, "Origin: http://evil.test"), 403},
		"by Fetch metadata":      {post(url.Values{"ssid": {"x"}}, "Sec-Fetch-Site: cross-site"), 403},
		"JSON":                   {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 415},
		"no type":                {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Length: 2\r\n\r\n{}", 415},
		"a body of 5000":         {post(url.Values{"ssid": {strings.Repeat("x", 5000)}}), 413},
		"a chunked body of 5000": {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + strings.Repeat("x", 5000) + "\r\n0\r\n\r\n", 413},
		"a body that is cut":     {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nssid", 400},
		"a bad escape":           {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nssid=%x", 400},
		"chunked":                {"POST /join HTTP/1.1\r\nHost: setup.test\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(form), form), 200},
	} {
		s := newServer(t)
		r, body := ask(t, s, tc.request)
		if r == nil || r.StatusCode != tc.status {
			t.Errorf("%s: %+v, want %d", name, r, tc.status)
			continue
		}
		if r.StatusCode == 303 && r.Header.Get("Location") != "http://setup.test/" && name != "the form loaded again" {
			t.Errorf("%s: to %s", name, r.Header.Get("Location"))
		}
		if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Connection") != "close" && !r.Close {
			t.Errorf("%s: %v", name, r.Header)
		}
		if strings.HasPrefix(tc.request, "HEAD") != (body == "") {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
}

// A client that wants to be told so first is told to go on (RFC 9110, 10.1.1).
func TestExpectContinue(t *testing.T) {
	s := newServer(t)
	head, body, _ := strings.Cut(post(url.Values{"ssid": {"x"}}, "Expect: 100-continue"), "\r\n\r\n")
	p := &pipe{in: []byte(head + "\r\n\r\n"), room: -1}
	c := s.Accept(start, p)
	if string(p.out) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q", p.out)
	}
	p.in = []byte(body)
	c.Ready(start)
	if !strings.Contains(string(p.out), "HTTP/1.1 200 OK") {
		t.Errorf("%q", p.out)
	}
}

func TestForm(t *testing.T) {
	x := func(s string) string { return hex.EncodeToString([]byte(s)) }
	raw := "r\xffw <b>"
	k64 := strings.Repeat("0a", 32)
	for name, tc := range map[string]struct {
		form  url.Values
		want  Result
		fault string // part of what the page says
	}{
		"of the list":     {form: url.Values{"network": {x("Kitchen")}, "passphrase": {"correct horse"}, "name": {" lamp "}}, want: Result{"Kitchen", "correct horse", hif.SecurityPSK, "lamp"}},
		"an open one":     {form: url.Values{"network": {x("Café")}}, want: Result{"Café", "", hif.SecurityOpen, ""}},
		"any bytes":       {form: url.Values{"network": {x(raw)}, "passphrase": {"12345678"}}, want: Result{raw, "12345678", hif.SecurityPSK, ""}},
		"typed":           {form: url.Values{"network": {"other"}, "ssid": {" spaced "}, "passphrase": {k64}}, want: Result{" spaced ", k64, hif.SecurityPSK, ""}},
		"typed, no radio": {form: url.Values{"ssid": {"Upstairs"}}, want: Result{"Upstairs", "", hif.SecurityOpen, ""}},
		"the longest":     {form: url.Values{"ssid": {strings.Repeat("s", 32)}, "passphrase": {strings.Repeat("p", 63)}, "name": {strings.Repeat("n", 47)}}, want: Result{strings.Repeat("s", 32), strings.Repeat("p", 63), hif.SecurityPSK, strings.Repeat("n", 47)}},

		"nothing":             {form: url.Values{}, fault: "Choose a network."},
		"no name":             {form: url.Values{"network": {"other"}, "ssid": {"  "}}, fault: "Type the name of the network"},
		"no digits":           {form: url.Values{"network": {"zz"}}, fault: "Choose a network of the list."},
		"both":                {form: url.Values{"network": {x("Kitchen")}, "ssid": {"Upstairs"}}, fault: "Which one"},
		"33 bytes":            {form: url.Values{"ssid": {strings.Repeat("s", 33)}}, fault: "at most 32 bytes; this one has 33"},
		"a NUL":               {form: url.Values{"ssid": {"a\x00b"}}, fault: "cannot be used"},
		"7 characters":        {form: url.Values{"ssid": {"x"}, "passphrase": {"ünfsieb"}}, fault: ""},
		"too short":           {form: url.Values{"ssid": {"x"}, "passphrase": {"seven77"}}, fault: "at least 8 characters; this one has 7"},
		"64 that are no key":  {form: url.Values{"ssid": {"x"}, "passphrase": {strings.Repeat("p", 64)}}, fault: "hexadecimal"},
		"65":                  {form: url.Values{"ssid": {"x"}, "passphrase": {strings.Repeat("p", 65)}}, fault: "at most 63"},
		"a line break":        {form: url.Values{"ssid": {"x"}, "passphrase": {"correct\nhorse"}}, fault: "cannot be used"},
		"without one":         {form: url.Values{"network": {x("Kitchen")}}, fault: "“Kitchen” needs a passphrase."},
		"with one":            {form: url.Values{"network": {x("Café")}, "passphrase": {"correct horse"}}, fault: "is open: leave the passphrase empty"},
		"802.1X":              {form: url.Values{"network": {x("corp")}, "passphrase": {"correct horse"}}, fault: "(802.1X)"},
		"a name with a blank": {form: url.Values{"ssid": {"x"}, "name": {"my lamp"}}, fault: "letters, digits and hyphens"},
		"a long name":         {form: url.Values{"ssid": {"x"}, "name": {strings.Repeat("n", 48)}}, fault: "at most 47"},
		"a hyphen":            {form: url.Values{"ssid": {"x"}, "name": {"-lamp"}}, fault: "hyphen"},
		"markup":              {form: url.Values{"network": {x("Kitchen")}, "ssid": {"<script>alert(1)</script>"}}, fault: "&lt;script&gt;"},
	} {
		if name == "7 characters" { // 8 bytes: the standard counts bytes
			tc.want = Result{"x", "ünfsieb", hif.SecurityPSK, ""}
		}
		s := newServer(t, Network{raw, -40, hif.SecurityPSK})
		r, body := ask(t, s, post(tc.form))
		got, ok := s.Result()
		switch {
		case tc.fault == "" && (r.StatusCode != 200 || !ok || got != tc.want || !strings.Contains(body, "All set")):
			t.Errorf("%s: %v, %v %+v, want %+v", name, r.Status, ok, got, tc.want)
		case tc.fault != "" && (r.StatusCode != 422 || ok || !strings.Contains(body, tc.fault)):
			t.Errorf("%s: %v, %v %+v, want %q in %s", name, r.Status, ok, got, tc.fault, body[strings.Index(body, "<main>"):])
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<b>") {
			t.Errorf("%s: what others have typed is markup of the page", name)
		}
		if _, again := s.Result(); again {
			t.Errorf("%s: a second result", name)
		}
		if ok {
			if _, body := ask(t, s, get("/")); !strings.Contains(body, "All set") {
				t.Errorf("%s: afterwards the page asks again", name)
			}
			ask(t, s, post(url.Values{"ssid": {"another"}}))
			if c := s.Counters(); c.Submitted != 1 {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
}

// The list: the strongest first, one line a name, no hidden ones, not more than there is room for.
func TestListOfNetworks(t *testing.T) {
	s := newServer(t)
	list := []Network{{"weak", -90, hif.SecurityOpen}, {"", -20, hif.SecurityOpen}, {"mesh", -70, hif.SecurityPSK}, {"mesh", -40, hif.SecurityPSK}}
	for i := range 40 {
		list = append(list, Network{fmt.Sprint("n", i), -80, hif.SecurityOpen})
	}
	s.SetNetworks(start, list)
	_, body := ask(t, s, get("/"))
	if n := strings.Count(body, `type="radio"`); n != MaxNetworks+1 || strings.Count(body, ">mesh<") != 1 || strings.Index(body, ">mesh<") > strings.Index(body, ">n0<") {
		t.Error(n, "lines")
	}
	if strings.Contains(body, ">weak<") {
		t.Error("the weakest took the place of a stronger one")
	}
}

// A page that asks for a scan waits for it, but not for ever.
func TestLookAgain(t *testing.T) {
	s, err := New(Config{Domain: "setup.test", Addr: netip.MustParseAddr("192.168.10.1")})
	if err != nil || !s.ScanWanted() || s.ScanWanted() {
		t.Fatal("the first scan is not wanted once:", err)
	}
	open := func(path string) (*pipe, *Conn) {
		p := &pipe{in: []byte(get(path)), room: -1}
		return p, s.Accept(start, p)
	}
	p, _ := open("/")
	if len(p.out) != 0 || s.Deadline() != start.Add(scanTime) {
		t.Fatal("it does not wait for the first scan:", s.Deadline())
	}
	s.SetNetworks(start, []Network{kitchen})
	if !strings.Contains(string(p.out), "Kitchen") {
		t.Error("the scan is over and the page does not come")
	}
	p, _ = open("/?scan")
	q, _ := open("/?scan")
	if !s.ScanWanted() || s.ScanWanted() || len(p.out)+len(q.out) != 0 {
		t.Error("two pages ask for one scan")
	}
	s.Advance(start.Add(scanTime - 1))
	if len(p.out) != 0 {
		t.Error("too soon")
	}
	s.Advance(start.Add(scanTime))
	if !strings.Contains(string(p.out), "Kitchen") || !strings.Contains(string(q.out), "Kitchen") {
		t.Error("a scan that does not end keeps the page")
	}
}

// Who says nothing, or reads nothing, is cut off; nobody can keep others out.
func TestSlowBrowsers(t *testing.T) {
	s := newServer(t)
	silent := &pipe{room: -1}
	s.Accept(start, silent)
	half := &pipe{in: []byte("GET / HTTP/1.1\r\nHost: se"), room: -1}
	s.Accept(start, half)
	deaf := &pipe{in: []byte(get("/")), room: 100}
	s.Accept(start, deaf)
	polite := &pipe{in: []byte(get("/")), room: -1}
	s.Accept(start, polite)
	s.Advance(start.Add(goodbyeTime))
	if !polite.aborted || silent.aborted {
		t.Error("a browser that does not close its side:", polite.aborted)
	}
	s.Advance(start.Add(requestTime - 1))
	if silent.aborted || half.aborted || deaf.aborted {
		t.Error("cut off too soon")
	}
	s.Advance(start.Add(requestTime))
	if !silent.aborted || !half.aborted || !deaf.aborted || s.Conns() != 0 || !s.Deadline().IsZero() {
		t.Error("not cut off:", silent.aborted, half.aborted, deaf.aborted, s.Conns(), s.Deadline())
	}
	if c := s.Counters(); c.TimedOut != 3 || c.Broken != 0 {
		t.Errorf("%+v", c)
	}

	var flood []*pipe
	for range 100 {
		p := &pipe{room: -1}
		flood = append(flood, p)
		if s.Accept(start, p) == nil {
			t.Fatal("turned away though others say nothing")
		}
	}
	if _, body := ask(t, s, get("/")); !strings.Contains(body, "Kitchen") {
		t.Error("a flood of silent connections keeps others out")
	}
	if n := s.Conns(); n != MaxConns-1 {
		t.Error(n, "connections")
	}
	s.Close(start)
	for i, p := range flood {
		if !p.aborted {
			t.Error("connection", i, "is left")
		}
	}
	for range MaxConns { // all of them read nothing of their answers: there is no room
		s.Accept(start, &pipe{in: []byte(get("/")), room: 10})
	}
	p := &pipe{}
	if s.Accept(start, p) != nil || !p.aborted {
		t.Error("one more than there is room for")
	}
	s.Close(start)
}

// The result comes when the last page has got through, or when its browser has had its time.
func TestResultWaitsForTheLastPage(t *testing.T) {
	for name, end := range map[string]func(s *Server, c *Conn, p *pipe){
		"the browser closes": func(s *Server, c *Conn, p *pipe) { p.room, p.eof = -1, true; c.Ready(start) },
		"it does not close":  func(s *Server, c *Conn, p *pipe) { p.room = -1; c.Ready(start); s.Advance(start.Add(goodbyeTime)) },
		"it reads nothing":   func(s *Server, c *Conn, p *pipe) { s.Advance(start.Add(answerTime)) },
	} {
		s := newServer(t)
		p := &pipe{in: []byte(post(url.Values{"ssid": {"x"}})), room: 50}
		c := s.Accept(start, p)
		if _, ok := s.Result(); ok {
			t.Error(name, ": before the page has got through")
		}
		end(s, c, p)
		if s.Deadline().IsZero() {
			t.Error(name, ": nobody is told of the result")
		}
		if r, ok := s.Result(); !ok || r.SSID != "x" || !s.Deadline().IsZero() {
			t.Error(name, r, ok, s.Deadline())
		}
	}
}

func TestBadConfigs(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	for _, c := range []Config{
		{Addr: a}, {Domain: strings.Repeat("x", 64), Addr: a}, {Domain: "a b", Addr: a}, {Domain: "a\"><b", Addr: a},
		{Domain: "a\r\nX: y", Addr: a}, {Domain: "x"}, {Domain: "x", Addr: netip.MustParseAddr("fe80::1")},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v", c)
		}
	}
}

// Whatever comes: one answer at most, an end, no panic, and only valid results.
func FuzzConn(f *testing.F) {
	f.Add([]byte(get("/")), 7)
	f.Add([]byte(post(url.Values{"ssid": {"x"}, "passphrase": {"12345678"}}, "Expect: 100-continue")), 3)
	f.Add([]byte("POST /join HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n5\r\nssid=\r\n0\r\nA: b\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		s := newServer(t)
		p := &pipe{room: -1}
		c := s.Accept(start, p)
		for step = max(step, 1); len(b) > 0 && c.phase != phaseEnded; b = b[min(step, len(b)):] {
			p.in = append(p.in, b[:min(step, len(b))]...)
			c.Ready(start)
		}
		s.Advance(start.Add(scanTime))
		s.Advance(start.Add(requestTime + answerTime))
		s.Advance(start.Add(requestTime + answerTime + goodbyeTime))
		if s.Conns() != 0 || len(p.out) > 64<<10 {
			t.Fatal(s.Conns(), len(p.out))
		}
		if r, ok := s.Result(); ok && (r.SSID == "" || len(r.SSID) > 32 || keyFault(r.Passphrase) != "" || (r.Passphrase == "") != (r.Security == hif.SecurityOpen)) {
			t.Fatalf("%+v", r)
		}
	})
}

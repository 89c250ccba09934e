package ota

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
	"github.com/understudy-net/understudy/device/flash"
)

// The rows of spec/hostile-inputs.md, H. After each: one event, no connection, nothing to switch to unless the file was good, the
// time within its bound; and then a good server is as good as ever.

// always answers every request alike.
func always(steps ...step) server { return func(int, string) []step { return steps } }

// first answers the first request, and refuses to say anything to later ones.
func first(steps ...step) server {
	return func(n int, _ string) []step {
		if n == 0 {
			return steps
		}
		return answer()
	}
}

const (
	conn   = hif.UpdateConnError
	serv   = hif.UpdateServError
	verify = hif.UpdateBadImage
	good   = hif.UpdateOK
	large  = hif.UpdateNoFlash
	badURL = hif.UpdateInvalidArg
)

type hostile struct {
	name string
	s    server
	want hif.UpdateResult
	why  string // in the reason
}

// rows are those that need no more than a server; size is that of file.
func rows(t *testing.T, file []byte) []hostile {
	size := len(file)
	headed := func(lines string) server { // a whole answer with these lines in its head
		return first(answer(append([]step{send("HTTP/1.1 200 OK\r\n" + lines + "\r\n")}, frames(file)...)...)...)
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", size)
	chunks := func(body string) server {
		return first(answer(send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body))...)
	}
	text := string(file)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", size, text)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(file)
	w.Close()

	return []hostile{
		{"H-01 closes at once", first(answer()...), conn, "unexpected EOF"},
		{"H-01 closes in the status line", first(answer(send("HTTP/1.1 20"))...), conn, ""},
		{"H-01 closes in the headers", first(answer(send("HTTP/1.1 200 OK\r\nContent-Le"))...), conn, ""},
		{"H-01 closes after them", first(answer(send("HTTP/1.1 200 OK\r\n" + length + "\r\n"))...), conn, ""},

		{"H-02 HTTP/9.9", first(answer(send("HTTP/9.9 200 OK\r\n\r\n"))...), serv, ""},
		{"H-02 a code of two digits", first(answer(send("HTTP/1.1 20\r\n\r\n"))...), serv, ""},
		{"H-02 no version", first(answer(send("200 OK\r\n\r\n"))...), serv, ""},
		{"H-02 3 MB of status line", first(answer(frames(bytes.Repeat([]byte("x"), 3<<20))...)...), serv, "longer than"},
		{"H-02 binary", first(answer(sendBytes(append(bytes.Repeat([]byte{0, 255, 10, 13}, 100), "\r\n\r\n"...)))...), serv, ""},

		{"H-03 1 MB of headers", first(append([]step{send("HTTP/1.1 200 OK\r\n")}, frames(bytes.Repeat([]byte("A: b\r\n"), 170_000))...)...), serv, "longer than"},
		{"H-03 a line of 1 MB", first(append([]step{send("HTTP/1.1 200 OK\r\nA: ")}, frames(bytes.Repeat([]byte("b"), 1<<20))...)...), serv, "longer than"},
		{"H-03 100000 headers", headed(strings.Repeat("X:\r\n", 100_000)), serv, "longer than"},

		{"H-04 Content-Length -1", headed("Content-Length: -1\r\n"), serv, ""},
		{"H-04 Content-Length +5", headed("Content-Length: +5\r\n"), serv, ""},
		{"H-04 Content-Length 0x10", headed("Content-Length: 0x10\r\n"), serv, ""},
		{"H-04 Content-Length 1e3", headed("Content-Length: 1e3\r\n"), serv, ""},
		{"H-04 Content-Length 5, 6", headed("Content-Length: 5, 6\r\n"), serv, ""},
		{"H-04 Content-Length of 20 digits", headed("Content-Length: 99999999999999999999\r\n"), serv, ""},
		{"H-04 Content-Length empty", headed("Content-Length: \r\n"), serv, ""},
		{"H-04 twice equal", headed(length + length), good, ""},
		{"H-04 twice different", headed(length + "Content-Length: 5\r\n"), serv, ""},

		{"H-05 length and chunks", first(answer(send("HTTP/1.1 200 OK\r\n" + length + "Transfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n"))...), serv, "both"},
		{"H-05 chunks and length", first(answer(send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 3\r\n\r\n" + chunk + "0\r\n\r\n"))...), serv, "both"},
		{"H-05 unknown transfer encoding", headed("Transfer-Encoding: gzip, chunked\r\n"), serv, ""},

		{"H-06 chunk ffffffffffffffff", chunks("ffffffffffffffff\r\n" + text), conn, ""},
		{"H-06 chunk of 17 digits", chunks("1ffffffffffffffff\r\n" + text), serv, ""},
		{"H-06 chunk -1", chunks("-1\r\n" + text), serv, ""},
		{"H-06 chunk without a size", chunks("\r\n" + text), serv, ""},
		{"H-06 chunk 0x5", chunks("0x5\r\n" + text), serv, ""},
		{"H-06 1 MB of extension", chunks("5;" + strings.Repeat("x", 1<<20) + "\r\n" + text), serv, ""},
		{"H-06 extension and trailer", chunks(fmt.Sprintf("%X;name=\"value\"\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n", size, text)), good, ""},
		{"H-06 no CRLF behind a chunk", chunks(fmt.Sprintf("%x\r\n%sxx0\r\n\r\n", size, text)), serv, ""},
		{"H-06 chunk longer than said", chunks(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size-1, text)), serv, ""},
		{"H-06 chunk shorter than said", chunks(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size+1, text)), verify, "longer"},
		{"H-06 chunked", chunks(chunk + "0\r\n\r\n"), good, ""},
		{"H-06 a thousand chunks of one byte", chunks(small(text)), good, ""},

		{"H-08 shorter by one", first(answer(send("HTTP/1.1 200 OK\r\n" + length + "\r\n" + text[:size-1]))...), conn, ""},
		{"H-08 longer by one", headed(fmt.Sprintf("Content-Length: %d\r\n", size-1)), verify, "shorter"},
		{"H-08 more behind the end", first(answer(send("HTTP/1.1 200 OK\r\n" + length + "\r\n" + text + "HTTP/1.1 500 Oops\r\n\r\n"))...), good, ""},
		{"H-08 no length, one byte more", first(answer(send("HTTP/1.1 200 OK\r\n\r\n" + text + "x"))...), verify, "longer"},
		{"H-08 no length", headed(""), good, ""},

		{"H-11 206 without being asked", first(answer(send(fmt.Sprintf("HTTP/1.1 206 Partial Content\r\n%sContent-Range: bytes 0-%d/%d\r\n\r\n%s", length, size-1, size, text)))...), serv, ""},

		{"H-13 416", first(answer(send("HTTP/1.1 416 Range Not Satisfiable\r\n\r\n"))...), serv, "416"},
		{"H-13 304", first(answer(send("HTTP/1.1 304 Not Modified\r\n\r\n"))...), serv, "304"},
		{"H-13 204 with a body", first(answer(send("HTTP/1.1 204 No Content\r\n" + length + "\r\n" + text))...), serv, "204"},
		{"H-13 1xx for ever", first(send(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000)), hang()), serv, "interim"},
		{"H-13 five 1xx", first(append([]step{send(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 5))}, ok(file)...)...), good, ""},
		{"H-13 101", first(answer(send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"))...), serv, "101"},

		{"H-14 gzip", first(answer(append([]step{send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", z.Len()))}, frames(z.Bytes())...)...)...), serv, "encoded"},
		{"H-14 identity", headed("Content-Encoding: identity\r\n" + length), good, ""},

		{"H-15 one bit wrong", first(ok(flipped(file, size-1))...), verify, "digest"},

		{"H-17 reset in the middle", first(send("HTTP/1.1 200 OK\r\n"+length+"\r\n"+text[:size/2]), reset()), conn, ""},

		{"H-19 NUL in a header", headed("A: b\x00c\r\n" + length), serv, ""},
		{"H-19 no colon", headed("Abc\r\n" + length), serv, ""},
		{"H-19 space before the colon", headed(fmt.Sprintf("Content-Length : %d\r\n", size)), serv, ""},
		{"H-19 folded", headed("A: b\r\n  c\r\n" + length), good, ""},
		{"H-19 LF alone", first(answer(send(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", size, text)))...), good, ""},

		{"404", always(answer(send("HTTP/1.1 404 Not Found\r\n\r\nnot here"))...), serv, "404"},
		{"500 with a body", always(answer(send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nsorry"))...), serv, "500"},
		{"wrong magic", first(ok(flipped(file, 32))...), verify, "magic"},
		{"an empty file", first(ok(nil)...), verify, ""},
		{"a page of text", first(ok([]byte(strings.Repeat("<html>welcome</html>", 100)))...), verify, ""},
		{"larger than a slot", first(answer(send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"))...), large, ""},
		{"larger than a slot, by its own size", first(ok(sized(file, 300_000))...), large, ""},
		{"a size that is too small", first(ok(sized(file, uint32(size-1)))...), verify, ""},
		{"401", always(answer(send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n"))...), serv, "401"},
	}
}

func flipped(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1
	return c
}

func sized(b []byte, n uint32) []byte {
	c := bytes.Clone(b)
	le.PutUint32(c[36:], n)
	return c
}

func small(text string) string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "1\r\n%s\r\n", text[i:i+1])
	}
	fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(text)-1000, text[1000:])
	return b.String()
}

func TestHostileServers(t *testing.T) {
	file := build(t, 0x1381, 20_000)
	for _, tc := range rows(t, file) {
		t.Run(tc.name, func(t *testing.T) {
			n := newFake(t, tc.s)
			e := n.update(imageURL)
			if e.Status != tc.want || (e.Err == nil) != (tc.want == good) || e.Err != nil && !strings.Contains(e.Err.Error(), tc.why) {
				t.Errorf("%v (%v), want %v (%s)", e.Status, e.Err, tc.want, tc.why)
			}
			n.sound(e.Status == good)
			n.recovers(file)
		})
	}
}

// sound checks what the flash says: the running image is as it was, the other one valid or not.
func (n *fake) sound(valid bool) {
	n.t.Helper()
	b, err := n.f.Boot()
	if err != nil || b.Running.Offset != 0xa000 || b.Backup != nil {
		n.t.Errorf("boot: %+v, %v", b, err)
	}
	if (b.Control.Rollback.Mark == flash.Valid) != valid || (b.Other.Offset != 0) != valid {
		n.t.Errorf("the other image is %v, and good: %v", b.Control.Rollback.Mark, b.Other.Offset != 0)
	}
	if took := n.now.Sub(epoch); took > 16*time.Minute {
		n.t.Errorf("it took %v", took)
	}
}

// recovers wants a good update to succeed afterwards.
func (n *fake) recovers(file []byte) {
	n.t.Helper()
	n.servers["10.0.0.1:80"] = always(ok(file)...)
	if e := n.update(imageURL); e.Status != good {
		n.t.Errorf("a good update afterwards: %v, %v", e.Status, e.Err)
	}
	n.sound2()
}

func (n *fake) sound2() {
	n.t.Helper()
	if b, err := n.f.Boot(); err != nil || b.Other.Offset == 0 {
		n.t.Errorf("%+v %v", b, err)
	}
}

// H-07, H-09, H-17: servers that never end, or are slow.
func TestServersThatTakeForEver(t *testing.T) {
	file := build(t, 0x1381, 20_000)
	drip := func(head string, body []byte, pause time.Duration) server {
		s := []step{send(head)}
		for i := range body {
			s = append(s, step{after: pause, data: body[i : i+1]})
		}
		return first(append(s, hang())...)
	}
	endless := func(head, piece string) server {
		s := []step{send(head)}
		for range 4000 {
			s = append(s, step{after: time.Second, data: []byte(piece)})
		}
		return first(s...)
	}
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(file))
	for _, tc := range []struct {
		name  string
		s     server
		want  hif.UpdateResult
		bound time.Duration
	}{
		{"H-07 chunks of one byte without end", endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), verify, time.Minute},
		{"H-07 a body without length or end", endless("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1460)), verify, time.Minute},
		{"H-07 interim answers without end", endless("", "HTTP/1.1 102 Processing\r\n\r\n"), serv, time.Minute},
		{"H-09 a head, one byte every 10 s", drip("", []byte(whole), 10*time.Second), conn, 31 * time.Second},
		{"H-09 a body, one byte every 29 s", drip(whole, file, 29*time.Second), conn, 15 * time.Minute},
		{"H-09 a body, one byte every 59 s", drip(whole, file, 59*time.Second), conn, 2 * time.Minute},
		{"no answer to the request", first(hang()), conn, 31 * time.Second},
		{"stalls in the middle", first(send(whole), sendBytes(file[:9000]), hang()), conn, 40 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newFake(t, tc.s)
			e := n.update(imageURL)
			if took := n.now.Sub(epoch); e.Status != tc.want || took > tc.bound {
				t.Errorf("%v (%v) after %v, want %v within %v", e.Status, e.Err, took, tc.want, tc.bound)
			}
			n.sound(false)
			n.now = epoch
			n.recovers(file)
		})
	}
}

// H-17: a server that does not take the request.
func TestServerWithoutAWindow(t *testing.T) {
	file := build(t, 0x1381, 20_000)
	n := newFake(t, always(ok(file)...))
	n.shut = true
	e := n.update(imageURL)
	if took := n.now.Sub(epoch); e.Status != conn || took < 30*time.Second || took > 31*time.Second || len(n.requests) != 0 {
		t.Errorf("%v (%v) after %v", e.Status, e.Err, took)
	}
	n.sound(false)
	n.shut = false
	n.recovers(file)
}

// H-10: redirects.
func TestRedirects(t *testing.T) {
	file := build(t, 0x1381, 5000)
	to := func(location string) []step {
		return answer(send("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\nContent-Length: 3\r\n\r\nbye"))
	}
	for _, tc := range []struct {
		name string
		s    server
		want hif.UpdateResult
		n    int // requests
	}{
		{"to itself", always(to("/new.img")...), serv, 6},
		{"a ring", func(n int, _ string) []step { return to(fmt.Sprintf("/%d", n%3)) }, serv, 6},
		{"50 hops", func(n int, _ string) []step { return to(fmt.Sprintf("/%d", n)) }, serv, 6},
		{"5 hops", func(n int, _ string) []step {
			if n < 5 {
				return to(fmt.Sprintf("/%d", n))
			}
			return ok(file)
		}, good, 6},
		{"no Location", always(answer(send("HTTP/1.1 301 Moved\r\n\r\n"))...), serv, 1},
		{"relative", func(n int, r string) []step {
			if strings.HasPrefix(r, "GET /sub/x ") {
				return ok(file)
			}
			return to("sub/x")
		}, good, 2},
		{"another host", func(n int, r string) []step {
			if strings.Contains(r, "Host: other.test") {
				return ok(file)
			}
			return to("//other.test/x")
		}, good, 2},
		{"file:", always(to("file:///etc/passwd")...), serv, 1},
		{"ftp:", always(to("ftp://other.test/x")...), serv, 1},
		{"javascript:", always(to("javascript:x")...), serv, 1},
		{"to 127.0.0.1", always(to("http://127.0.0.1/x")...), serv, 1},
		{"to 169.254.169.254", always(to("http://169.254.169.254/latest")...), serv, 1},
		{"to a name of 127.0.0.1", always(to("http://localhost.test/x")...), serv, 1},
		{"to 0.0.0.0", always(to("http://0.0.0.0/x")...), serv, 1},
		{"to a bad port", always(to("http://other.test:0/x")...), serv, 1},
		{"303", func(n int, _ string) []step {
			if n == 0 {
				return answer(send("HTTP/1.1 303 See Other\r\nLocation: /y\r\n\r\n"))
			}
			return ok(file)
		}, good, 2},
		{"300", always(answer(send("HTTP/1.1 300 Choices\r\nLocation: /y\r\n\r\n"))...), serv, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newFake(t, tc.s)
			n.servers["10.0.0.2:80"] = tc.s
			n.names["localhost.test"] = append(n.names["localhost.test"], loopback)
			e := n.update(imageURL)
			if e.Status != tc.want || len(n.requests) != tc.n {
				t.Errorf("%v (%v) after %d requests, want %v after %d", e.Status, e.Err, len(n.requests), tc.want, tc.n)
			}
			n.sound(tc.want == good)
			n.recovers(file)
		})
	}
}

// What a Location has that no request line can have is escaped, not sent (RFC 9112, 3.2).
func TestLocationsThatNeedEscapes(t *testing.T) {
	file := build(t, 0x1381, 5000)
	for location, line := range map[string]string{
		"/x?a b":           "GET /x?a%20b HTTP/1.1\r\n",
		"/a b?c HTTP/1.1 ": "GET /a%20b?c%20HTTP/1.1 HTTP/1.1\r\n",
		"/x?\xe4%20#b c":   "GET /x?%E4%20 HTTP/1.1\r\n",
		"?q":               "GET /new.img?q HTTP/1.1\r\n",
	} {
		n := newFake(t, func(n int, _ string) []step {
			if n == 0 {
				return answer(send("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\n\r\n"))
			}
			return ok(file)
		})
		if e := n.update(imageURL); e.Status != good || !strings.HasPrefix(n.requests[1], line) {
			t.Errorf("%q: %v (%v), asked %q", location, e.Status, e.Err, n.requests[1:])
		}
	}
}

// A redirect from https leads to https only; the rule is one of targets, for a played network has no TLS.
func TestRedirectsNeverLeadDown(t *testing.T) {
	t1, err := parseTarget("https://server.test/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := t1.redirect("http://server.test/x"); err != errDowngrade {
		t.Errorf("down: %v", err)
	}
	if next, err := t1.redirect("//other.test/y"); err != nil || !next.secure || next.port != 443 || next.host != "other.test" {
		t.Errorf("%+v %v", next, err)
	}
	t2, _ := parseTarget("http://server.test/x")
	if next, err := t2.redirect("https://server.test:8443/y"); err != nil || !next.secure || next.port != 8443 {
		t.Errorf("up: %+v %v", next, err)
	}
}

// H-18: what ends a line does not get into a request.
func TestURLs(t *testing.T) {
	file := build(t, 0x1381, 5000)
	for _, bad := range []string{
		"", "x", "/x", "server.test/new.img", "http:", "http://", "http:///x", "http://:80/x", "ftp://server.test/x", "file:///x",
		"mailto:x@server.test", "http://server.test:0/x", "http://server.test:65536/x", "http://server.test:x/", "http://server.test:-1/",
		"http://[::1]/x", "http://[fe80::1%25eth0]/x", "http://user:password@server.test/x", "http://%41%0a/x",
		"http://server.test/x\r\nHost: evil", "http://server.test/ x", "http://server.test/\x00", "http://server.test/\x7f", "http://server.test/\xff",
		"http://server.test/%zz", "HTTP//server.test", "http:server.test/x", "http://a b/", "gopher://server.test:80/",
		"http://s%c3%a9rver.test/", "http://%ff/x",
	} {
		n := newFake(t, always(ok(file)...))
		if e := n.update(bad); e.Status != badURL || n.dials != 0 || len(n.requests) != 0 {
			t.Errorf("%q: %v (%v), %d connections", bad, e.Status, e.Err, n.dials)
		}
	}
	for url, line := range map[string]string{
		"http://server.test":                             "GET / HTTP/1.1\r\nHost: server.test\r\n",
		"HTTP://server.test/a":                           "GET /a HTTP/1.1\r\nHost: server.test\r\n",
		"http://10.0.0.1:80/a":                           "GET /a HTTP/1.1\r\nHost: 10.0.0.1:80\r\n",
		"http://server.test/a?b=c&d=%0d%0a#e":            "GET /a?b=c&d=%0d%0a HTTP/1.1\r\n",
		"http://server.test/%0d%0aX:%20y":                "GET /%0d%0aX:%20y HTTP/1.1\r\n",
		"http://server.test/a%2fb":                       "GET /a%2fb HTTP/1.1\r\n",
		"http://server.test?only=query":                  "GET /?only=query HTTP/1.1\r\n",
		"http://server.test/" + strings.Repeat("x", 235): "GET /" + strings.Repeat("x", 235) + " HTTP/1.1\r\n",
	} {
		n := newFake(t, always(ok(file)...))
		if e := n.update(url); e.Status != good || !strings.HasPrefix(n.requests[0], line) {
			t.Errorf("%q: %v (%v), asked %q", url, e.Status, e.Err, n.requests)
		}
	}
}

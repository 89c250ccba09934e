package ota

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/bus/hif"
)

// ranged is a server that knows ranges: it sends what is asked for, up to cut bytes of it, and breaks off; 0: all of it. head are
// lines of all its answers.
func ranged(body []byte, head string, cut func(n int) int) server {
	return func(n int, request string) []step {
		from := 0
		status := "200 OK"
		if _, r, ok := strings.Cut(request, "Range: bytes="); ok {
			fmt.Sscanf(r, "%d-", &from)
			status = "206 Partial Content\r\n" + fmt.Sprintf("Content-Range: bytes %d-%d/%d", from, len(body)-1, len(body))
		}
		rest := body[from:]
		s := []step{send(fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n", status, head, len(rest)))}
		if k := cut(n); k > 0 && k < len(rest) {
			return append(append(s, frames(rest[:k])...), reset())
		}
		return answer(append(s, frames(rest)...)...)
	}
}

const etag = "ETag: \"v1\"\r\n"

// HTTP-8: after a loss the rest is asked for, of the same file.
func TestResume(t *testing.T) {
	file := build(t, 0x1381, 50_000)
	for _, tc := range []struct {
		name, head, ifRange string
	}{
		{"strong ETag", etag, `"v1"`},
		{"weak ETag", "ETag: W/\"v1\"\r\n", ""},
		{"old date", "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\nDate: Wed, 01 Jan 2020 00:01:00 GMT\r\n", "Wed, 01 Jan 2020 00:00:00 GMT"},
		{"date of this second", "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\nDate: Wed, 01 Jan 2020 00:00:00 GMT\r\n", ""},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newFake(t, ranged(file, tc.head, func(n int) int { return []int{10_000, 1, 7777, 0}[n] }))
			if e := n.update(imageURL); e.Status != good {
				t.Fatal(e.Err)
			}
			if len(n.requests) != 4 {
				t.Fatalf("%d requests", len(n.requests))
			}
			for i, from := range []string{"", "10000", "10001", "17778"} {
				r, err := parseRequest(n.requests[i])
				if err != nil {
					t.Fatal(err)
				}
				want := ""
				if from != "" {
					want = "bytes=" + from + "-"
				}
				if r.Header.Get("Range") != want || i > 0 && r.Header.Get("If-Range") != tc.ifRange {
					t.Errorf("request %d: %v", i, r.Header)
				}
			}
			if s := n.u.State(); s.Resumes != 3 || s.Stored != int64(len(file)) {
				t.Errorf("%+v", s)
			}
			n.sound(true)
		})
	}
}

func parseRequest(text string) (*http.Request, error) { return http.ReadRequest(bufioReader(text)) }

// Every place to break off, one byte after the other around the edges of head, header, page and sector.
func TestResumeEverywhere(t *testing.T) {
	file := build(t, 0x1381, 12_000)
	for _, at := range []int{1, 31, 32, 39, 40, 41, 100, 104, 295, 296, 297, 4135, 4136, 4137, 8232, 11_998, 11_999} {
		n := newFake(t, ranged(file, etag, func(n int) int {
			if n == 0 {
				return at
			}
			return 0
		}))
		if e := n.update(imageURL); e.Status != good || len(n.requests) != 2 {
			t.Errorf("broken off after %d bytes: %v after %d requests", at, e.Err, len(n.requests))
		}
		n.sound(true)
	}
}

// A server that always breaks off is given up, one that gives a little each time not before long.
func TestTriesAreBounded(t *testing.T) {
	file := build(t, 0x1381, 50_000)
	n := newFake(t, ranged(file, etag, func(n int) int { return 100 }))
	if e := n.update(imageURL); e.Status != conn || len(n.requests) != 1+maxResumes {
		t.Errorf("%v after %d requests", e.Err, len(n.requests))
	}
	n = newFake(t, first(send("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"), sendBytes(file[:1000]), reset()))
	if e := n.update(imageURL); e.Status != conn || len(n.requests) != 1+maxBarren {
		t.Errorf("%v after %d requests", e.Err, len(n.requests))
	}
	if took := n.now.Sub(epoch); took < 7*time.Second || took > 8*time.Second {
		t.Errorf("gave up after %v, want pauses of 1, 2 and 4 s", took)
	}
	n.sound(false)
}

// H-11, H-12, H-16: answers to the request for the rest that are not the rest.
func TestAnswersToResumes(t *testing.T) {
	file, other := build(t, 0x1381, 20_000), build(t, 0x1382, 30_000)
	const got = 5000
	rest := string(file[got:])
	part := func(contentRange, lines, body string) []step {
		return answer(send("HTTP/1.1 206 Partial Content\r\nContent-Range: " + contentRange + "\r\n" + lines + "\r\n" + body))
	}
	for _, tc := range []struct {
		name   string
		second []step
		want   hif.UpdateResult
	}{
		{"the rest", part("bytes 5000-19999/20000", "", rest), good},
		{"the rest in chunks", part("bytes 5000-19999/20000", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(rest), rest)), good},
		{"another start", part("bytes 4999-19999/20000", "", string(file[4999:])), serv},
		{"from the beginning", part("bytes 0-19999/20000", "", string(file)), serv},
		{"another total", part("bytes 5000-29999/30000", "", rest), serv},
		{"total *", part("bytes 5000-19999/*", "", rest), serv},
		{"end < start", part("bytes 5000-4999/20000", "", rest), serv},
		{"end before the end", part("bytes 5000-9999/20000", "", rest[:5000]), serv},
		{"end behind the end", part("bytes 5000-20000/20000", "", rest), serv},
		{"not satisfied", part("bytes */20000", "", rest), serv},
		{"another unit", part("words 5000-19999/20000", "", rest), serv},
		{"signs", part("bytes +5000-19999/20000", "", rest), serv},
		{"numbers beyond all", part("bytes 5000-99999999999999999999/99999999999999999999", "", rest), serv},
		{"no Content-Range", answer(send("HTTP/1.1 206 Partial Content\r\n\r\n" + rest)), serv},
		{"multipart", answer(send("HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\n\r\n--x\r\nContent-Range: bytes 5000-19999/20000\r\n\r\n" + rest + "\r\n--x--")), serv},
		{"a length that disagrees", part("bytes 5000-19999/20000", "Content-Length: 14999\r\n", rest), serv},
		{"another ETag", part("bytes 5000-19999/20000", "ETag: \"v2\"\r\n", rest), serv},
		{"encoded", part("bytes 5000-19999/20000", "Content-Encoding: gzip\r\n", rest), serv},
		{"longer than it says", part("bytes 5000-19999/20000", "", rest+"x"), serv},
		{"the file again", ok(file), good},
		{"another file", ok(other), good},
		{"another file, of the same digest", ok(flipped(file, 10_000)), verify},
		{"416", answer(send("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */20000\r\n\r\n")), serv},
		{"404", answer(send("HTTP/1.1 404 Not Found\r\n\r\n")), serv},
		{"a file that is too large", answer(send("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")), large},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newFake(t, func(n int, _ string) []step {
				if n == 0 {
					return append([]step{send("HTTP/1.1 200 OK\r\n" + etag + "Content-Length: 20000\r\n\r\n")}, sendBytes(file[:got]), reset())
				}
				return tc.second
			})
			e := n.update(imageURL)
			if e.Status != tc.want || len(n.requests) != 2 {
				t.Errorf("%v (%v) after %d requests, want %v", e.Status, e.Err, len(n.requests), tc.want)
			}
			n.sound(tc.want == good)
			if tc.name == "another file" {
				if c, _ := n.f.Control(); c.Rollback.Version&0xffff != 0x1382 {
					t.Errorf("%+v", c)
				}
			}
			n.recovers(file)
		})
	}
}

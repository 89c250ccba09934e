package ota

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-net/understudy/sock/co"
)

// Bounds of an answer.
const (
	maxHead    = 16 << 10 // bytes of all heads of one answer, those of 1xx included [HTTP-6, H-03]
	maxInterim = 5        // 1xx before the answer [HTTP-4, H-13]
	bodyBuffer = 4 << 10
)

// userAgent is who asks.
const userAgent = "understudy-ota/1"

// Reasons why an answer is none.
var (
	errHead     = fmt.Errorf("the head of the answer is longer than %d bytes", maxHead)
	errInterim  = fmt.Errorf("more than %d interim answers", maxInterim)
	errFraming  = errors.New("the answer has both a length and chunks")
	errColon    = errors.New("a space in front of a colon in the head")
	errFolded   = errors.New("the end of the head is ambiguous")
	errRange    = errors.New("the answer is a part of the file that was not asked for")
	errLonger   = errors.New("the body is longer than the file")
	errEncoding = errors.New("the body is encoded, although that was not asked for")
	errChanged  = errors.New("the file has changed")
)

// lost is the end of a connection before that of the answer: worth another try.
type lost struct{ err error }

func (l lost) Error() string { return "the connection ended: " + l.err.Error() }
func (l lost) Unwrap() error { return l.err }

// moved is an answer that leads elsewhere.
type moved struct{ to target }

func (m moved) Error() string { return "moved to " + m.to.url.String() }

// line is the connection as the parser sees it. It notes when something came, and how it ended.
type line struct {
	f *fetcher
	c *co.Conn
}

// Read implements io.Reader.
func (l line) Read(p []byte) (int, error) {
	n, err := l.c.Read(p)
	if n > 0 {
		l.f.heard = l.c.Now()
	}
	if err != nil {
		l.f.broken = err
	}
	return n, err
}

// exchange is one request and its answer, up to the end of the file; it runs as a coroutine. An [*Error] is final, lost and
// moved are not.
func (f *fetcher) exchange(c *co.Conn) error {
	f.broken = nil
	if _, err := c.Write(f.request()); err != nil {
		return lost{err}
	}
	f.in.Reset(line{f, c})
	resp, err := f.answer()
	if err != nil {
		return f.blame(err)
	}
	if err := f.judge(resp); err != nil {
		return err
	}
	f.phase = Receiving
	return f.receive(resp)
}

// blame tells a broken connection from a broken answer.
func (f *fetcher) blame(err error) error {
	var final *Error
	switch {
	case errors.As(err, &final):
		return err
	case f.broken != nil:
		if f.broken == io.EOF {
			return lost{io.ErrUnexpectedEOF}
		}
		return lost{f.broken}
	}
	return serverError(err)
}

// request is the text of the request [HTTP-1]. After a loss it asks for the rest, of the same file if the server has a way to
// tell [HTTP-8].
func (f *fetcher) request() []byte {
	u := f.target.url
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery},
		Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: true, Header: http.Header{},
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept-Encoding", "identity")
	if f.offset > 0 {
		r.Header.Set("Range", "bytes="+strconv.FormatInt(f.offset, 10)+"-")
		if f.validator != "" {
			r.Header.Set("If-Range", f.validator)
		}
	}
	var b bytes.Buffer
	_ = r.Write(&b) // to memory, of a URL that was checked
	return b.Bytes()
}

// answer reads heads until one that is not interim.
func (f *fetcher) answer() (*http.Response, error) {
	for left, n := maxHead, 0; ; n++ {
		head, err := f.head(left)
		if err != nil {
			return nil, err
		}
		left -= len(head)
		if err := vet(head); err != nil {
			return nil, err
		}
		before := f.in.Buffered() - len(head)
		resp, err := http.ReadResponse(f.in, &http.Request{Method: http.MethodGet})
		switch {
		case err != nil:
			return nil, err
		case f.in.Buffered() != before:
			return nil, errFolded
		case resp.ProtoMajor != 1:
			return nil, fmt.Errorf("the server speaks %s", resp.Proto)
		case resp.StatusCode < 100 || resp.StatusCode > 199 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		case n == maxInterim:
			return nil, errInterim
		}
	}
}

// head waits until a whole head of at most most bytes lies in the buffer, and leaves it there.
func (f *fetcher) head(most int) ([]byte, error) {
	for seen := 0; ; {
		if seen >= most {
			return nil, errHead
		}
		_, err := f.in.Peek(seen + 1)
		b, _ := f.in.Peek(f.in.Buffered())
		if n := headLen(b, max(0, seen-3)); n > 0 {
			if n > most {
				return nil, errHead
			}
			return b[:n], nil
		}
		if err == bufio.ErrBufferFull {
			return nil, errHead
		} else if err != nil {
			return nil, err
		}
		seen = len(b)
	}
}

// headLen is the length of the head at the beginning of b, with the empty line at its end; 0 if that is not there yet. A
// line may end without a carriage return (RFC 9112, 2.2).
func headLen(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		if b[i] != '\n' {
			continue
		}
		switch rest := b[i+1:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 2
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 3
		}
	}
	return 0
}

// vet finds what the parser would let pass: both a length and a transfer encoding, which means that somebody on the way may read
// the answer differently (RFC 9112, 6.3) [H-05], and a space between a name and its colon (5.1) [H-19].
func vet(head []byte) error {
	var length, encoding bool
	for l := range bytes.Lines(head) {
		name, _, ok := bytes.Cut(l, []byte{':'})
		if !ok || l[0] == ' ' || l[0] == '\t' || bytes.HasPrefix(l, []byte("HTTP/")) {
			continue
		}
		if n := len(name); n > 0 && (name[n-1] == ' ' || name[n-1] == '\t') {
			return errColon
		}
		length = length || bytes.EqualFold(name, []byte("Content-Length"))
		encoding = encoding || bytes.EqualFold(name, []byte("Transfer-Encoding"))
	}
	if length && encoding {
		return errFraming
	}
	return nil
}

// judge decides what an answer is worth. All but the file is an error of the server (driver-api 2.8).
func (f *fetcher) judge(r *http.Response) error {
	switch c := r.StatusCode; {
	case c == http.StatusOK:
		return f.fresh(r)
	case c == http.StatusPartialContent && f.offset > 0:
		return f.rest(r)
	case c == http.StatusMovedPermanently, c == http.StatusFound, c == http.StatusSeeOther,
		c == http.StatusTemporaryRedirect, c == http.StatusPermanentRedirect:
		to, err := f.target.redirect(r.Header.Get("Location"))
		if err != nil {
			return serverError(err)
		}
		return moved{to}
	case f.c.StoreErrorPages && c != http.StatusNotFound:
		return f.fresh(r) // the real part knows no other error
	}
	return serverError(fmt.Errorf("the server answers %q", r.Status))
}

// fresh is an answer that brings the file from its beginning, for the first time or again [H-12].
func (f *fetcher) fresh(r *http.Response) error {
	if encoded(r) {
		return serverError(errEncoding)
	}
	f.offset, f.total, f.validator = 0, r.ContentLength, validator(r.Header)
	return f.to.begin(f.total)
}

// rest is an answer that brings the rest of the file. It must be just that [H-11].
func (f *fetcher) rest(r *http.Response) error {
	first, last, total, ok := parseContentRange(r.Header.Get("Content-Range"))
	v := validator(r.Header)
	switch {
	case encoded(r):
		return serverError(errEncoding)
	case !ok || first != f.offset || last != total-1 || r.ContentLength >= 0 && r.ContentLength != total-first:
		return serverError(fmt.Errorf("%w: Content-Range %q", errRange, r.Header.Get("Content-Range")))
	case f.total >= 0 && total != f.total:
		return serverError(fmt.Errorf("%w: it had %d bytes, and has %d", errChanged, f.total, total))
	case f.validator != "" && v != "" && v != f.validator:
		return serverError(fmt.Errorf("%w: it was %s, and is %s", errChanged, f.validator, v))
	}
	f.total = total
	return nil
}

// encoded reports whether the body is something else than the file [HTTP-7].
func encoded(r *http.Response) bool {
	e := r.Header.Get("Content-Encoding")
	return e != "" && !strings.EqualFold(e, "identity")
}

// maxValidator bounds what is remembered of a server.
const maxValidator = 256

// validator is what If-Range may be asked with: a strong ETag, or a date that is old enough to be one (RFC 9110, 8.8.2.2 and
// 13.1.5); "" if there is none.
func validator(h http.Header) string {
	if e := h.Get("ETag"); len(e) >= 2 && len(e) <= maxValidator && e[0] == '"' && e[len(e)-1] == '"' {
		return strings.Clone(e)
	}
	m, err1 := http.ParseTime(h.Get("Last-Modified"))
	d, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil || d.Sub(m) < time.Second {
		return ""
	}
	return strings.Clone(h.Get("Last-Modified"))
}

// parseContentRange reads "bytes first-last/total" (RFC 9110, 14.4). A total that is not known is no use here.
func parseContentRange(s string) (first, last, total int64, ok bool) {
	unit, s, _ := strings.Cut(s, " ")
	span, size, _ := strings.Cut(s, "/")
	a, b, _ := strings.Cut(span, "-")
	first, ok1 := digits(a)
	last, ok2 := digits(b)
	total, ok3 := digits(size)
	return first, last, total, ok1 && ok2 && ok3 && strings.EqualFold(unit, "bytes") && first <= last && last < total
}

// digits reads a number that consists of digits and nothing else.
func digits(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

// receive takes the body to where it belongs.
func (f *fetcher) receive(r *http.Response) error {
	for {
		n, err := r.Body.Read(f.buf)
		if n > 0 {
			if f.total >= 0 && f.offset+int64(n) > f.total {
				return serverError(errLonger)
			}
			if err := f.to.Write(f.buf[:n]); err != nil {
				return err
			}
			f.offset += int64(n)
		}
		switch {
		case err == io.EOF && f.total >= 0 && f.offset < f.total: // a part that is shorter than it said
			return lost{io.ErrUnexpectedEOF}
		case err == io.EOF:
			return f.to.finish()
		case err != nil:
			return f.blame(err)
		}
	}
}

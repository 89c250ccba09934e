package provision

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Bounds of a request, in bytes.
const (
	maxHead    = 16 << 10
	maxBody    = 4 << 10
	chunkSlack = 1 << 10 // for the lines between the chunks of a body, and trailers
)

// response is an answer before it is written.
type response struct {
	status int
	header [][2]string
	body   []byte
	head   bool // the request was HEAD: the body is only told the length of
}

func text(status int, format string, args ...any) response {
	return response{
		status: status, header: [][2]string{{"Content-Type", "text/plain; charset=utf-8"}},
		body: append(fmt.Appendf(nil, format, args...), '\n'),
	}
}

// redirect sends the browser to a place with GET.
func redirect(to string) response {
	r := text(http.StatusSeeOther, "Go to %s", to)
	r.header = append(r.header, [2]string{"Location", to})
	return r
}

// bytes is the answer as it goes out. Nothing is to be kept: lists change, and what the page holds is secret. The policy
// lets the page have its own style and send its form to us, and nothing else.
func (r response) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, http.StatusText(r.status))
	for _, h := range append(r.header, [][2]string{
		{"Content-Length", strconv.Itoa(len(r.body))},
		{"Connection", "close"},
		{"Cache-Control", "no-store"},
		{"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
		{"Referrer-Policy", "same-origin"}, // not stricter: else browsers hide the origin of the form (Fetch, "append a request Origin header")
		{"X-Content-Type-Options", "nosniff"},
	}...) {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	if !r.head {
		b.Write(r.body)
	}
	return b.Bytes()
}

// serve reads the request and makes the answer.
func (c *Conn) serve() []byte {
	limit := &io.LimitedReader{R: c.co, N: maxHead}
	req, err := http.ReadRequest(bufio.NewReader(limit))
	if err != nil {
		switch {
		case c.phase == phaseEnded:
			return nil // it is being stopped
		case limit.N <= 0:
			c.s.counts.Broken++
			return text(http.StatusRequestHeaderFieldsTooLarge, "The request's head has more than %d bytes.", maxHead).bytes()
		case err == io.EOF:
			return nil // a browser that opened a connection to have one
		}
		c.s.counts.Broken++
		return text(http.StatusBadRequest, "This is not a request that can be understood.").bytes()
	}
	limit.N = maxBody + chunkSlack
	r := c.route(req)
	r.head = req.Method == http.MethodHead
	return r.bytes()
}

// route finds out what is asked for.
func (c *Conn) route(req *http.Request) response {
	s := c.s
	if req.ProtoMajor != 1 {
		s.counts.Broken++
		return text(http.StatusHTTPVersionNotSupported, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
	}
	if req.Host == "" && req.ProtoAtLeast(1, 1) { // RFC 9112, 3.2
		s.counts.Broken++
		return text(http.StatusBadRequest, "The request does not say for which site it is.")
	}
	if !s.ours(req.Host) {
		if s.cfg.Redirect {
			s.counts.Redirects++
			return redirect(s.home())
		}
		s.counts.Refused++
		return text(http.StatusMisdirectedRequest, "There is no such site here; the controller's page is %s", s.home())
	}
	get := req.Method == http.MethodGet || req.Method == http.MethodHead
	switch path := req.URL.Path; {
	case path == "/" && get, path == "" && get:
		if s.result != nil {
			return c.done()
		}
		if req.URL.Query().Has("scan") {
			s.scan()
		}
		return c.form(http.StatusOK, entry{name: s.cfg.Name}, "")
	case path == formPath && req.Method == http.MethodPost:
		return c.submit(req)
	case path == formPath && get:
		return redirect("/") // a page that was loaded again
	case path == "/" || path == formPath:
		s.counts.Refused++
		r := text(http.StatusMethodNotAllowed, "%s is not possible here.", req.Method)
		r.header = append(r.header, [2]string{"Allow", "GET, HEAD, POST"})
		return r
	case s.cfg.Redirect && get && path != "/favicon.ico":
		s.counts.Redirects++
		return redirect(s.home())
	}
	s.counts.Refused++
	return text(http.StatusNotFound, "There is no such page; the form is %s", s.home())
}

// home is the address of the page.
func (s *Server) home() string { return "http://" + s.cfg.Domain + "/" }

// ours reports whether a Host field names this site: by name, by address, or not at all, as in HTTP/1.0.
func (s *Server) ours(host string) bool {
	if h, port, err := net.SplitHostPort(host); err == nil {
		if port != strconv.Itoa(Port) {
			return false
		}
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return a == s.cfg.Addr
	}
	return host == "" || host == s.cfg.Domain
}

// crossOrigin refuses forms that another site's page has sent: browsers say where a form comes from.
var crossOrigin = http.NewCrossOriginProtection()

// submit takes a filled in form.
func (c *Conn) submit(req *http.Request) response {
	s := c.s
	if crossOrigin.Check(req) != nil {
		s.counts.Refused++
		return text(http.StatusForbidden, "This form comes from another site. Open %s and fill it in there.", s.home())
	}
	if t, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		s.counts.Refused++
		return text(http.StatusUnsupportedMediaType, "A form is wanted, as browsers send it.")
	}
	if s.result != nil {
		return c.done()
	}
	body, status := c.body(req)
	if status != 0 {
		s.counts.Broken++
		return text(status, "The form cannot be read: %s.", strings.ToLower(http.StatusText(status)))
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		s.counts.Broken++
		return text(http.StatusBadRequest, "The form cannot be read.")
	}
	e := newEntry(values)
	result, fault := s.judge(e)
	if fault != "" {
		s.counts.Rejected++
		return c.form(http.StatusUnprocessableEntity, e, fault)
	}
	s.counts.Submitted++
	s.result, s.by = &result, c
	return c.done()
}

// body reads the body; the status is 0 if it could be read.
func (c *Conn) body(req *http.Request) ([]byte, int) {
	if req.ContentLength > maxBody {
		return nil, http.StatusRequestEntityTooLarge
	}
	if strings.EqualFold(req.Header.Get("Expect"), "100-continue") { // RFC 9110, 10.1.1
		if _, err := io.WriteString(c.co, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return nil, http.StatusBadRequest
		}
	}
	b, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	switch {
	case len(b) > maxBody:
		return nil, http.StatusRequestEntityTooLarge
	case err != nil:
		return nil, http.StatusBadRequest
	}
	return b, 0
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-net/understudy/device/image"
)

// lines is standard output of a command that runs.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
	in  chan struct{} // a write came
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.in <- struct{}{}:
	default:
	}
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// wait waits for n lines and returns them.
func (l *lines) wait(t *testing.T, n int) []string {
	t.Helper()
	for end := time.After(20 * time.Second); strings.Count(l.String(), "\n") < n; {
		select {
		case <-l.in:
		case <-end:
			t.Fatalf("%d lines did not come: %q", n, l.String())
		}
	}
	return strings.Split(l.String(), "\n")[:n]
}

// serveImages runs "image serve" on a directory with new.img, and ends it with the test.
func serveImages(t *testing.T, args ...string) (url string, file []byte, out *lines) {
	t.Helper()
	dir := t.TempDir()
	file, err := image.Build(image.Spec{Version: 0x1381, Size: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new.img"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	out = &lines{in: make(chan struct{}, 1)}
	code := make(chan int)
	var stderr bytes.Buffer
	go func() {
		code <- run(ctx, append([]string{"image", "serve", dir, "--json", "--listen", "127.0.0.1:0"}, args...), stdio{out: out, err: &stderr})
	}()
	t.Cleanup(func() {
		stop()
		if c := <-code; c != 0 {
			t.Errorf("exit code %d: %s", c, stderr.String())
		}
	})
	var hello struct {
		URL    string
		Device string `json:"device_url"`
	}
	if err := json.Unmarshal([]byte(out.wait(t, 1)[0]), &hello); err != nil || !strings.HasPrefix(hello.Device, "http://host.internal:") {
		t.Fatalf("%v: %q", err, out)
	}
	return hello.URL, file, out
}

// fetch gets what there is of a file, and how it ended.
func fetch(t *testing.T, url, from string) (status int, body []byte, err error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if from != "" {
		req.Header.Set("Range", from)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func TestImageServe(t *testing.T) {
	url, file, out := serveImages(t)
	for _, name := range []string{"new.img", "./new.img", "x/../new.img"} {
		if status, body, err := fetch(t, url+name, ""); status != 200 || !bytes.Equal(body, file) || err != nil {
			t.Errorf("%s: %d, %d bytes, %v", name, status, len(body), err)
		}
	}
	if status, body, err := fetch(t, url+"new.img", "bytes=50000-"); status != 206 || !bytes.Equal(body, file[50000:]) || err != nil {
		t.Errorf("a range: %d, %d bytes, %v", status, len(body), err)
	}
	for _, name := range []string{"", "old.img", "..", "../../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "new.img/x"} {
		if status, _, err := fetch(t, url+name, ""); status != 404 || err != nil {
			t.Errorf("%q: %d, %v", name, status, err)
		}
	}
	resp, err := http.Post(url+"new.img", "text/plain", strings.NewReader("mine"))
	if err != nil || resp.StatusCode != 405 {
		t.Errorf("POST: %v, %v", resp, err)
	}
	told := strings.Join(out.wait(t, 12), "\n")
	for what, n := range map[string]int{
		`"range":"bytes=50000-",`: 1, `"status":206`: 1, `"status":404`: 6, `"status":405`: 1, `"bytes":60000,`: 3,
	} {
		if strings.Count(told, what) != n {
			t.Errorf("%s is not there %d times: %s", what, n, told)
		}
	}
}

// Each fault is what it is called.
func TestImageServeFaults(t *testing.T) {
	for _, tc := range []struct {
		fault  string
		status int
		bytes  int // that come
		err    error
	}{
		{"404", 404, -1, nil},
		{"500", 500, -1, nil},
		{"truncated", 200, 30_000, io.ErrUnexpectedEOF},
		{"truncated=12345", 200, 12345, io.ErrUnexpectedEOF},
		{"truncated=0", 200, 0, io.ErrUnexpectedEOF},
		{"truncated=70000", 200, 60_000, nil},
		{"reset=100", 200, 100, syscall.ECONNRESET},
		{"digest", 200, 60_000, nil},
		{"slow=300000", 200, 60_000, nil},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			t.Parallel()
			url, file, _ := serveImages(t, "--fault", tc.fault)
			start := time.Now()
			status, body, err := fetch(t, url+"new.img", "")
			if status != tc.status || tc.bytes >= 0 && len(body) != tc.bytes && tc.err != syscall.ECONNRESET || !errors.Is(err, tc.err) {
				t.Errorf("%d, %d bytes, %v", status, len(body), err)
			}
			if tc.fault == "digest" {
				file[len(file)-1] ^= 1
			}
			if tc.bytes >= 0 && !bytes.HasPrefix(file, body) {
				t.Error("other bytes")
			}
			if d := time.Since(start); strings.HasPrefix(tc.fault, "slow") && d < 90*time.Millisecond {
				t.Errorf("slow took %v", d)
			}
		})
	}
}

func TestImageServeStalls(t *testing.T) {
	url, file, out := serveImages(t, "--fault", "stall=1000")
	ctx, stop := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"new.img", nil)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1000)
	if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, file[:1000]) {
		t.Errorf("before it stalls: %v", err)
	}
	if s := out.String(); strings.Count(s, "\n") != 1 {
		t.Errorf("it did not stall: %s", s)
	}
	stop()
	resp.Body.Close()
	if l := out.wait(t, 2)[1]; !strings.Contains(l, `"broken_off":true,"bytes":1000,`) {
		t.Errorf("line %s", l)
	}
}

// After the first bad answers the server is a good one, and takes up where a download broke off.
func TestImageServeFaultsEnd(t *testing.T) {
	url, file, _ := serveImages(t, "--fault", "truncated=100", "--times", "2")
	for range 2 {
		if _, body, err := fetch(t, url+"new.img", ""); len(body) != 100 || err == nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	}
	if status, body, err := fetch(t, url+"new.img", "bytes=100-"); status != 206 || err != nil || !bytes.Equal(body, file[100:]) {
		t.Errorf("%d, %d bytes, %v", status, len(body), err)
	}
}

// A device gets the file too, by the URL that the server says is for it.
func TestImageServeToADevice(t *testing.T) {
	_, file, out := serveImages(t)
	var hello struct {
		Device string `json:"device_url"`
	}
	if err := json.Unmarshal([]byte(out.wait(t, 1)[0]), &hello); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "got.img")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"get", "--allow-host", hello.Device + "new.img", "-o", name}, stdio{out: &stdout, err: &stderr})
	got, err := os.ReadFile(name)
	if code != 0 || err != nil || !bytes.Equal(got, file) {
		t.Errorf("exit code %d, %d bytes, %v: %s", code, len(got), err, stderr.String())
	}
}

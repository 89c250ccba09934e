//go:build linux

package tap_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/internal/peers"
	"github.com/understudy-net/understudy/uplink/user"
)

// file makes n bytes that no compression makes shorter.
func file(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func TestGetFromNginx(t *testing.T) {
	peers.Need(t, "nginx")
	b := newAir(t)
	b.SetAddr(t)
	content := file(8 << 20)
	b.Nginx(peers.KernelAddr.Addr(), content)
	tr := &http.Transport{DialContext: b.Net.Dial}
	defer tr.CloseIdleConnections()
	client := http.Client{Transport: tr, Timeout: 30 * time.Second}
	get := func(path, ranges string) (status int, body []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://10.77.0.1"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranges != "" {
			req.Header.Set("Range", ranges)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err = io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	for range 2 { // the second on the same connection
		if status, body := get("/file", ""); status != 200 || !bytes.Equal(body, content) {
			t.Errorf("status %d, %d bytes", status, len(body))
		}
	}
	if status, body := get("/file", "bytes=5000-5999"); status != 206 || !bytes.Equal(body, content[5000:6000]) {
		t.Errorf("a range: status %d, %d bytes", status, len(body))
	}
	if status, body := get("/moved", ""); status != 200 || !bytes.Equal(body, content) {
		t.Errorf("moved: status %d, %d bytes", status, len(body))
	}
	if _, err := client.Get("http://10.77.0.1/close"); err == nil {
		t.Error("a connection that the server closes gives no error")
	}
	if _, err := client.Get("http://10.77.0.1:81/"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a port where nobody listens: %v", err)
	}
}

// TestCurlAtOurServer has curl fetch and send files at net/http on our stack.
func TestCurlAtOurServer(t *testing.T) {
	peers.Need(t, "curl")
	b := newAir(t)
	b.SetAddr(t)
	content := file(4 << 20)
	l, err := b.Net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	mux.HandleFunc("PUT /sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x", h.Sum(nil))
	})
	s := http.Server{Handler: mux}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	defer func() {
		s.Close()
		<-done
	}()
	dir := t.TempDir()
	sent, got := filepath.Join(dir, "sent"), filepath.Join(dir, "got")
	if err := os.WriteFile(sent, content, 0o600); err != nil {
		t.Fatal(err)
	}
	b.Run("curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--output", got, "http://10.77.0.2/file")
	if body, err := os.ReadFile(got); err != nil || !bytes.Equal(body, content) {
		t.Errorf("curl got %d bytes, %v", len(body), err)
	}
	sum := b.Run("curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--upload-file", sent, "http://10.77.0.2/sum")
	if want := fmt.Sprintf("%x", sha256.Sum256(content)); sum != want {
		t.Errorf("what curl sent has the sum %s, want %s", sum, want)
	}
}

// TestProgramsThroughUserUplink puts programs of one namespace behind a station, and servers into another, with the user uplink
// between them: each TCP connection ends twice in a stack of ours.
func TestProgramsThroughUserUplink(t *testing.T) {
	peers.Need(t, "udhcpc", "curl", "nginx", "iperf3")
	far := peers.NewNamespace(t)
	farAddr := netip.MustParsePrefix("192.0.2.1/24") // RFC 5737
	far.SetUp("lo", farAddr)
	content := file(4 << 20)
	far.Nginx(farAddr.Addr(), content)
	server := far.Start("iperf3", "--server", "--bind", farAddr.Addr().String())
	far.WaitListen("tcp", 5201, server)

	near := newRouted(t, far)
	out := near.Run("udhcpc", "-f", "-i", "wlan0", "-n", "-q", "-t", "4", "-T", "1", "-s", script(t))
	_, rest, _ := strings.Cut(out, "event=bound ip=")
	ip, _, _ := strings.Cut(rest, " ")
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatalf("udhcpc got no lease:\n%s", out)
	}
	near.SetUp("wlan0", netip.PrefixFrom(addr, 24))
	near.Route(t, peers.KernelAddr.Addr())

	got := filepath.Join(t.TempDir(), "got")
	near.Run("curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--output", got, "http://192.0.2.1/file")
	if body, err := os.ReadFile(got); err != nil || !bytes.Equal(body, content) {
		t.Errorf("curl got %d bytes, %v", len(body), err)
	}
	for _, way := range [][]string{{"--bytes", "64M"}, {"--bytes", "64M", "--reverse"}, {"--bytes", "64M", "--parallel", "4"}} {
		t.Run("iperf3 "+strings.Join(way, " "), func(t *testing.T) {
			var report string
			peers.Poll(t, "the server to have ended its last test", nil, func() bool {
				p := near.For(t).Start("iperf3", append([]string{"--client", "192.0.2.1", "--json", "--connect-timeout", "5000"}, way...)...)
				report = p.Wait(near.Namespace)
				return !strings.Contains(report, "the server is busy")
			})
			rate := iperfRate(t, report)
			t.Logf("%.0f Mbit/s", rate/1e6)
		})
	}
}

// iperfRate reads what iperf3 prints. The receiver stops to count when the sender says that it has sent all, so a part is missing.
func iperfRate(t testing.TB, out string) float64 {
	t.Helper()
	var report struct {
		Error string `json:"error"`
		End   struct {
			Received struct {
				Rate  float64 `json:"bits_per_second"`
				Bytes int64   `json:"bytes"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Error != "" || report.End.Received.Bytes < 8<<20 {
		t.Fatalf("iperf3: %v\n%s", err, out)
	}
	return report.End.Received.Rate
}

// A routed is a station whose host is the kernel, behind an access point with the user uplink.
type routed struct{ *softAP }

func newRouted(t testing.TB, far *peers.Namespace) routed {
	t.Helper()
	b := &softAP{Namespace: peers.NewNamespace(t), w: peers.NewWorld(t)}
	b.air = newMedium(b.w)
	var up *user.Uplink
	ap, slot := addAP(t, b.w, b.air, func(now time.Time, eth []byte) { up.Input(now, eth) })
	b.ap = ap
	var err error
	up, err = user.New(user.Config{
		World: b.w,
		Output: func(now time.Time, eth []byte) {
			ap.Send(now, eth)
			slot.Touch()
		},
		Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			return peers.Do2(far, func() (net.Conn, error) { return d.DialContext(ctx, network, to.String()) })
		},
		Log: func(e user.Event) { t.Logf("uplink: %v", e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	b.join(t)
	return routed{b}
}

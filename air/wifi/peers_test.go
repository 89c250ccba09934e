package wifi

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-net/understudy/air/pcap"
	"github.com/understudy-net/understudy/wire"
)

// peerProgram runs a program that judges our work. Where the machine does not have it the test is skipped, or fails if
// UNDERSTUDY_PEERS=require.
func peerProgram(t *testing.T, name, pkg string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("UNDERSTUDY_PEERS") == "require" {
			t.Fatalf("%s is not installed (package %s) and UNDERSTUDY_PEERS=require", name, pkg)
		}
		t.Skipf("%s is not installed: package %s has it", name, pkg)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return string(out)
}

func sha1HMAC(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha1.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// TestHandshakeAgainstWPAPassphrase takes the key from wpa_passphrase and recomputes every MIC of a captured
// handshake, and unwraps the group key, with code that shares nothing with the package.
func TestHandshakeAgainstWPAPassphrase(t *testing.T) {
	out := peerProgram(t, "wpa_passphrase", "wpasupplicant", ssid, passphrase)
	var pmk []byte
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "psk="); ok {
			pmk = unhex(t, v)
		}
	}
	if len(pmk) != 32 {
		t.Fatalf("wpa_passphrase printed no key:\n%s", out)
	}

	b := newBench(t, 70)
	ap := b.accessPoint(wpaAP)
	frames := b.record()
	b.station(staMAC).mustJoin(wpa)
	b.run(time.Second)
	if len(*frames) != 4 {
		t.Fatalf("%d EAPOL frames, want 4", len(*frames))
	}
	var m [4][]byte
	for i, f := range *frames {
		m[i] = f.Data[14:]
	}
	anonce, snonce := m[0][17:49], m[1][17:49]

	// 12.7.1.3, with apMAC > staMAC spelt out.
	lo, hi := staMAC[:], apMAC[:]
	nlo, nhi := anonce, snonce
	if bytes.Compare(anonce, snonce) > 0 {
		nlo, nhi = snonce, anonce
	}
	var keys []byte
	for i := byte(0); i < 3; i++ {
		keys = append(keys, sha1HMAC(pmk, []byte("Pairwise key expansion\x00"), lo, hi, nlo, nhi, []byte{i})...)
	}
	kck, kek := keys[:16], keys[16:32]

	for i := 1; i < 4; i++ {
		zeroed := bytes.Clone(m[i])
		copy(zeroed[81:97], make([]byte, 16))
		if want := sha1HMAC(kck, zeroed)[:16]; !bytes.Equal(m[i][81:97], want) {
			t.Errorf("message %d: MIC %x, want %x", i+1, m[i][81:97], want)
		}
	}

	// RFC 3394, 2.2.2, in the form with an array of registers.
	wrapped := m[2][99:]
	c, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	n := len(wrapped)/8 - 1
	r := make([][]byte, n+1)
	for i := range r {
		r[i] = bytes.Clone(wrapped[8*i : 8*i+8])
	}
	a := r[0]
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			x := bytes.Clone(a)
			for k, t := 7, n*j+i; t > 0; k, t = k-1, t>>8 {
				x[k] ^= byte(t)
			}
			blk := append(x, r[i]...)
			c.Decrypt(blk, blk)
			a, r[i] = bytes.Clone(blk[:8]), bytes.Clone(blk[8:])
		}
	}
	if !bytes.Equal(a, bytes.Repeat([]byte{0xa6}, 8)) {
		t.Fatalf("message 3 does not unwrap: %x", a)
	}
	plain := bytes.Join(r[1:], nil)
	want := append(unhex(t, "30140100000fac040100000fac040100000fac020000dd16000fac010500"), ap.gtk[:]...)
	if len(plain) < len(want) || !bytes.Equal(plain[:len(want)], want) {
		t.Errorf("key data %x, want %x", plain, want)
	}
}

// TestCaptureAgainstTshark shows a join and some data to tshark.
func TestCaptureAgainstTshark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "join.pcapng")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcap.NewWriter(f, pcap.Options{Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, 71)
	ap := b.accessPoint(wpaAP)
	cancel := Capture(b.air, apMAC, w, 0, func(err error) { t.Error(err) })
	s := b.station(staMAC)
	s.mustJoin(wpa)
	b.run(time.Second)
	arp := wire.Ethernet{Dst: wire.Broadcast, Src: staMAC, Type: wire.EtherTypeARP}.Append(nil)
	arp = append(arp, unhex(t, "000108000604000102005e005301c0000201000000000000c0000202")...)
	s.Send(b.now, arp)
	wired := append([]byte(nil), arp...)
	wired[11] ^= 1 // a host behind the access point
	ap.Send(b.now, wired)
	b.run(time.Second)
	cancel()
	s.Send(b.now, arp)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}

	out := peerProgram(t, "tshark", "tshark", "-n", "-r", file, "-T", "fields", "-e", "frame.protocols", "-e",
		"wlan_rsna_eapol.keydes.msgnr", "-e", "frame.packet_flags_direction", "-e", "_ws.malformed")
	var got []string
	for line := range strings.Lines(out) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"eth:ethertype:eapol 1 0x00000002",
		"eth:ethertype:eapol 2 0x00000001",
		"eth:ethertype:eapol 3 0x00000002",
		"eth:ethertype:eapol 4 0x00000001",
		"eth:ethertype:arp 0x00000001", // and once only, though the access point repeats it to all
		"eth:ethertype:arp 0x00000002",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tshark sees\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text := peerProgram(t, "tshark", "tshark", "-n", "-V", "-r", file); strings.Contains(text, "Malformed") || strings.Contains(text, "Expert Info (Error") {
		t.Errorf("tshark complains:\n%s", text)
	}
}

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/understudy-net/understudy/device"
	"github.com/understudy-net/understudy/device/flash"
	"github.com/understudy-net/understudy/device/image"
	devicetls "github.com/understudy-net/understudy/device/tls"
)

// inspected is what "flash inspect" prints of a chip.
func inspected(t *testing.T, f *flash.Flash, secrets bool) string {
	t.Helper()
	r, err := inspectFlash(f, secrets)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.print(printer{w: &b}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// factory is a chip as it left it.
func factory(t *testing.T) *flash.Flash {
	t.Helper()
	base, err := device.WINC1500().FlashFormat().Base()
	if err != nil {
		t.Fatal(err)
	}
	return base.New()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// storeSecond puts an image into the second slot, with what the control section then says of it.
func storeSecond(t *testing.T, f *flash.Flash, payload []byte, mark flash.Mark) {
	t.Helper()
	p, err := f.Region(flash.Firmware2)
	must(t, err)
	_, err = p.WriteAt(payload, 0)
	must(t, err)
	c, err := f.Control()
	must(t, err)
	sum, err := p.Sum(len(payload))
	must(t, err)
	c.Rollback = flash.Slot{Offset: uint32(p.Offset()), Mark: mark, Size: uint32(len(payload)), Sum: sum}
	_, err = f.SetControl(c)
	must(t, err)
}

func TestFlashInspectSaysWhatRunsAndWhatIsWrong(t *testing.T) {
	v, err := image.ParseVersion("19.8.1")
	must(t, err)
	file, err := image.Build(image.Spec{Version: v, Size: 10_000})
	must(t, err)
	ours, foreign := file[image.FileHeadLen:], bytes.Repeat([]byte("vendor"), 100)
	for name, tc := range map[string]struct {
		change func(t *testing.T, f *flash.Flash)
		want   []string // as regular expressions of lines
	}{
		"fresh": {func(*testing.T, *flash.Flash) {}, []string{
			`boot +the working image`, `control section +sequence 1, firmware image 1 has shown that it works`,
			`firmware image 1 +19.7.7, 64 bytes, runs`, `firmware image 2 +empty`, `network +none`,
		}},
		"updated": {func(t *testing.T, f *flash.Flash) { storeSecond(t, f, ours, flash.Valid) }, []string{
			`0x045000 +241664 +9960 +firmware image 2`, `firmware image 1 +19.7.7, 64 bytes, runs`, `firmware image 2 +19.8.1, 9960 bytes, stands by`,
		}},
		"not marked": {func(t *testing.T, f *flash.Flash) { storeSecond(t, f, ours, flash.Invalid) }, []string{
			`firmware image 2 +19.8.1, 9960 bytes, may not be switched to: it is not marked valid`,
		}},
		"foreign": {func(t *testing.T, f *flash.Flash) { storeSecond(t, f, foreign, flash.Valid) }, []string{
			`firmware image 2 +firmware of somebody else, 600 bytes, stands by`,
		}},
		"damaged foreign": {func(t *testing.T, f *flash.Flash) {
			storeSecond(t, f, foreign, flash.Valid)
			f.WriteAt([]byte{0}, 0x45000+77)
		}, []string{`firmware image 2 +no good: CRC 0x[0-9a-f]+ of 600 bytes, the control section has 0x[0-9a-f]+`}},
		"working image damaged": {func(t *testing.T, f *flash.Flash) {
			storeSecond(t, f, ours, flash.Valid)
			f.WriteAt([]byte{0}, 0xa000+20)
		}, []string{`boot +the image that was switched from, since the working one is no good: .*`, `firmware image 1 +no good: .*`, `firmware image 2 +19.8.1, 9960 bytes, runs`}},
		"no image": {func(t *testing.T, f *flash.Flash) { f.WriteAt([]byte{0}, 0xa000+20) }, []string{
			`boot +flash: no valid firmware image: .*`, `firmware image 1 +no good: .*`,
		}},
		"one copy": {func(t *testing.T, f *flash.Flash) { f.Erase(0x1000) }, []string{`control section +sequence 1, .*`, `  main copy +no good: .*`, `  backup copy +sequence 1, .*; in force`}},
		"no copy": {func(t *testing.T, f *flash.Flash) {
			f.Erase(0x1000)
			f.Erase(0x2000)
		}, []string{`boot +flash: no valid control section .*`, `firmware image 1 +19.7.7, 64 bytes, may not be switched to: .*`}},
		"stores of somebody else": {func(t *testing.T, f *flash.Flash) {
			f.WriteAt([]byte("vendor"), 0x4000)
			f.WriteAt([]byte("vendor"), 0x5000)
		}, []string{`root certificate +unreadable: .*no mark USTDROOT`, `TLS server +unreadable: .*no mark USTDSRV1`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := factory(t)
			tc.change(t, f)
			got := inspected(t, f, false)
			for _, w := range tc.want {
				if !regexp.MustCompile(`(?m)^` + w + `$`).MatchString(got) {
					t.Errorf("no line %q in\n%s", w, got)
				}
			}
		})
	}
}

func TestFlashInspectShowsPassphrasesWhenAsked(t *testing.T) {
	f := factory(t)
	must(t, f.SetNetworks([]flash.Network{
		{SSID: "home\x1b[31m", Channel: 6, Security: 2, Passphrase: "correct horse"},
		{SSID: "cafe", Security: 1, BSSID: [6]byte{2, 0, 0, 0, 0, 1}},
	}))
	plain, secret := inspected(t, f, false), inspected(t, f, true)
	if strings.Contains(plain, "correct horse") || !strings.Contains(secret, `"home\x1b[31m", WPA-PSK, channel 6, passphrase "correct horse"`) {
		t.Errorf("without:\n%s\nwith:\n%s", plain, secret)
	}
	if !strings.Contains(plain, `"cafe", open, 02:00:00:00:00:01`) {
		t.Error(plain)
	}
}

func TestFlashInspectOfAChipWithoutAMap(t *testing.T) {
	f, err := flash.New(flash.Size2M)
	must(t, err)
	if got := inspected(t, f, false); !strings.Contains(got, "no such region") {
		t.Error(got)
	}
}

// A list that does not fit, and a region of somebody else, leave what is there.
func TestFlashRootsThatCannotBeStoredChangeNothing(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	f, p := factory(t), printer{w: io.Discard}
	region := func() string {
		r, err := f.Region(flash.RootCertificates)
		must(t, err)
		b := make([]byte, r.Size())
		_, err = r.ReadAt(b, 0)
		must(t, err)
		return string(b)
	}
	for n := 0; err == nil; n++ {
		before := region()
		c, e := newCertificate(key, fmt.Sprint("root ", n))
		must(t, e)
		if err = setRoots(p, f, []*x509.Certificate{c.Leaf}, false); err != nil && region() != before {
			t.Errorf("certificate %d changed what was there", n)
		}
		if n > devicetls.MaxRoots {
			t.Fatal("the region takes more than it can hold")
		}
	}
	if roots, e := devicetls.Roots(f); !errors.Is(err, devicetls.ErrFull) || e != nil || len(roots) < 3 {
		t.Errorf("%v; %d roots, %v", err, len(roots), e)
	}

	f = factory(t)
	f.WriteAt([]byte("vendor"), 0x4000)
	c, err := newCertificate(key, "root")
	must(t, err)
	before := region()
	if err := setRoots(p, f, []*x509.Certificate{c.Leaf}, false); !errors.Is(err, devicetls.ErrStore) || region() != before {
		t.Errorf("a region of somebody else: %v", err)
	}
	must(t, setRoots(p, f, []*x509.Certificate{c.Leaf}, true))
	if roots, err := devicetls.Roots(f); err != nil || len(roots) != 1 {
		t.Errorf("after --clear: %d roots, %v", len(roots), err)
	}
}

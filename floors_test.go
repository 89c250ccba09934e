package understudy_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/understudy-net/understudy"

// floors is the house (docs/architecture.md): a package imports only from
// floors below its own. A package that is not named here fails the test.
var floors = []string{
	0: "bus/reg bus/hif wire air/pcap sock device/image",
	1: "bus/spi stack/tcp device/flash sock/co world air air/wps",
	2: "bus stack/dhcp stack/dns stack/sntp air/wifi device/tls uplink/frames",
	3: "driver bus/remote stack device/ota device/provision",
	4: "driver/hostnet device internal/overbus",
	5: "understudytest uplink/user",
	6: "inspect fleet board shim/test uplink/tap uplink/packet internal/peers",
	7: "fleet/nats",
	8: "cmd/understudy",
}

// edgeFloor is the lowest floor that may use libraries other than the
// standard one and golang.org/x.
const edgeFloor = 6

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// list runs go list -json and returns what it prints.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestPackagesImportOnlyFromFloorsBelow(t *testing.T) {
	floor := map[string]int{}
	for f, names := range floors {
		for _, name := range strings.Fields(names) {
			floor[name] = f
		}
	}
	for _, p := range list(t, "./...") {
		if p.ImportPath == module {
			if len(p.Imports) > 0 {
				t.Errorf("the root package holds documentation only, but imports %v", p.Imports)
			}
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		own, ok := floor[name]
		if !ok {
			t.Errorf("%s has no floor: add it to the table in floors_test.go and docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			switch other, ours := strings.CutPrefix(imp, module+"/"); {
			case ours && floor[other] >= own:
				t.Errorf("%s (floor %d) imports %s (floor %d)", name, own, other, floor[other])
			case !ours && own < edgeFloor && foreign(imp):
				t.Errorf("%s (floor %d) imports %s: below floor %d only the standard library and golang.org/x", name, own, imp, edgeFloor)
			}
		}
	}
}

// foreign says whether an import path is neither of the standard library nor
// of golang.org/x.
func foreign(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return strings.Contains(host, ".") && !strings.HasPrefix(path, "golang.org/x/")
}

// The driver runs unchanged against a real module and on microcontrollers,
// so it sees the bus alone and keeps clear of the heavy parts of the standard
// library.
func TestDriverSeesTheBusAlone(t *testing.T) {
	banned := map[string]bool{"net": true, "context": true, "log/slog": true, "reflect": true}
	for _, p := range list(t, "./driver") {
		for _, imp := range p.Imports {
			if banned[imp] {
				t.Errorf("driver imports %s", imp)
			}
			if strings.HasPrefix(imp, module) && imp != module+"/bus" && !strings.HasPrefix(imp, module+"/bus/") {
				t.Errorf("driver imports %s", imp)
			}
		}
	}
}

// The device must not know the driver, nor the driver the device: they meet
// in bus.Port.
func TestDeviceAndDriverMeetInTheBus(t *testing.T) {
	for _, p := range list(t, "-deps", "./device") {
		if strings.HasPrefix(p.ImportPath, module+"/driver") {
			t.Errorf("device depends on %s", p.ImportPath)
		}
	}
}

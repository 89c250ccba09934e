package shim_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The peripheral for Renode, compiled against the few declarations of Renode that it needs, boots a device byte by byte
// and has its interrupts. (Renode itself is not here.)
func TestRenodePeripheral(t *testing.T) {
	mcs, err := exec.LookPath("mcs")
	if err != nil {
		t.Skip("no C# compiler: install packages mono-mcs and mono-runtime")
	}
	mono, err := exec.LookPath("mono")
	if err != nil {
		t.Skip("no runtime for C#: install package mono-runtime")
	}
	program := filepath.Join(t.TempDir(), "renode.exe")
	if out, err := exec.Command(mcs, "-warnaserror", "-out:"+program, "../renode/Understudy.cs", "testdata/renode.cs").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(serve(t, "tcp", newDevice(t)), "tcp:"))
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, "", mono, program, host, port)
	want := `chip 1003a0
message 1 6, line low True, then high True, 1 falls
message 1 6, line low True, then high True, 2 falls
message 1 6, line low True, then high True, 3 falls
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	// A second one is refused, with the reason.
	addr := serve(t, "tcp", echo{})
	host, port, _ = net.SplitHostPort(strings.TrimPrefix(addr, "tcp:"))
	c, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(append(frame(1, 1, 'U', 'S', 'T', 'B', 1, 0, 0, 0), frame(5, 1)...))
	if _, err := c.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(mono, program, host, port).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another host") {
		t.Errorf("%v\n%s", err, out)
	}
}

package shim_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The C code of the documentation compiles.
func TestDocumentedCodeCompiles(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		missing(t, "no gcc: install package gcc")
	}
	text, err := os.ReadFile("../../docs/firmware.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```c\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("docs/firmware.md has no C code")
	}
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		cmd := exec.Command(gcc, append(append([]string{}, strict...), "-I..", "-fsyntax-only", "-x", "c", "-")...)
		cmd.Stdin = strings.NewReader(code)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, code)
		}
	}
}

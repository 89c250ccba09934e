package shim_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The warnings that the shim is free of.
var strict = []string{"-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror", "-O1", "-g"}

// variant is a way to compile.
type variant struct {
	name  string
	flags []string
}

var (
	plain     = variant{name: "64-bit"}
	narrow    = variant{"32-bit", []string{"-m32"}}
	sanitized = variant{"sanitized", []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}}
	racy      = variant{"race detector", []string{"-fsanitize=thread"}}
	single    = variant{"without threads", []string{"-DUSTD_NO_THREADS"}}
)

var allVariants = []variant{plain, narrow, sanitized, racy, single}

var binaries struct {
	sync.Mutex
	dir   string
	built map[string]error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binaries.dir != "" {
		os.RemoveAll(binaries.dir)
	}
	os.Exit(code)
}

// missing skips a test for want of a tool, or fails it where all tools are
// required.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("UNDERSTUDY_PEERS") == "require" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// build compiles a program of the shim and returns its path. Each is built once.
func build(t *testing.T, source string, v variant) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the shim is for POSIX sockets")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		missing(t, "no gcc: install package gcc")
	}
	if v.flags != nil {
		able(t, gcc, v)
	}
	binaries.Lock()
	defer binaries.Unlock()
	if binaries.dir == "" {
		if binaries.dir, err = os.MkdirTemp("", "shim"); err != nil {
			t.Fatal(err)
		}
		binaries.built = map[string]error{}
	}
	object, err := compile(gcc, v, "../shim.c", ".o", "-c")
	if err != nil {
		t.Fatal(err)
	}
	program, err := compile(gcc, v, source, "", object, "-lpthread")
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// compile runs gcc, once for each source and variant. Lock of binaries held.
func compile(gcc string, v variant, source, ext string, more ...string) (path string, err error) {
	name := strings.TrimSuffix(filepath.Base(source), ".c") + "-" + strings.ReplaceAll(v.name, " ", "-") + ext
	path = filepath.Join(binaries.dir, name)
	if err, ok := binaries.built[path]; ok {
		return path, err
	}
	args := append(append([]string{}, strict...), v.flags...)
	args = append(append(args, "-I..", "-o", path, source), more...)
	out, err := exec.Command(gcc, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("gcc %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	binaries.built[path] = err
	return path, err
}

var probed sync.Map // what able found out: variant name to error

// able skips a test when the compiler cannot make and run the least program with
// the flags of the variant.
func able(t *testing.T, gcc string, v variant) {
	t.Helper()
	known, _ := probed.LoadOrStore(v.name, sync.OnceValue(func() error {
		dir, err := os.MkdirTemp("", "shim")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		src, bin := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
		if err := os.WriteFile(src, []byte("#include <stdint.h>\n#include <stdio.h>\nint main(void) { puts(\"yes\"); return 0; }\n"), 0o600); err != nil {
			return err
		}
		if out, err := exec.Command(gcc, append(append([]string{}, v.flags...), "-o", bin, src)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		if out, err := exec.Command(bin).CombinedOutput(); err != nil || string(out) != "yes\n" {
			return errors.Join(fmt.Errorf("the least program says %q", out), err)
		}
		return nil
	}))
	err := known.(func() error)()
	switch {
	case err == nil:
	case v.name == narrow.name && runtime.GOARCH == "amd64":
		missing(t, "gcc cannot make 32-bit programs: install package gcc-multilib: %v", err)
	default:
		t.Skipf("gcc cannot make programs %s here: %v", v.name, err)
	}
}

package frames

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// InNamespace runs f in a network namespace of Linux: "" is the one that the
// process is in, a name is one of "ip netns", anything with a slash is a file
// such as /proc/PID/ns/net. What f opens stays in that namespace. It needs
// root; the error wraps what the system said.
func InNamespace(name string, f func() error) error {
	if name == "" {
		return f()
	}
	path := name
	if !strings.Contains(name, "/") {
		path = filepath.Join("/run/netns", name)
	}
	ns, err := os.Open(path)
	if err != nil {
		return &Error{Op: "enter network namespace", Device: name, Err: err, Hint: namespaceHint(err, name)}
	}
	defer ns.Close()
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with its namespace, and no other goroutine runs in there.
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- &Error{Op: "enter network namespace", Device: name, Err: os.NewSyscallError("setns", err), Hint: namespaceHint(err, name)}
			return
		}
		done <- f()
	}()
	return <-done
}

func namespaceHint(err error, name string) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "make it with: ip netns add " + name
	case Denied(err):
		return "run as root"
	}
	return ""
}

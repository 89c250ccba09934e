//go:build linux

package peers

import (
	"bytes"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs in a namespace.
type Process struct {
	name string
	cmd  *exec.Cmd
	out  output
	done chan struct{}
	err  error // how it ended; after done
}

// output collects what a program prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// Start runs a program in the namespace. It is killed at the end of the test at the latest; also when the test process
// dies, because its parent is the namespace's thread.
func (n *Namespace) Start(program string, args ...string) *Process {
	n.t.Helper()
	path, err := find(program)
	if err != nil {
		n.t.Fatal(err)
	}
	p := &Process{name: program, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.WaitDelay = time.Second // for children that keep the output open
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.try(p.cmd.Start); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	n.t.Cleanup(p.Stop)
	return p
}

// Stop ends the program, gently at first, and waits for it.
func (p *Process) Stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(2 * time.Second):
	}
	p.cmd.Process.Kill()
	<-p.done
}

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Output returns what the program has printed so far, to standard output and standard error.
func (p *Process) Output() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.b.String()
}

// Wait waits for the end of the program. It fails the test if that takes too
// long, or the program says that it failed.
func (p *Process) Wait(n *Namespace) string {
	n.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		n.t.Fatalf("%s has not ended after %v:\n%s", p.cmd, patience, p.Output())
	}
	if p.err != nil {
		n.t.Fatalf("%s: %v\n%s", p.cmd, p.err, p.Output())
	}
	return p.Output()
}

// Run runs a program to its end and returns what it printed.
func (n *Namespace) Run(program string, args ...string) string {
	n.t.Helper()
	return n.Start(program, args...).Wait(n)
}

// Signal sends the program a signal.
func (p *Process) Signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

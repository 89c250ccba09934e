package world

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// ErrStalled says that all actors of a virtual world wait for something that
// will not happen. Do returns it as a *StallError.
var ErrStalled = errors.New("world: stalled")

// StallError tells why a call of Do could not end: all actors wait, none of
// them with a time limit, and either no machine is due any more, or what is due
// woke no actor for two days.
type StallError struct {
	Now     time.Time // on the world's clock
	Since   time.Time // when an actor ran last
	Waiting int       // number of actors
	Where   []string  // what they were in, one line each, as far as the runtime tells
}

// Error implements error; it has a line for each place where an actor waits.
func (e *StallError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v at %v: all %d actors wait and nothing is due that could wake one", ErrStalled, e.Now.Format(time.RFC3339Nano), e.Waiting)
	for _, s := range e.Where {
		b.WriteString("\n\twaiting: ")
		b.WriteString(s)
	}
	return b.String()
}

// Unwrap returns ErrStalled.
func (e *StallError) Unwrap() error { return ErrStalled }

// stall ends all calls of Do, which nothing else will.
func (w *World) stall() {
	e := &StallError{Now: w.now, Since: w.actors.woke, Waiting: w.parked.n, Where: w.whereParked()}
	for _, v := range w.actors.visits {
		v.stalled = e
	}
	w.actors.visits = nil
}

// whereParked finds the goroutines that wait in this world, and what code
// outside of the owners and adapters of sockets they wait in.
func (w *World) whereParked() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	mark := fmt.Sprintf("/world.(*World).park(%p", w)
	var where []string
	for trace := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(trace, mark) {
			where = append(where, waitsIn(trace))
		}
	}
	slices.Sort(where)
	const most = 16
	if len(where) > most {
		where = append(where[:most], fmt.Sprintf("and %d more", len(where)-most))
	}
	return where
}

// waitsIn returns, of a goroutine's trace, the calls that led into this package
// and package sock, innermost first: "pkg.Func (file:line) < …".
func waitsIn(trace string) string {
	const most = 4
	lines := strings.Split(trace, "\n")
	var calls []string
	inside := true
	for i := 1; i+1 < len(lines) && len(calls) < most; i += 2 {
		f := lines[i]
		if inside && (!strings.Contains(f, "understudy/") || strings.Contains(f, "understudy/world.") || strings.Contains(f, "understudy/sock.")) {
			continue
		}
		inside = false
		if strings.Contains(f, "understudy/world.") { // spawn and below
			break
		}
		f = f[strings.LastIndexByte(f, '/')+1:]
		if j := strings.LastIndexByte(f, '('); j > 0 {
			f = f[:j]
		}
		at := strings.TrimSpace(lines[i+1])
		at, _, _ = strings.Cut(at[strings.LastIndexByte(at, '/')+1:], " ")
		calls = append(calls, fmt.Sprintf("%s (%s)", f, at))
	}
	if len(calls) == 0 {
		return "in package world"
	}
	return strings.Join(calls, " < ")
}

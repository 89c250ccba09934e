package understudytest_test

// The forms in which each numbered behaviour is shown; see inForms.

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-net/understudy/bus"
	"github.com/understudy-net/understudy/internal/overbus"
	"github.com/understudy-net/understudy/understudytest"
	"github.com/understudy-net/understudy/world"
)

// quick is how much virtual time a test may take, without what comes before its
// body, to be shown on the wall clock too.
const quick = 2 * time.Second

// inForms runs body on a bench of its own for each form, as subtests:
//
//   - memory: a virtual world, in which the driver has the device's bus itself.
//   - pipe: a bubble, where time is virtual too, with a bus socket between the
//     two that is a pipe in memory.
//   - unix: the wall clock, with a bus socket at a Unix socket. That is for tests
//     with a number that were quick in the first form. All of them wait, at the
//     same time, until the tests that have the machine for themselves are over.
//
// config makes the configuration of one bench: what a bench changes (a flash,
// variables of a hook) must not be that of another.
func inForms(t *testing.T, config func(t *testing.T) understudytest.Config, body func(r *rig)) {
	t.Helper()
	took := time.Duration(-1)
	passed := t.Run("memory", func(t *testing.T) {
		b := understudytest.VirtualConfig(t, config(t))
		took = play(t, b, body)
	})
	passed = t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(world.Epoch)) // certificates and time servers know no year 2000
			play(t, understudytest.NewConfig(t, across(config(t), overbus.Pipe(t))), body)
		})
	}) && passed
	if !passed || !numbered.MatchString(t.Name()) || took >= quick || testing.Short() {
		return
	}
	parallel(t)
	t.Run("unix", func(t *testing.T) {
		if took < 0 {
			t.Skip("it is not known how long this takes: run the form memory too")
		}
		b := understudytest.NewConfig(t, across(config(t), overbus.Unix(t)))
		b.SetTime(world.Epoch) // for the certificates of the tests
		play(t, b, body)
	})
}

var numbered = regexp.MustCompile(`^Test[A-Z]{3}[0-9]{2}_`)

// across has the bus go across something, beside what c does to it.
func across(c understudytest.Config, over func(bus.Port) bus.Port) understudytest.Config {
	wrap := c.Bus
	c.Bus = over
	if wrap != nil {
		c.Bus = func(p bus.Port) bus.Port { return wrap(over(p)) }
	}
	return c
}

// parallel has t wait until the tests that run alone are over. A test with several
// benches comes here several times.
func parallel(t *testing.T) {
	if _, already := inParallel.LoadOrStore(t, true); !already {
		t.Parallel()
	}
}

var inParallel sync.Map // of *testing.T

// sleepers is how many tests run at the same time, if nothing else is said: those
// that do, on the wall clock, sleep nearly all the time.
const sleepers = "32"

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		if err := flag.Set("test.parallel", sleepers); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

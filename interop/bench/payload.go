package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// All contestants move the same bytes in the same portions.
const (
	unit      = 1460     // bytes of TCP data that count as one
	writeSize = 16 << 10 // bytes handed over at once
	readSize  = 64 << 10 // room offered for reading
	period    = 65521    // of the stream's pattern: a prime, so that it fits to no buffer
	mtu       = 1500
)

// pattern is what each stream carries, over and over. Its end is repeated at
// the beginning so that any writeSize bytes of it are one slice.
var pattern = func() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, period+readSize)
	for i := range period {
		p[i] = byte(r.Uint32())
	}
	for i := period; i < len(p); i++ {
		p[i] = p[i-period]
	}
	return p
}()

// source hands out the stream.
type source struct{ at int }

// next returns up to n bytes of the stream; took says how many of them were used.
func (s *source) next(n int) []byte { return pattern[s.at : s.at+n] }
func (s *source) took(n int)        { s.at = (s.at + n) % period }

// sink checks the stream. The whole of it would cost more than some of the
// stacks do: beyond the first bytes it looks at both ends of each portion,
// which finds every byte that is lost, doubled or out of order.
type sink struct {
	at    int // in the pattern
	total int
}

const checkedWhole = 4 << 20

func (s *sink) got(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	want := pattern[s.at : s.at+len(p)]
	if s.total < checkedWhole {
		if !bytes.Equal(p, want) {
			return fmt.Errorf("wrong data after %d bytes", s.total)
		}
	} else if k := min(16, len(p)); !bytes.Equal(p[:k], want[:k]) || !bytes.Equal(p[len(p)-k:], want[len(p)-k:]) {
		return fmt.Errorf("wrong data after %d bytes", s.total)
	}
	s.at = (s.at + len(p)) % period
	s.total += len(p)
	return nil
}

package main

import (
	"errors"

	"github.com/understudy-net/understudy/wire"
)

// floor is what no stack can be without: a segment is copied in and summed,
// summed and copied out. The sum is ours, the fastest in plain Go that we know.
func floor() (*work, error) {
	var in, segment, out [unit]byte
	copy(in[:], pattern)
	want := wire.Fold(wire.Sum(0, in[:]))
	return &work{run: func(n int) error {
		var bad uint16
		for range n {
			copy(segment[:], in[:])
			bad |= wire.Fold(wire.Sum(0, segment[:])) ^ want
			bad |= wire.Fold(wire.Sum(0, segment[:])) ^ want
			copy(out[:], segment[:])
		}
		if bad != 0 || out != in {
			return errors.New("wrong sum")
		}
		return nil
	}}, nil
}

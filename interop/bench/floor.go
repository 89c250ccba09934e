package main

import (
	"errors"

	"github.com/understudy-net/understudy/wire"
)

// floor is what no stack can be without, on the same memory as the stacks use:
// the stream is cut into segments, each is copied in and summed, and then summed
// and copied out. The sum is ours, the fastest in plain Go that we know.
func floor() (*work, error) {
	const segments = (writeSize + unit - 1) / unit
	var link [segments][unit]byte
	var sums [segments]uint16
	buf := make([]byte, readSize)
	var src source
	var dst sink
	total := 0
	return &work{run: func(n int) error {
		for end := total + n*unit; total < end; {
			portion := src.next(writeSize)
			for i := 0; i*unit < writeSize; i++ {
				k := copy(link[i][:], portion[i*unit:])
				sums[i] = wire.Fold(wire.Sum(0, link[i][:k]))
			}
			for i := 0; i*unit < writeSize; i++ {
				k := min(unit, writeSize-i*unit)
				if wire.Fold(wire.Sum(0, link[i][:k])) != sums[i] {
					return errors.New("wrong sum")
				}
				copy(buf[i*unit:], link[i][:k])
			}
			if err := dst.got(buf[:writeSize]); err != nil {
				return err
			}
			src.took(writeSize)
			total += writeSize
		}
		return nil
	}}, nil
}

// fiveCopies is the floor of a stack with sockets: into the send buffer, from
// there into a segment, over the link, into the receive buffer, and out of it.
func fiveCopies() (*work, error) {
	const segments = (writeSize + unit - 1) / unit
	var frame [unit]byte
	var link [segments][unit]byte
	var sums [segments]uint16
	send, recv := make([]byte, writeSize), make([]byte, writeSize)
	buf := make([]byte, readSize)
	var src source
	var dst sink
	total := 0
	return &work{run: func(n int) error {
		for end := total + n*unit; total < end; {
			copy(send, src.next(writeSize))
			for i := 0; i*unit < writeSize; i++ {
				k := copy(frame[:], send[i*unit:])
				sums[i] = wire.Fold(wire.Sum(0, frame[:k]))
				copy(link[i][:], frame[:k])
			}
			for i := 0; i*unit < writeSize; i++ {
				k := min(unit, writeSize-i*unit)
				if wire.Fold(wire.Sum(0, link[i][:k])) != sums[i] {
					return errors.New("wrong sum")
				}
				copy(recv[i*unit:], link[i][:k])
			}
			copy(buf, recv)
			if err := dst.got(buf[:writeSize]); err != nil {
				return err
			}
			src.took(writeSize)
			total += writeSize
		}
		return nil
	}}, nil
}

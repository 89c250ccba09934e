package main

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// What is done over net.Conn is the same for all: one goroutine writes, one reads.

type blockingStream struct {
	a, b net.Conn
	src  source
	dst  sink
	buf  []byte
}

func newBlockingStream(a, b net.Conn) *blockingStream {
	return &blockingStream{a: a, b: b, buf: make([]byte, readSize)}
}

// runBlocking moves n units in all, the streams side by side.
func runBlocking(ss []*blockingStream, n int) error {
	each := (n*unit + len(ss) - 1) / len(ss)
	errs := make(chan error, 2*len(ss))
	for _, s := range ss {
		go func() { errs <- s.write(each) }()
		go func() { errs <- s.read(each) }()
	}
	for range 2 * len(ss) {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func (s *blockingStream) write(n int) error {
	for n > 0 {
		k, err := s.a.Write(s.src.next(min(n, writeSize)))
		s.src.took(k)
		n -= k
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *blockingStream) read(n int) error {
	for n > 0 {
		k, err := s.b.Read(s.buf[:min(n, readSize)])
		if err := s.dst.got(s.buf[:k]); err != nil {
			return err
		}
		n -= k
		if err != nil {
			return err
		}
	}
	return nil
}

// blockingPingPong sends a byte from a to b and back, n times, a goroutine at each end.
func blockingPingPong(a, b net.Conn, n int) error {
	errs := make(chan error, 1)
	go func() {
		var p [1]byte
		for range n {
			if _, err := b.Read(p[:]); err != nil {
				errs <- fmt.Errorf("echo: read: %w", err)
				return
			}
			if _, err := b.Write(p[:]); err != nil {
				errs <- fmt.Errorf("echo: write: %w", err)
				return
			}
		}
		errs <- nil
	}()
	var p [1]byte
	for i := range n {
		p[0] = byte(i)
		if _, err := a.Write(p[:]); err != nil {
			return err
		}
		if k, err := a.Read(p[:]); k != 1 || err != nil {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		if p[0] != byte(i) {
			return fmt.Errorf("got %d for %d", p[0], byte(i))
		}
	}
	return <-errs
}

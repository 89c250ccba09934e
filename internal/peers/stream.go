package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// pattern is an endless stream of bytes in which no two places look alike.
func pattern(seed uint64) io.Reader {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	return rand.NewChaCha8(key)
}

// Send writes n bytes of the stream with a seed, and then closes the writing side.
func Send(c net.Conn, seed uint64, n int64) error {
	w, err := io.CopyBuffer(struct{ io.Writer }{c}, io.LimitReader(pattern(seed), n), make([]byte, 64<<10))
	if err != nil {
		return fmt.Errorf("send, after %d of %d bytes: %w", w, n, err)
	}
	return c.(interface{ CloseWrite() error }).CloseWrite()
}

// Receive reads to the end, and reports an error unless n bytes of the stream with a seed arrived, and nothing
// else.
func Receive(c net.Conn, seed uint64, n int64) error {
	want, got := make([]byte, 64<<10), make([]byte, 64<<10)
	from, at := pattern(seed), int64(0)
	for {
		m, err := c.Read(got)
		io.ReadFull(from, want[:m]) // never fails
		if !bytes.Equal(got[:m], want[:m]) {
			return fmt.Errorf("receive: other bytes than were sent, between %d and %d", at, at+int64(m))
		}
		at += int64(m)
		switch {
		case err == io.EOF && at == n:
			return nil
		case err != nil:
			return fmt.Errorf("receive, after %d of %d bytes: %w", at, n, err)
		case at > n:
			return fmt.Errorf("receive: %d bytes, of %d that were sent", at, n)
		}
	}
}

// Exchange sends n bytes from a to b, then n bytes from b to a, each with its half-close; or both at once. It returns
// how long that took.
func Exchange(a, b net.Conn, n int64, atOnce bool, limit time.Duration) (there, back time.Duration, err error) {
	deadline := time.Now().Add(limit)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	begin := time.Now()
	first := make(chan error, 2)
	go func() { first <- Send(a, 1, n) }()
	go func() { first <- Receive(b, 1, n) }()
	if !atOnce {
		err = errors.Join(<-first, <-first)
		there, begin = time.Since(begin), time.Now()
	}
	second := make(chan error, 2)
	go func() { second <- Send(b, 2, n) }()
	go func() { second <- Receive(a, 2, n) }()
	if atOnce {
		err = errors.Join(<-first, <-first)
		there = time.Since(begin)
	}
	err = errors.Join(err, <-second, <-second)
	return there, time.Since(begin), err
}

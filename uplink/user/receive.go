package user

import "io"

// receiveHolding reads with a buffer in hand.
func receiveHolding(c io.Reader) (*buffer, int, error) {
	b := getBuffer()
	n, err := c.Read(b[:])
	if n > 0 || err == nil {
		return b, n, nil // an error that came along comes again
	}
	putBuffer(b)
	return nil, 0, err
}

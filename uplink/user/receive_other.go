//go:build !unix

package user

import "io"

// A receiver reads from a socket of the host. Here it holds a buffer while it waits.
type receiver struct{ c io.Reader }

func newReceiver(c io.Reader, datagrams bool) *receiver { return &receiver{c} }

// receive waits for bytes and returns them in a buffer, which the caller gives back. The buffer is nil only with an
// error; io.EOF says that the far end has finished.
func (r *receiver) receive() (*buffer, int, error) { return receiveHolding(r.c) }

// Package sock makes net.Conn, net.Listener and net.PacketConn out of any
// non-blocking socket.
//
// A non-blocking socket ([Stream], [Datagram], [Acceptor]) does what it can at
// once and otherwise says [ErrWouldBlock]. An [Owner] holds the lock under
// which sockets are called, and parks goroutines until somebody wakes them: a
// world, or the net of a host driver. The adapters here join the two:
//
//	c := sock.NewConn(owner, stream) // a net.Conn
//
// Whoever learns that a stream became readable or writable calls c.Ready with
// the owner's lock held; that wakes the calls that wait.
//
// Deadlines are instants on the owner's clock and are not converted. In a
// virtual world that clock is not time.Now's.
//
// Adapters are safe for concurrent use. Errors are *net.OpError around
// net.ErrClosed, os.ErrDeadlineExceeded or what the socket said; io.EOF is
// bare. Nothing here allocates in Read, Write or Accept's waiting.
package sock

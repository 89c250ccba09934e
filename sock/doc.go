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
// virtual world that clock is not time.Now's: use world.Now().Add(d).
//
// Adapters are safe for concurrent use, but not from under the owner's lock,
// which they take. When the owner has ended, all calls return net.ErrClosed.
// Errors are *net.OpError around net.ErrClosed, os.ErrDeadlineExceeded or what
// the socket said; io.EOF is bare. No Read or Write that succeeds allocates,
// waiting included.
package sock

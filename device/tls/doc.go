// Package tls is a TLS connection as a machine: what the controller does for a host that asks for a TLS socket.
//
// A [Session] lies on a non-blocking [sock.Stream] and is one itself:
//
//	s := tls.Client(stream, now, tls.Config{Roots: roots, ServerName: "example.com", Suites: tls.DefaultSuites})
//	…
//	s.Ready(now)               // the stream became readable or writable
//	up, err := s.State()       // the handshake: going on, over, or failed with an *Error
//	n, err := s.Read(now, p)   // like the stream's: sock.ErrWouldBlock, io.EOF behind the peer's close_notify
//	n, err = s.Write(now, p)   // takes nothing until the stream has taken what was written before
//	s.Close(now)               // close_notify, then the end of the stream
//
// The protocol is that of crypto/tls, which must block: its handshake and its reading run in a coroutine of package
// sock/co, its Write is called straight from the machine. No peer can freeze the owner: not with a window that it closes,
// not with a bad record, not with key updates (doors, "stack and sock").
//
// Besides, each in a file of its own:
//
//   - [Suites]: the cipher suites of the host interface, and which of them crypto/tls has;
//   - [Roots] and [SetRoots]: the root certificates in the flash;
//   - [Identity] and [SetIdentity]: the key and the certificates of our own, likewise, which a server shows, and a client when
//     it is asked;
//   - [Error]: why there is no connection, in the protocol's numbers and in words.
//
// # Certificates
//
// A server's chain is checked against Config.Roots and nothing else, never against the roots of the machine that runs
// this. The name counts only with Config.CheckName; dates as Config.Expiry says. Signatures with SHA-1 are refused, as
// crypto/x509 does.
//
// # Limits
//
// One owner: a Session has no lock. A session that stands costs the memory of crypto/tls and of a parked goroutine; Stop
// or Close gives the goroutine back. The order of steps is the same from run to run, the bytes are not: crypto/tls draws
// its own randomness. There are no DHE suites, no RSA-AES256-CBC-SHA256, no SSL 3.0 and no renegotiation, because
// crypto/tls has none.
package tls

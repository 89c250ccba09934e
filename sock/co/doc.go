// Package co runs code that must block, such as http.ReadResponse or a TLS
// handshake, as a coroutine of a machine.
//
// [Go] starts a function on a [Conn], whose Read and Write work on a
// non-blocking [sock.Stream] and hand control back to the machine until there
// is something. The machine resumes the function when its socket is ready:
//
//	c := co.Go(stream, now, func(c *co.Conn) error {
//		return request.Write(c)
//	})
//	…
//	c.Resume(now) // the stream became readable or writable
//	if c.Done() { … c.Err() }
//
// Coroutine and machine take turns on one goroutine at a time, in fixed order:
// there is no concurrency, and code in the function never takes the owner's
// lock, which the machine holds already. A parked coroutine costs a parked
// goroutine's memory, so whoever gives its socket up calls Stop.
//
// # TLS
//
// Under crypto/tls, whose reader may have to write while its writer is stalled,
// use [Buffered], whose Write never hands control back:
//
//	c := co.GoBuffered(stream, now, func(c *co.Buffered) error {
//		t = tls.Client(c, config)
//		if err := t.Handshake(); err != nil {
//			return err
//		}
//		up = true
//		… t.Read(p) …  // the coroutine reads
//	})
//	…
//	if up && c.Pending() == 0 {
//		t.Write(p[:min(len(p), 16<<10)]) // the machine writes
//		err = c.Flush(now)
//	}
//
// The machine must not call t.Write before the handshake has ended: it would
// wait for the handshake's lock, which the parked coroutine holds. The order of
// steps is the same from run to run; the bytes of TLS are not, since the
// standard library draws its own randomness.
package co

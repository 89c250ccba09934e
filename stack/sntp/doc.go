// Package sntp asks time servers what time it is (SNTP version 4, RFC 4330), and answers those who ask. A
// client trusts little: a reply counts only if it comes from the server asked, to the port asked from,
// carries the nonce of the request, and makes sense.
//
// [Client] is a machine. It has no clock of its own: it learns by how much the true time
// differs from the now that its owner passes in, and tells:
//
//	c, err := sntp.NewClient(sntp.ClientConfig{Rand: rnd, Servers: []string{"*.pool.example"}})
//	c.Start(now)
//	// an EventLookup from c.NextEvent wants a name resolved:  c.Resolved(now, name, addrs)
//	// a datagram came for a port that c.Uses:                 c.Input(now, from, port, payload)
//	// c.Deadline() has come:                                  c.Advance(now)
//	// after each of these: send all that c.Output gives, handle all that c.NextEvent gives
//	t, known := c.Time(now)
//
// # Limits
//
// One server at a time, one sample a day: good for certificates and calendars, not for
// measuring. No authentication, no broadcast mode, no leap seconds.
package sntp

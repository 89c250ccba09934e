// Package understudytest is a whole bench in one call, as net/http/httptest is
// for net/http: a controller, its driver, an access point with DHCP and DNS
// behind it, and as many other hosts as a test wants.
//
//	b := understudytest.New(t)
//	www := b.AddHost("www.test")
//	www.HandleHTTP(80, handler)
//	b.Join()
//	conn, err := b.Net.DialContext(ctx, "tcp", "www.test:80")
//
// # Three kinds of time
//
// [New] makes a bench on the wall clock. Inside of a testing/synctest bubble
// the clock is the bubble's: the same test then costs no time. Code that
// starts goroutines of its own, such as net/http, wants one of these.
//
// [Virtual] makes a bench in a virtual world: blocking code runs in Run and Go
// as actors, one at a time, and the same seed gives the same run to the last
// packet. Actors block in the bench only: in conns, calls of Net and Sleep.
//
// # The network
//
// The access point "understudy" (WPA2, passphrase "correct horse") is joined
// to a cable with 10.9.0.1, the router: it gives out addresses from 10.9.0.100
// on and knows the names of all hosts of the bench. It is the time server too,
// under the names that the device asks: see SetTime. It leads nowhere else.
//
// AddHost plugs computers into the cable, AddStation puts them on the air: a
// station joins the access point, or the controller when that is one itself.
//
// # Faults
//
// LoseWiFi and RestoreWiFi switch the access point off and on, SetLink makes
// the radio link lose, delay, reorder, duplicate and corrupt frames, and
// SetCable does so on the cable. Capture writes a pcapng file.
package understudytest

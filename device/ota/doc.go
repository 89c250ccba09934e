// Package ota is the updater of the controller: it downloads a firmware image into the slot that does not run, checks it, and says
// in the flash which image is to run after the next reset. It also downloads the host file.
//
// An [Updater] is a machine. Its owner gives it a flash and a [Net], which looks names up and makes connections; calls it with the
// host's requests and with what the network has to say; and takes an [Event] for each request:
//
//	u := ota.New(ota.Config{Flash: f, Net: n})
//	u.Update(now, ota.Request{URL: "http://updates.example/new.img"})
//	…
//	u.Resolved(now, addrs, err) // the look-up that n.Resolve began
//	u.Connected(now, err)       // the connection that n.Dial began
//	u.Ready(now)                // it became readable or writable, or ended
//	u.Advance(now)              // u.Deadline() has come
//	for e, ok := u.NextEvent(); ok; e, ok = u.NextEvent() { … e.Status … }
//
// Every Update, Download, Switch, Rollback and Abort has exactly one event, whatever the server and the network do; an update that is
// aborted has its own event before that of the abort.
//
// # Downloads
//
// HTTP/1.1 by the parsers of net/http, which must block and therefore run in a coroutine of package sock/co; https over a session of
// package device/tls. One GET, up to five redirects, none from https to http and none to an address that only the device itself can
// mean. The head of an answer is at most 16 KiB, with at most five interim answers in front; a body has a length, chunks, or ends with
// the connection. Content encodings are not asked for and not taken. When the connection is lost or stalls in the middle of the body,
// the rest is asked for over a new one, for the same version of the file if the server says which that is; at most three times in a row
// in vain, and at most 16 times at all. Nobody waits longer than the times of [Config].
//
// The file is checked while it comes (package device/image) and programmed page by page, never held: a download takes less than 64 KiB
// of memory, without the buffers of the connection. At the end the flash is read again, since a bad sector says nothing.
//
// # What a cut of power leaves
//
// The inactive image is marked invalid before its first sector is erased, and valid after its last byte was verified; the one that the
// next start runs is not touched. Between a switch and the reset that is the new one: an update goes over the old image then. If the
// boot firmware had to take the other image because the working one was bad, it is the bad one that is replaced.
//
// # Limits
//
// One job at a time, no HTTP/2, no proxies, no cookies, no passwords. A server is not told how far a download came that another
// reset interrupted: the next update begins anew.
package ota

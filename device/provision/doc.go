// Package provision is the small web site with which a controller asks its user for a network to join: the page on its own
// access point, served on the controller's own TCP/IP stack. Spec driver-api 2.3, hif-messages 2.16.
//
// The user's phone or notebook joins the access point, its browser opens the page, and the page lists the networks that the
// controller hears and has a form for name, passphrase and the controller's own name. It needs no script.
//
//	web, err := provision.New(provision.Config{Domain: "setup.example", Addr: own, Redirect: true})
//	conn := web.Accept(now, tcp)     // for each connection to port 80; nil: it was turned away
//	conn.Ready(now)                  // whenever the connection can be read or written
//	if web.ScanWanted() { … }        // somebody asks for the list anew; then web.SetNetworks(now, list)
//	answer, ok := web.Result()       // once, when the user has submitted and has seen the last page
//	web.Close(now)
//
// The [Server] is a machine: its owner calls Advance whenever Deadline has come. It knows streams ([sock.Stream]) and no
// stack. The requests are parsed by net/http, each connection on a coroutine of package sock/co.
//
// # Limits
//
// A connection carries one request. At most [MaxConns] are open at a time; when there are more, the one that has said
// nothing whole for the longest goes. The head of a request may have 16 KiB, its body 4 KiB, and both together may take
// 10 s; so may the answer. At most [MaxNetworks] networks are listed, one line for a name. The page is served in clear:
// whoever is on the access point can read along, so give it a passphrase of its own if that matters.
//
// Requests for other names are sent to the page (captive portals: every name leads here) or refused, as Config.Redirect
// says; a form that comes from another site's page is refused.
package provision

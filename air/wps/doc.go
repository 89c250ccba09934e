// Package wps is Wi-Fi Protected Setup (Wi-Fi Simple Configuration): how an access point hands its network over to a station
// whose user pushes a button on both, or tells the access point the station's PIN. In EAP packets, which package air/wifi
// carries in EAPOL frames; in captures they are what analysers know as EAP-WSC.
//
// Both ends are machines without timers: each takes a packet and gives the answer.
//
//	enrollee (the station)                         registrar (the access point)
//	             ◀──────── Identity request ────────
//	             ───────── Identity ───────────────▶
//	             ◀──────── WSC_Start ───────────────
//	             ───────── M1: public key ─────────▶
//	             ◀──────── M2: public key ──────────
//	             ───────── M3: commitment ─────────▶   to both halves of the PIN, or of 00000000
//	             ◀──────── M4: commitment, proof ───   of the first half
//	             ───────── M5: proof ──────────────▶
//	             ◀──────── M6: proof ───────────────   of the second half
//	             ───────── M7: proof ──────────────▶
//	             ◀──────── M8: the network ─────────
//	             ───────── WSC_Done ───────────────▶
//	             ◀──────── EAP-Failure ─────────────   it was not about joining
//
// Keys come from a Diffie-Hellman exchange (the 1536-bit group of RFC 3526, section 2), HMAC-SHA-256 and AES-128 in CBC. Who
// listens learns nothing of a push-button exchange, but who takes part in it, and is first, gets the network: that is what
// the protocol promises. A PIN that is wrong in its first half is found out at M4, by either side.
//
// Repetitions are the carrier's: [Registrar.Last] is what to send again, and an [Enrollee] answers a request that comes again
// as it did before. Also here: the element of beacons, probe and association requests ([Offer], [Request]), and the checksum of
// PINs.
//
// # Limits
//
// One network in M8, no fragments (none are needed), no external registrars, no settings in M7; keys of WPA-PSK and
// WPA2-PSK, or none. Arithmetic takes milliseconds a message and is not hardened against timing.
package wps

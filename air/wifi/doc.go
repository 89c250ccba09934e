// Package wifi has the two ends of a Wi-Fi network on a virtual air: stations and access points.
//
// Both are machines on a port of package air, told what time it is and never waiting. Above them are Ethernet frames:
// [Station.Send] and StationConfig.Output on one side, [AccessPoint.Send] and APConfig.Output, the distribution side, on
// the other.
//
//	ap, err := wifi.NewAccessPoint(wifi.APConfig{Air: a, MAC: bssid, Rand: rnd, SSID: "net", Channel: 6,
//		Passphrase: "correct horse", Output: uplink})
//	ap.Start(now)
//	sta, err := wifi.NewStation(wifi.StationConfig{Air: a, MAC: mac, Rand: rnd, Output: stack})
//	err = sta.Join(now, wifi.JoinParams{SSID: "net", Passphrase: "correct horse"})
//
// then Advance each of the three whenever its Deadline has come, until NextEvent tells of EventJoined.
//
// Scanning is passive or active, of one channel or many, and for hidden networks by name. Joining is open system
// authentication, association and, for WPA2-Personal, the 4-way handshake of IEEE 802.11-2016, 12.7.6, with real
// keys: a wrong passphrase fails where it fails in life, at the message integrity code of message 2. The handshake travels
// as EAPOL-Key in Ethernet frames. Until it is done, no other data passes.
//
// Wi-Fi Protected Setup hands a network over to a station without keys: [AccessPoint.PushButton] or [AccessPoint.AllowPIN] on one
// side, [Station.StartWPS] on the other, and EAP-WSC between them (package air/wps), in EAPOL frames too.
//
// Every step repeats what is lost, and every step ends: with no network within 6 s, an access point that falls silent
// within 4 s, a handshake that does not end within 10 s, beacons that stop within 2.5 s.
//
// Limits: data on the air is not encrypted; no WEP, WPA, WPA3 or 802.1X ([ErrUnsupported]); group keys are made at Start and not
// renewed; no power save or management frame protection, so whoever can send on the air can send a station away,
// as in WPA2 without that protection. Management messages have a form of our own; see [Management].
package wifi

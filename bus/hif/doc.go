// Package hif has the messages of the host interface (HIF): what a host driver and a WINC1500
// class controller say to each other on top of SPI.
//
// A message is an 8-byte header and a payload. [Op] names a message: group and opcode in one value.
// For each payload there is one struct, with ParseX(payload) and an Append method, little-endian and
// to the byte as the hosts in the field lay it out:
//
//	msg := hif.AppendMessage(nil, hif.OpBind, hif.Bind{Addr: at, Sock: 7, Session: 1})
//
//	h, err := hif.ParseHeader(msg)
//	switch h.Op {
//	case hif.OpBind:
//		m, err := hif.ParseBind(msg[hif.HeaderLen:h.Len])
//	}
//
// Rules that hold for all of them:
//
//   - A payload that is shorter than its struct is [ErrShort]; one that is longer is fine, the rest is
//     ignored (spec hif-messages 1.5: hosts do the same). Where releases of the driver differ in
//     layout, Parse decides by length, and a field or argument of the struct says which to build.
//   - Padding is written as zero and ignored when read: hosts send what was on their stack.
//   - Text ends at the first NUL or at the end of its field. Append cuts text that is too long for
//     its field, keeping the NUL; whoever takes text from a user checks it before.
//   - Channels are 1 to 14 everywhere in this package, [AllChannels] for all, also where the wire
//     counts from 0.
//   - Parse keeps no reference to its argument except where a field is a []byte and says so.
//
// Known by name and number only, without a struct: the requests of group CRYPTO, which no host sends in
// its default build, the certificate blobs of group SSL, groups SIGMA and INTERNAL, and the messages
// of power-save server builds (WIFI 100 to 102).
//
// The package has no state and depends on nothing; the handshake that carries messages is in the
// device and in the driver. "Spec" in comments is the project's description of the protocol, whose
// section numbers are given; names in capitals are those of the protocol and good for searching.
package hif

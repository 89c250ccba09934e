// Package image is the format of firmware: the file that an update server gives out, and the image inside it that lies in
// a slot of the flash. It is pure: bytes in, bytes out.
//
// A file is a digest, a header, and the payload that goes into the slot (spec hif-messages 4.4), little-endian:
//
//	 0 32  SHA-256 of everything behind it
//	32  4  magic 0x1ABCDEF9
//	36  4  length of the whole file, digest and header included
//	40     payload
//
// The payload of our synthetic firmware is an image with a [Head], which says its version and chip, and may be signed.
// The code of a chip is nothing that we can run, so what an image carries is what can be seen of it from outside. Every
// other payload is foreign: opaque bytes, good if the digest is.
//
//	file, err := image.Build(image.Spec{Version: v, Chip: 0x1003a0})  // reproducible: same Spec, same bytes
//	f, err := image.Parse(file)                                       // what it says, nothing checked
//	err := image.Verify(file, image.SlotSize)                         // all checks
//	c := image.NewChecker(image.SlotSize)                             // the same checks on a stream, holding none of it
//
// # Limits
//
// An image and its file, as an update gives it, are at most 236 KiB ([SlotSize]). The digest tells accidents, not
// forgery; a signature ([Spec.Key], [Checker.Key]) does, but knows nothing of old images that were rightly signed: who
// updates compares versions.
package image

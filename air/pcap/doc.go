// Package pcap writes captures in pcapng (the PCAP Next Generation format of the IETF opsawg drafts), which
// Wireshark, tshark and tcpdump open.
//
//	w, err := pcap.NewWriter(file, pcap.Options{Application: "understudy"})
//	...
//	err = w.WritePacket(now, 0, ethernetFrame, "")
//	...
//	err = w.Flush()
//
// A file has one section, one description for each interface and one enhanced packet block for each packet, with times in
// nanoseconds. The writer collects blocks in a buffer of 64 KiB; [Writer.Flush] writes what is there, so a live
// capture flushes after each batch. In steady state a packet costs no allocation.
//
// When the destination fails, the call that met the error returns it, the capture ends there, and every later call returns
// [ErrStopped] at once without trying again: a capture must not disturb what it watches.
//
// Limits: it only writes; no name resolution or decryption secrets blocks. A Writer has no lock.
package pcap

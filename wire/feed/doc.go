// Package feed is the protocol between hostd and guestd: four small frames over
// any stream of bytes (a virtio-serial port, a Xen vchan, a channel).
//
// A frame is a header of 16 bytes, a payload and a checksum, all big-endian:
//
//	offset  size  field
//	     0     4  magic "HGFD"
//	     4     1  version, 1
//	     5     1  type: 1 push, 2 request, 3 grant, 4 report
//	     6     2  length of the payload
//	     8     8  epoch
//	    16     n  payload
//	  16+n     4  CRC-32C (Castagnoli) of all that precedes
//
// Payloads:
//
//	push, grant  u32 min-entropy of the bytes in bits, then 1..4096 bytes
//	request      u32 number of bytes wanted, 1..4096
//	report       u64 seeded at (unix ns), u64 credited bits, 16 bytes boot id,
//	             u8 length and reason, u8 length and version (printable ASCII)
//
// The host draws a new epoch for every push, and a grant carries the epoch of the
// push before it. A guest credits only what carries the last epoch that it read:
// what was queued when its state was saved was given to its clones, too.
//
// The package promises that a decoder finds every whole valid frame whatever
// stands before it, that it never asks for more than one frame's worth of memory,
// and that it links neither fmt nor net, so that guestd stays small.
package feed

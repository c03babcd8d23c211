// Package wire holds the byte-stream protocols that end a guest's tap: egd for
// QEMU's rng-egd and other people's clients, feed for guestd.
//
// What it promises: a byte that a tap has granted is written to the one
// connection that asked for it, in order, or it is zeroed and lost. It is never
// given to another connection. What a peer sends costs bounded memory and can
// harm that peer's own pipe only.
//
// The package imports nothing of this module, so that every carrier (unix
// socket, virtio-serial port, vchan) can use it.
package wire

// Package kvm brings a tap into a QEMU guest over a unix socket: as the chardev
// backend of a virtio-rng device (the `qemu:` pipe), as the virtio-rng device itself
// (`vhost-user:`), for any client of the EGD protocol (`egd:`), and as a virtio-serial
// port for guestd (`port:`). It listens there, or, for vhost-user, connects to QEMU.
//
// It keeps these promises: a socket, or the folder in which QEMU is to make one, appears
// under its name only once it has its owner and mode; a dead daemon's socket is replaced
// and a live one's is not, nor is anybody who listens disturbed by being looked at; where
// a socket is for one process, the QEMU of one domain, no other gets a byte or
// takes its place, whatever user it runs as, and who is there before that process
// is known is hung up on once it is; a guest that floods, stalls or sends garbage
// costs bounded memory and harms its own pipe alone.
package kvm

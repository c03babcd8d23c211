// Package daemon is hostd's serve: it wires sources, reservoir, scheduler,
// guests, control socket and service manager together, keeps them running, and
// changes live only what a reload or a command changed.
//
// The way of a byte through it: a backends.Pump reads a source and tests it, the
// reservoir conditions what passed, the scheduler grants it to a guest's quality.Tap,
// which gives it or seeds the guest's own DRBG with it, and a pipe.Pipe, of package kvm
// or xen, carries it into the guest. The host's own kernel is one guest more, if it is
// to be fed: kernelpool credits it with what such a tap gives.
//
// The domains of libvirt are guests as long as they run. Its hook and its events
// tell of them, late or twice or not at all, and in whatever order: a domain has its
// sockets before its QEMU wants them, counts as unseeded once in each of its lives,
// and leaves nothing behind. guestd of one that goes on, and may be from an earlier
// state, is pushed to at once.
//
// Those of Xen's are as long as dom0's tree in xenstore has a policy for them, or a
// guest has a pipe for them. Nothing of that is read from what a guest can write: of
// its own there is only the ring that it offers.
package daemon

// Package vhosttest is the other end of a vhost-user-rng device, for its tests: a
// vhost-user front end, as QEMU is one, and the virtio driver of a guest behind it.
//
// It owns its rings and lets a test write anything into them, and send any message
// with any descriptors. It was written against the vhost-user protocol (QEMU's
// docs/interop/vhost-user.rst) and virtio 1.2, not against the device's own code, so
// that a mistake is not made on both sides.
//
// A front costs a few pages of memory, six descriptors and one goroutine while it
// is connected: hundreds in one process are cheap. Its methods are for one goroutine
// at a time; only Serve and HangUp run beside Read and Used.
package vhosttest

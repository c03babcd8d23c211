// Package vhost is the device's side of the vhost-user protocol for an entropy device
// (virtio 1.2, section 5.4): a front end, which is a guest's QEMU, hands over the
// guest's memory and the place of its queue, and the guest's requests are answered in
// that memory, without QEMU in between.
//
// It promises this of a front end that is hostile, as the guest in it may be: a
// message costs bounded memory and time; a descriptor that comes with one is either
// used or closed; only files in memory are mapped, never beyond their end, and no more
// than can be; nothing of a guest's memory is touched while a lock is held, so that
// memory that is swapped out, or is there no more, holds up nobody else; what breaks
// the rules ends that one connection. When a connection ends nothing is left of it.
//
// What it cannot promise: a page of the guest's memory that has to come from swap, or to
// be made, is waited for in the kernel, and as long as that takes the runtime cannot stop
// the world. Pages that nobody touched before count in hostd's control group.
//
// Messages are never kept waiting for bytes: a request that waits for its grant is put
// back when a message changes the device, and taken up again after it.
package vhost

// Package xen will bring a tap into Xen guests that have no virtio: through vchan
// and channel devices. Nothing of it is built yet; a configuration that asks for a
// vchan or channel pipe is refused with that reason.
package xen

// Package grant shares pages of memory with other Xen domains: Share gives some of
// this domain's (gntalloc), Map maps another's (gntdev).
//
// It keeps these promises: when a Pages is closed, or its process ends in whatever
// way, the mapping is gone from Xen at once, so that a domain that was destroyed
// does not stay as a zombie; what NotifyOnUnmap asked for has then been done by the
// kernel. Other domains cannot change what Refs says, and can change every byte of
// Bytes at any moment.
//
// The devices' calls are those of Linux' include/uapi/xen/gntalloc.h and gntdev.h.
package grant

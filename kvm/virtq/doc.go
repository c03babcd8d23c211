// Package virtq walks the device's side of a split virtqueue (virtio 1.2, section
// 2.7) in memory that it shares with a guest, for a device that only writes.
//
// It promises this of a hostile guest, who changes the memory while it is read:
// every address is looked up in the table of the guest's memory before it is used,
// each field of a descriptor is read once, a chain is at most 1024 descriptors long
// whatever its links say, and nothing is written but what a descriptor offers and the
// used ring. It makes no system call, starts no goroutine and allocates nothing on the
// way of a request.
//
// Memory that is not there any more, because its owner has cut the file behind it,
// is a fault (SIGBUS) in whoever calls: see runtime/debug.SetPanicOnFault.
package virtq

// Command queues prints how fast one guest reads /dev/hwrng through each of the ways that
// QEMU has, hostd's two among them, and what a megabyte costs in processor time.
//
// It keeps these promises: all devices are in one guest, which switches between them, so
// that nothing but the device differs; they take turns in every round, and what is
// compared are the rates of one round; the processor time is that of a process which
// serves that one device at the time, and of QEMU beside it; a device that is served by
// another than is written beside it is an error, not a figure. The ratios are those of an
// emulated machine, and none of KVM's.
package main

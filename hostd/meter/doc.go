// Package meter counts who reads randomness from this host's kernel: bytes and
// calls by process and cgroup, over the four ways there are (/dev/hwrng,
// /dev/random, /dev/urandom and getrandom(2)).
//
// The promise: what a call gave is counted to the byte, by small programs at the
// end of the kernel's own functions. Nothing runs in hostd until somebody asks;
// the memory is bounded, in the kernel and here, and where the table is full the
// totals stay exact and only the names are lost. A way that this kernel does not
// let be seen says why, and the others are counted all the same.
//
// What is not seen: a getrandom that the vDSO answers (Linux 6.11 and later), for
// it never enters the kernel; a read that was already under way when the meter
// was attached; what the kernel takes for itself. A call that a signal ended before it
// got anything is none. WayCount.Missed is calls that the kernel knows it did not count.
package meter

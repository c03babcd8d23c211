// Command drink prints what hostd's meter costs those who read randomness, and hostd.
//
// It keeps these promises: the reads with the meter and without it are in turns, the two
// of a pair right after each other and each first in every other pair, and what is compared
// are the times within one pair; between them nothing changes but that the meter's programs
// are attached to the kernel, by the same package that hostd has; dd(1) is Debian's, or
// busybox's in the guest. The ratios of the guest are those of an emulated machine.
package main

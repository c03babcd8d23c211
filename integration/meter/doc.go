//go:build linux

// Package meter holds the tests that hold hostd's meter against programs that know what
// they read: exactly so many bytes, by so many calls, in each of the four ways, on this
// machine's own kernel and on Debian's in a guest; and against QEMUs that take from the
// host past Headgate.
package meter

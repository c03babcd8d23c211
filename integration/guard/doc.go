// Package guard holds the tests of hostd's network guard with the real hostd, on the
// control groups of the machine that they run on: whatever hostd, or what it runs, does
// to get at the network, the kernel refuses it and counts it, and nothing of the guard is
// left behind. Where the guard cannot be, hostd says so, and serves or does not as it is
// told.
//
// A hostd that is built with one file more (testdata/try.go.txt) does what one would do
// that somebody has taken over. The same hostd without it is the rest of these tests'.
package guard

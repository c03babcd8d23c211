//go:build linux

// Package clones saves the state of a guest, has two guests go on from it, and looks
// how long the kernels of the two give the same random numbers: without guestd, with
// a vmgenid device alone, and with guestd. `make bench` runs it whole, the tests run
// it shortened.
package clones

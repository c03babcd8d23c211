// Package integration holds the tests that drive the real hostd and guestd
// against a real Linux guest in QEMU. Nothing in the middle is a mock: the rig
// (package rig) builds the shipped programs, an initramfs around them, and boots
// Debian's cloud kernel under software emulation.
//
// Each test says in its first lines what it shows. A failure quotes the log of
// hostd and the console of the guest.
package integration

//go:build linux

// Package sign watches for the signs that this guest may have begun a new life: that
// it is a clone, was restored from a saved state, reverted to a snapshot or migrated.
// The kernel's generator and whatever was derived from it may then be the same as
// those of a twin, and nothing in the guest itself says so.
//
// There are four signs, and a guest has those that its devices and its kernel give it:
//
//   - fork: the kernel's vmgenid driver saw a new generation ID and says so in its
//     log (kmsg.go). It comes within milliseconds.
//   - vmgenid: the generation ID that QEMU shows in fw_cfg changed; looked at where
//     the kernel has no driver for it (guid.go).
//   - peers: a network link was told to announce itself, which QEMU does after every
//     restore, migration and loadvm (peers.go). It comes within milliseconds.
//   - clock: the battery-backed clock, which is the host's, moved on while the
//     kernel's stood still (clock.go).
//
// What it promises: fork and peers are waited for and cost nothing while nothing
// happens; the other two share one poll, which does not exist where there is nothing
// to poll. A sign is told at once, and a burst of one sign is told at most twice: at
// its beginning and at its end. A sign that nobody takes waits, and nothing waits
// longer than until stop is closed. A storm in the kernel's log or of changing links
// costs a bounded share of the processor. No sign says that nothing happened: a clone
// that was made without any of them is seen by nobody but the host.
//
// A sign may be wrong. A bond that fails over announces itself as a restored guest
// does, and whoever sets the battery-backed clock moves it. That costs a reseed.
package sign

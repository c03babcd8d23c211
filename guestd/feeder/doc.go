//go:build linux

// Package feeder is what guestd does: it takes what the pipes bring, tests it,
// mixes it into the kernel's pool, credits what the policy allows and reseeds.
//
// It promises that every byte that arrives is mixed, but for those of a host that sends
// more than is read; that none is credited that failed a health test, whose epoch is not
// the last that came, that lay in the device or here when this guest began a new life, or
// that came in a piece of less than 32 bytes; that on a sign of a new life the kernel
// reseeds at once with what little is this guest's own, and again with fresh bytes when
// they come; that it speaks of a seed only when the kernel's generator is ready and was
// reseeded, where it can be told to; that a pipe is not asked again while it owes an
// answer; that while no host answers nothing is done between the intervals; and that a
// host which sends without end, or signs that do not end, cost a bounded share of the
// processor.
package feeder

//go:build linux

// Package feeder is what guestd does: it takes what the pipes bring, tests it,
// mixes it into the kernel's pool, credits what the policy allows and reseeds.
//
// It promises that every byte that arrives is mixed; that none is credited that
// failed a health test, whose epoch is not the last that came, or that came in a
// piece of less than 32 bytes; that it speaks of a seed only when the kernel's
// generator is ready and was reseeded; that a pipe is not asked again while it owes
// an answer; and that a host which sends without end costs a bounded share of the
// processor.
package feeder

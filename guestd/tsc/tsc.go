// Package tsc reads the processor's cycle counter.
//
// Its low bits at the arrival of a packet are hard to predict from outside, and
// they differ between clones of one guest; but nobody can say by how much, so what
// is read here is mixed and never credited.
package tsc

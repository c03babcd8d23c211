// Package assess estimates the min-entropy of raw samples by the first three
// estimators of NIST SP 800-90B §6.3: most common value, collision and Markov.
//
// Its promise: an Estimator takes samples as they come, in pieces of any size, keeps
// counts of them and never the samples, and its memory does not grow. No estimate is
// below 0 or above the bits of a sample, and how the samples were cut into pieces
// makes no difference. No error holds the value of a sample.
//
// The collision and the Markov estimate are defined for bits alone. They are made of
// the bitstring that the samples are, the most significant bit of each first, as
// NIST's own ea_non_iid has it, and are given times the bits of a sample (§3.1.3).
//
// What the least of the three gives is an upper bound of what can be claimed: the
// standard takes the least of ten estimators, and none of them knows how the source
// works. The output of a generator passes all.
//
// The package is pure: no clock, no goroutine, and only the standard library.
package assess

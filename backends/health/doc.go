// Package health holds the continuous health tests of a noise source, as
// NIST SP 800-90B §4.4 describes them, over 8-bit samples.
//
// Its promise: a Monitor that is fed every sample of a source, in order, says at
// which sample a test first failed, and goes on saying so until it is reset. How
// the samples are cut into calls of Test makes no difference. A source that does
// keep its claimed min-entropy fails each test with a probability of about
// α = 2^-AlphaLog2 at most: the repetition count test at each sample, the two
// others in each window. ("About", since the standard's cutoff of the adaptive
// proportion test takes the window's first sample, which is given, for a trial:
// the exact rate is up to a few times α.)
//
// The package is pure: no clock, no goroutine, no input or output, and nothing
// but small parts of the standard library, because guestd carries it as well. No
// error holds the value of a sample.
package health

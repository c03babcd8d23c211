package health

import "math"

// Window is the number of samples in one window of the adaptive proportion test
// for sources that are not binary (SP 800-90B §4.4.2).
const Window = 512

// StartupSamples is how many consecutive samples a source must pass before any
// later one is used (SP 800-90B §4.3, requirement 4). They are two whole windows.
const StartupSamples = 1024

// RCTCutoff returns C = 1 + ⌈-log2(α)/H⌉, the number of equal samples in a row at
// which the repetition count test fails (SP 800-90B §4.4.1). h is the min-entropy
// in bits per sample, and α is 2^-alphaLog2.
func RCTCutoff(h float64, alphaLog2 int) int {
	// The bound keeps the conversion defined for an h next to nothing.
	return 1 + int(min(math.Ceil(float64(alphaLog2)/h), math.MaxInt32-1))
}

// APTCutoff returns C = 1 + CRITBINOM(W, 2^-H, 1-α), the smallest count that a
// binomial variable of W trials reaches with a probability of at most α (SP
// 800-90B §4.4.2). It is window+1, which no window can reach, where even a
// constant source is within α. h is in bits per sample, and α is 2^-alphaLog2.
func APTCutoff(h float64, alphaLog2, window int) int {
	p := math.Exp2(-h)
	odds := -h - math.Log1p(-p)/math.Ln2 // log2(p / (1-p))
	// Sum the upper tail from P(X = window) down. Each term follows from the one
	// above it, in log space, because p^window is far below the smallest float64.
	// The margin is for rounding where the tail equals α.
	alpha := math.Exp2(-float64(alphaLog2)) * (1 + 1e-9)
	term, tail := -h*float64(window), 0.0
	for k := window; k > 0; k-- {
		tail += math.Exp2(term)
		if tail > alpha {
			return k + 1
		}
		term += math.Log2(float64(k)) - math.Log2(float64(window-k+1)) - odds
	}
	return 1
}

// mcvCutoff is the cutoff of the most common value test. All 256 values are
// looked at, so each has a 256th part of α (the union bound).
func mcvCutoff(h float64, alphaLog2 int) int {
	return APTCutoff(h, alphaLog2+8, Window)
}

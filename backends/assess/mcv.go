package assess

import "math"

// mostCommonValue is the estimate of n samples of which the commonest value makes up
// most (SP 800-90B §6.3.1): whoever guesses it every time is right that often.
func mostCommonValue(most, n uint64) float64 {
	if n < 2 {
		return 0
	}
	p := float64(most) / float64(n)
	return -math.Log2(min(1, p+z*math.Sqrt(p*(1-p)/float64(n-1))))
}

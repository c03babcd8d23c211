package assess

import "math"

// collision measures how many bits it takes until two are equal, again and again
// (SP 800-90B §6.3.2). That is two or three, and the fewer, the more one of the two
// values is favoured.
type collision struct {
	first byte   // the first bit of those that have not collided yet
	held  uint8  // how many they are, 0 to 2: the second is not the first
	twos  uint64 // collisions after two bits
	three uint64 // and after three
}

func (c *collision) add(bit byte) {
	switch {
	case c.held == 0:
		c.first, c.held = bit, 1
	case c.held == 1 && bit != c.first:
		c.held = 2
	case c.held == 1:
		c.twos++
		c.held = 0
	default: // the third is like one of two that differ
		c.three++
		c.held = 0
	}
}

// estimate is in bits of min-entropy a bit. A bit that has the one value with
// probability p collides after two with probability p²+(1-p)², else after three, in
// the mean after 2+2p(1-p). That is what the expression of step 7 comes to for bits,
// where F(1/z) is a polynomial; the larger of the two p is what a guesser is left
// with. Where the mean is above 2.5, as no p gives it, step 8 has it at 1/2.
func (c *collision) estimate() float64 {
	v := float64(c.twos + c.three)
	if v < 2 {
		return 0
	}
	mean := (2*float64(c.twos) + 3*float64(c.three)) / v
	// The deviation of the sample, of values 2 and 3, with v-1 below.
	deviation := math.Sqrt(v / (v - 1) * (mean - 2) * (3 - mean))
	mean = max(2, mean-z*deviation/math.Sqrt(v))
	if mean >= 2.5 {
		return 1
	}
	return -math.Log2(0.5 + math.Sqrt(1.25-mean/2))
}

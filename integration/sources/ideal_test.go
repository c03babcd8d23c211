//go:build linux

package sources

import (
	"math"
	"sync"
	"testing"
)

// The tests of rngtest are those of FIPS 140-2 §4.9.1 with change notice 1 (2001-10-10),
// on blocks of 20,000 bits.
const blockBits = 20000

// runBounds are how many runs of one value of 1, 2, … 5 and of 6 or more bits a block
// may have (FIPS 140-2 §4.9.1, the runs test). An empty length has none.
var runBounds = [...]struct{ low, high int }{
	{}, {2315, 2685}, {1114, 1386}, {527, 723}, {240, 384}, {103, 209}, {103, 209},
}

// longRun is how many equal bits in a row fail the long run test.
const longRun = 26

// idealFailures is the probability that a block of independent, unbiased bits fails
// one test or another: the sum over the tests, which is a little more than the truth
// where a block fails two.
var idealFailures = sync.OnceValue(func() float64 {
	p := monobit() + poker() + long()
	for length := 1; length < len(runBounds); length++ {
		p += 2 * runs(length) // of ones, and of zeros
	}
	return p
})

// monobit is P(X <= 9725 or X >= 10275) for the number X of ones.
func monobit() (p float64) {
	for k := 0; k <= 9725; k++ {
		p += 2 * binomial(blockBits, k)
	}
	return p
}

// binomial is P(k of n coins).
func binomial(n, k int) float64 {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return math.Exp(lg(n) - lg(k) - lg(n-k) - float64(n)*math.Ln2)
}

// poker is the probability that the statistic over 5,000 groups of 4 bits, chi-square
// with 15 degrees of freedom, is not between 2.16 and 46.17.
func poker() float64 { return chiSquare15(2.16) + 1 - chiSquare15(46.17) }

// chiSquare15 integrates the density of the chi-square distribution with 15 degrees
// of freedom up to x, by Simpson's rule.
func chiSquare15(x float64) float64 {
	lg, _ := math.Lgamma(7.5)
	density := func(t float64) float64 {
		if t == 0 {
			return 0
		}
		return math.Exp(6.5*math.Log(t) - t/2 - 7.5*math.Ln2 - lg)
	}
	const steps = 2000
	h, sum := x/steps, density(0)+density(x)
	for i := 1; i < steps; i++ {
		sum += float64(2+2*(i%2)) * density(float64(i)*h)
	}
	return sum * h / 3
}

// long is the probability of longRun equal bits in a row: each bit after the first
// equals the one before it with probability 1/2.
func long() float64 {
	var now [longRun + 1]float64 // by the length of the run at the end; longRun stays
	now[1] = 1
	for range blockBits - 1 {
		var next [longRun + 1]float64
		next[longRun] = now[longRun]
		for run := 1; run < longRun; run++ {
			next[1] += now[run] / 2
			next[run+1] += now[run] / 2
		}
		now = next
	}
	return now[longRun]
}

// negligible is a probability that adds nothing to a sum of 10^-5, and is left out.
const negligible = 1e-30

// runs is the probability that a block has too few or too many runs of ones of that
// length, or for the last length of at least that one: exact, bit by bit, over the
// number of such runs that have ended so far and the length of the run at the end.
func runs(length int) float64 {
	bounds, last := runBounds[length], length == len(runBounds)-1
	longest := length + 1 // a run that is longer than length is that long for ever
	if last {
		longest = length
	}
	width := bounds.high + 2 // what is above the bound is above it for ever
	row := func() []float64 { return make([]float64, width) }
	now, next := make([][]float64, longest+1), make([][]float64, longest+1)
	for run := range now {
		now[run], next[run] = row(), row()
	}
	now[0][0] = 1
	for bit := range blockBits + 1 {
		half := 0.5
		if bit == blockBits { // a zero behind the block ends the last run
			half = 1
		}
		for _, r := range next {
			clear(r)
		}
		for run, r := range now {
			end, counts := 0, run == length
			if counts {
				end = 1
			}
			// No more than bit/2 runs can have ended.
			for n, p := range r[:min(width, bit/2+2)] {
				if p < negligible {
					continue
				}
				next[0][min(n+end, width-1)] += p * half
				if half < 1 {
					next[min(run+1, longest)][n] += p * half
				}
			}
		}
		now, next = next, now
	}
	p := 0.0
	for n, q := range now[0] {
		if n < bounds.low || n > bounds.high {
			p += q
		}
	}
	return p
}

// poissonBound is the largest count that a Poisson variable of that mean reaches with a
// probability of more than 1-sure: one that is above it is seen once in 1/(1-sure).
func poissonBound(mean, sure float64) int {
	p := math.Exp(-mean)
	sum := p
	n := 0
	for sum < sure {
		n++
		p *= mean / float64(n)
		sum += p
	}
	return n
}

// TestIdeal holds the figures to what is known of them: the monobit and poker bounds
// were chosen for 1 in 10,000, and all tests together fail about 8 in 10,000 blocks.
func TestIdeal(t *testing.T) {
	for _, c := range []struct {
		name      string
		got       float64
		low, high float64
	}{
		{"monobit", monobit(), 0.9e-4, 1.1e-4},
		{"poker", poker(), 0.9e-4, 1.1e-4},
		{"long run", long(), 2.8e-4, 3.1e-4},
		{"all", idealFailures(), 6e-4, 11e-4},
		{"Poisson bound of 1 at 99.9%", float64(poissonBound(1, 0.999)), 5, 5},
	} {
		t.Logf("%-28s %.3g", c.name, c.got)
		if !(c.got >= c.low && c.got <= c.high) {
			t.Errorf("%s: %v, want %v to %v", c.name, c.got, c.low, c.high)
		}
	}
}

package assess

import (
	"fmt"
	"math"
)

// MaxBits is the width of the widest sample: they come one to a byte.
const MaxBits = 8

// z is the 99.5% quantile of the normal distribution, which the standard rounds to
// 2.576 (SP 800-90B §6.3.1): every estimate stands at that end of an interval.
const z = 2.5758293035489008

// Estimator is an io.Writer of samples.
type Estimator struct {
	bits      int
	samples   uint64
	counts    [1 << MaxBits]uint64
	collision collision
	markov    markov
}

// New returns an estimator of samples of that many bits, which are the least
// significant of each byte.
func New(bits int) (*Estimator, error) {
	if bits < 1 || bits > MaxBits {
		return nil, fmt.Errorf("samples of %d bits cannot be estimated: 1 to %d are possible", bits, MaxBits)
	}
	return &Estimator{bits: bits}, nil
}

// Write takes samples. One that has more bits than there should be is an error, of
// which those before it have been taken.
func (e *Estimator) Write(samples []byte) (int, error) {
	for i, s := range samples {
		if s>>e.bits != 0 {
			return i, fmt.Errorf("sample %d has more than %d bits", e.samples+1, e.bits)
		}
		e.samples++
		e.counts[s]++
		for shift := e.bits - 1; shift >= 0; shift-- {
			bit := s >> shift & 1
			e.collision.add(bit)
			e.markov.add(bit)
		}
	}
	return len(samples), nil
}

// Estimates are what the samples come to, each in bits of min-entropy a sample.
type Estimates struct {
	Samples   uint64
	Bits      int     // of a sample
	MCV       float64 // most common value, of the samples (SP 800-90B §6.3.1)
	Collision float64 // of the bitstring, times Bits (§6.3.2)
	Markov    float64 // of the bitstring, times Bits (§6.3.3)
}

// Estimates gives what the samples so far come to. An estimate for which there are
// too few is 0: nothing is known then.
func (e *Estimator) Estimates() Estimates {
	var most uint64
	for _, n := range e.counts {
		most = max(most, n)
	}
	bits := float64(e.bits)
	return Estimates{
		Samples:   e.samples,
		Bits:      e.bits,
		MCV:       within(mostCommonValue(most, e.samples), bits),
		Collision: bits * within(e.collision.estimate(), 1),
		Markov:    bits * within(e.markov.estimate(), 1),
	}
}

// Least is the least of the three: the standard's whole suite allows no more.
func (e Estimates) Least() float64 { return min(e.MCV, e.Collision, e.Markov) }

// within keeps an estimate from 0 to the most that it can be: rounding may lead out
// of that, and the negative zero that is the logarithm of 1 looks odd.
func within(estimate, most float64) float64 {
	return math.Abs(max(0, min(estimate, most)))
}

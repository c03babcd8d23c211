package backends

import (
	"fmt"
	"slices"

	"headgate/backends/assess"
)

const (
	jitterMeasured = 4096 // deltas, at each Open

	// jitterCoarse is how many steps of the counter the work of a sample must take at
	// least. With fewer, the low bits say where in a step it began rather than how long
	// it took.
	jitterCoarse = 16

	// jitterTrapped is what reading the counter never takes when the processor itself
	// does it (some 10 to 50 cycles), and always when it has to ask a hypervisor.
	jitterTrapped = 500

	// jitterMostStep bounds the search for the step.
	jitterMostStep = 4096
)

// jitterMeasure is what an Open found of the counter and the work.
type jitterMeasure struct {
	step    uint64  // the counter counts in these
	reading uint64  // what reading it takes at least, in its own units
	median  uint64  // of the deltas
	steps   uint64  // the same in steps
	entropy float64 // bits a sample, by the most common value
}

func (m jitterMeasure) String() string {
	emulated := ""
	if m.reading >= jitterTrapped {
		emulated = " (emulated)"
	}
	return fmt.Sprintf("counter steps by %d and is read in %d%s; median delta %d, %d steps; most common value says %.1f bits (of %d deltas)",
		m.step, m.reading, emulated, m.median, m.steps, m.entropy, jitterMeasured)
}

// judge refuses what cannot be worth the claim. An assumed one must be measured twice
// over; an assessed one was found by more than this glance, and only must not be
// refuted by it.
func (m jitterMeasure) judge(info Info) error {
	if m.steps < jitterCoarse {
		return fmt.Errorf("the counter (%s) is too coarse: the work of a sample takes %d of its steps, and has to take %d: use another source",
			info.Driver, m.steps, jitterCoarse)
	}
	need := info.MinEntropy
	if info.Assumed {
		need *= 2
	}
	if m.entropy < need {
		return fmt.Errorf("the time for the same work hardly varies: %.2f bits a sample by the most common value, where a claim of %.2f needs %.2f: "+
			"use another source, or set a lower min_entropy as assessed", m.entropy, info.MinEntropy, need)
	}
	return nil
}

// measure finds the step of the counter and looks at deltas as Read makes them.
func (s *jitterStream) measure() jitterMeasure {
	var m jitterMeasure
	deltas := make([]uint64, jitterMeasured)
	defer clear(deltas)

	last := s.now()
	for i := range deltas {
		deltas[i] = s.now() - last
		last += deltas[i]
	}
	m.reading = slices.Min(deltas)

	// Short walks of many lengths, so that their times have nothing but the step in
	// common.
	last = s.now()
	for i := range deltas {
		s.walk.walk(i % 64)
		deltas[i] = s.now() - last
		last += deltas[i]
	}
	m.step = counterStep(deltas)
	s.step = m.step

	last = s.now()
	samples := make([]byte, len(deltas))
	defer clear(samples)
	for i := range deltas {
		deltas[i], last = s.delta(last)
		samples[i] = s.sample(deltas[i])
	}
	m.entropy = commonest(samples)
	slices.Sort(deltas)
	m.median = deltas[len(deltas)/2]
	m.steps = m.median / m.step
	return m
}

// commonest is the most common value estimate (SP 800-90B §6.3.1), in bits a sample.
func commonest(samples []byte) float64 {
	estimator, err := assess.New(assess.MaxBits)
	if err != nil {
		return 0
	}
	_, _ = estimator.Write(samples) // no byte has more bits
	return estimator.Estimates().MCV
}

// counterStep returns the largest number of which nearly all deltas are multiples, or
// as good as: off by one, where the step is large enough for that to mean anything.
// A step that is found too large loses bits and invents none.
func counterStep(deltas []uint64) uint64 {
	for step := uint64(jitterMostStep); step > 1; step-- {
		near := uint64(0)
		if step >= 8 {
			near = 1
		}
		misses := 0
		for _, d := range deltas {
			if (d+near)%step > 2*near {
				misses++
			}
			if misses > len(deltas)/20 {
				break
			}
		}
		if misses <= len(deltas)/20 {
			return step
		}
	}
	return 1
}

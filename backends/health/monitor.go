package health

import (
	"errors"
	"strconv"
)

// The names of the tests, as they stand in Failure.Test.
const (
	// RCT is the repetition count test of SP 800-90B §4.4.1.
	RCT = "rct"
	// APT is the adaptive proportion test of SP 800-90B §4.4.2.
	APT = "apt"
	// MCV counts the most common value of each APT window. SP 800-90B §4.5 leaves
	// room for it, and it is needed: APT counts only the value that a window
	// begins with, so that a byte of probability 1/2 escapes every second window.
	MCV = "mcv"
)

// DefaultAlphaLog2 gives α = 2^-40: at 1 MB/s at most one false alarm of the RCT
// in twelve days. At 2^-20 it would be up to one a second.
const DefaultAlphaLog2 = 40

// Params says what is claimed of a source and how often a test may err.
type Params struct {
	MinEntropy float64 // the claim, in bits per 8-bit sample: 0 < H <= 8
	AlphaLog2  int     // α = 2^-AlphaLog2 per test, 10 to 60; 0 means DefaultAlphaLog2
}

// Failure is the error of a health test that failed. It never holds a sample.
type Failure struct {
	Test   string // RCT, APT or MCV
	Count  int    // the count that was reached, which is the cutoff
	Cutoff int
	At     uint64 // index of the failing sample since the start or the last Reset
}

func (f *Failure) Error() string {
	return "health test " + f.Test + " failed: count " + strconv.Itoa(f.Count) +
		" reached the cutoff " + strconv.Itoa(f.Cutoff) +
		" at sample " + strconv.FormatUint(f.At, 10)
}

// Monitor runs the tests over one stream of samples. It is not safe for use by
// several goroutines.
type Monitor struct {
	rct      int
	apt, mcv uint16 // at most Window+1

	failure *Failure
	tested  uint64
	run     int  // length of the current run, and
	last    byte // what it consists of
	first   byte // the sample that the window began with
	seen    int  // samples in the unfinished window
	counts  [256]uint16
}

// New returns a Monitor for the claim in p, or an error if p is out of range.
func New(p Params) (*Monitor, error) {
	if p.AlphaLog2 == 0 {
		p.AlphaLog2 = DefaultAlphaLog2
	}
	if !(p.MinEntropy > 0 && p.MinEntropy <= 8) { // so written, NaN is refused too
		return nil, errors.New("min-entropy must be above 0 and at most 8 bits per sample")
	}
	if p.AlphaLog2 < 10 || p.AlphaLog2 > 60 {
		return nil, errors.New("alpha must be from 2^-60 to 2^-10")
	}
	return &Monitor{
		rct: RCTCutoff(p.MinEntropy, p.AlphaLog2),
		apt: uint16(APTCutoff(p.MinEntropy, p.AlphaLog2, Window)),
		mcv: uint16(mcvCutoff(p.MinEntropy, p.AlphaLog2)),
	}, nil
}

// Test feeds the next samples to the tests. It returns a *Failure at the first
// failing sample, and from then on until Reset.
func (m *Monitor) Test(samples []byte) error {
	for m.failure == nil && len(samples) > 0 {
		n := min(len(samples), Window-m.seen)
		m.scan(samples[:n])
		m.tested += uint64(n)
		if m.seen += n; m.seen == Window {
			m.seen, m.counts = 0, [256]uint16{}
		}
		samples = samples[n:]
	}
	if m.failure != nil {
		return m.failure
	}
	return nil
}

// scan tests samples that all belong to the current window. The count of the
// window's first sample, which APT asks for, is one of those that MCV keeps; and
// as MCV's cutoff is never the lower one, one comparison serves nearly all samples.
func (m *Monitor) scan(samples []byte) {
	if m.seen == 0 {
		m.first = samples[0]
	}
	rct, apt, last, run := m.rct, m.apt, m.last, m.run
	for i, s := range samples {
		if s != last {
			last, run = s, 0
		}
		if run++; run >= rct {
			m.fail(RCT, run, m.rct, i)
			break
		}
		c := m.counts[s] + 1
		m.counts[s] = c
		if c < apt {
			continue
		}
		if s == m.first {
			m.fail(APT, int(c), int(m.apt), i)
			break
		}
		if c >= m.mcv {
			m.fail(MCV, int(c), int(m.mcv), i)
			break
		}
	}
	m.last, m.run = last, run
}

func (m *Monitor) fail(test string, count, cutoff, i int) {
	m.failure = &Failure{Test: test, Count: count, Cutoff: cutoff, At: m.tested + uint64(i)}
}

// Run returns the length of the run of equal samples at the end of what was
// tested. Those samples may yet turn out to belong to a run that fails the RCT.
func (m *Monitor) Run() int { return m.run }

// Reset forgets everything that was tested, and the failure with it.
func (m *Monitor) Reset() {
	*m = Monitor{rct: m.rct, apt: m.apt, mcv: m.mcv}
}

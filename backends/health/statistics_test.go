package health

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

var rng = rand.New(rand.NewPCG(4, 12)) // a fixed seed: the same figures at every run

// fillUniform fills p with samples of exactly h bits each: h is whole.
func fillUniform(p []byte, h int) {
	r := rand.NewChaCha8([32]byte{byte(h)})
	_, _ = r.Read(p)
	for i := range p {
		p[i] &= byte(1<<h - 1)
	}
}

// fillBiased fills q with samples that are 0x55 with probability p, else uniform
// over the other values.
func fillBiased(q []byte, p float64) {
	for i := range q {
		q[i] = 0x55
		if rng.Float64() >= p {
			q[i] += byte(1 + rng.IntN(255))
		}
	}
}

// only returns a Monitor of which one test is left standing.
func only(t testing.TB, test string, h float64, alphaLog2 int) *Monitor {
	m := newMonitor(t, h, alphaLog2)
	const never = Window + 1
	switch test {
	case RCT:
		m.apt, m.mcv = never, never
	case APT:
		m.rct, m.mcv = math.MaxInt, never
	case MCV:
		// The window's first sample is then held to MCV's cutoff like any other.
		m.rct, m.apt = math.MaxInt, m.mcv
	}
	return m
}

// tail is P(X >= c) for X binomial with n trials of probability p.
func tail(n, c int, p float64) (sum float64) {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	for k := max(c, 0); k <= n; k++ {
		sum += math.Exp(lg(n) - lg(k) - lg(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// runWithin is the probability of c values of probability p in a row within n samples.
func runWithin(n, c int, p float64) float64 {
	state := make([]float64, c+1) // by length of the current run; the last one stays
	state[0] = 1
	for range n {
		next := make([]float64, c+1)
		next[c] = state[c]
		for run, w := range state[:c] {
			next[0] += w * (1 - p)
			next[run+1] += w * p
		}
		state = next
	}
	return state[c]
}

// within fails unless seen of n is what probability p gives, give or take five
// standard deviations and one.
func within(t *testing.T, what string, seen, n int, p float64) {
	t.Helper()
	want := float64(n) * p
	if math.Abs(float64(seen)-want) > 5*math.Sqrt(want*(1-p))+1 {
		t.Errorf("%s: %d of %d, theory says %.1f", what, seen, n, want)
	}
}

// alarms counts the failures of m over samples; it is reset after each, and
// before each window where the test goes by windows.
func alarms(m *Monitor, samples []byte, byWindow bool) (n int) {
	for len(samples) > 0 {
		m.Reset()
		take := len(samples)
		if byWindow {
			take = Window
		}
		var f *Failure
		if errors.As(m.Test(samples[:take]), &f) {
			n++
			if !byWindow {
				take = int(f.At) + 1
			}
		}
		samples = samples[take:]
	}
	return n
}

// TestFalsePositives runs sources that are just as good as they claim at
// α = 2^-10, where false alarms can be counted.
func TestFalsePositives(t *testing.T) {
	const alphaLog2, windows = 10, 5000
	samples := make([]byte, windows*Window)
	t.Log("h test   seen  theory  allowed")
	for _, h := range []int{1, 2, 4, 6, 8} {
		fillUniform(samples, h)
		values := math.Exp2(float64(h))
		limit := windows * math.Exp2(-alphaLog2)

		// A run of c equal samples takes 1 + v + … + v^(c-1) samples on average.
		c := float64(RCTCutoff(float64(h), alphaLog2))
		rct := (values - 1) / (math.Pow(values, c) - 1) * Window
		// The first sample of a window is given; the others are the trials. The
		// standard's cutoff takes it for a trial as well, so this can be above α.
		apt := tail(Window-1, APTCutoff(float64(h), alphaLog2, Window)-1, 1/values)
		mcv := min(1, values*tail(Window, mcvCutoff(float64(h), alphaLog2), 1/values)) // at most

		for _, k := range []struct {
			test   string
			theory float64
			limit  float64
		}{{RCT, rct, limit * Window}, {APT, apt, max(limit, windows*apt)}, {MCV, mcv, limit}} {
			seen := alarms(only(t, k.test, float64(h), alphaLog2), samples, k.test != RCT)
			t.Logf("%d %s  %6d %7.1f %8.1f", h, k.test, seen, windows*k.theory, k.limit)
			if k.test != MCV {
				within(t, k.test, seen, windows, k.theory)
			}
			if float64(seen) > k.limit+5*math.Sqrt(k.limit) {
				t.Errorf("h=%d %s: %d false alarms, at most %.0f allowed", h, k.test, seen, k.limit)
			}
		}
	}
}

// TestDetection is what the tests are for, at a claim of 6 bits and the default
// α: 1,000 runs of each broken source, each from a fresh start.
func TestDetection(t *testing.T) {
	const runs = 1000
	samples := make([]byte, 4*Window)
	detect := func(p float64, within uint64) {
		t.Helper()
		var latest uint64
		for range runs {
			fillBiased(samples, p)
			var f *Failure
			if !errors.As(newMonitor(t, 6, 40).Test(samples), &f) || f.At >= within {
				t.Errorf("p=%v: not stopped within %d samples: %v", p, within, f)
				return
			}
			latest = max(latest, f.At+1)
		}
		t.Logf("p=%.1f: stopped in %d of %d runs, at sample %d at the latest", p, runs, runs, latest)
	}
	detect(0.9, Window)
	detect(0.5, 4*Window)

	cutoff := RCTCutoff(6, DefaultAlphaLog2)
	for value := range runs { // stuck at each byte, zero first, after some good samples
		m := newMonitor(t, 6, 40)
		good := counting(value)
		var f *Failure
		for i := range samples {
			samples[i] = byte(value)
		}
		if err := m.Test(good); err != nil {
			t.Fatal(err)
		}
		if !errors.As(m.Test(samples), &f) || f.Test != RCT || f.At != uint64(value+cutoff-1) {
			t.Fatalf("stuck at one byte from sample %d: %v", value, f)
		}
	}
}

// TestMildBias prints how often one window catches a bias that is no breakdown,
// beside theory. At a claim of 6 bits the commonest byte may have p = 1/64.
func TestMildBias(t *testing.T) {
	const runs = 1000
	samples := make([]byte, runs*Window)
	rct, apt, mcv := RCTCutoff(6, 40), APTCutoff(6, 40, Window), mcvCutoff(6, 40)
	t.Log("share of windows stopped, H=6, alpha=2^-40 (seen/theory)")
	t.Log("    p        rct          apt          mcv     all")
	for _, p := range []float64{0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3} {
		fillBiased(samples, p)
		first := p * tail(Window-1, apt-1, p)
		theory := []float64{runWithin(Window, rct, p), first, tail(Window, mcv, p)}
		var seen []int
		for i, test := range []string{RCT, APT, MCV} {
			seen = append(seen, alarms(only(t, test, 6, 40), samples, true))
			within(t, test, seen[i], runs, theory[i])
		}
		all := alarms(newMonitor(t, 6, 40), samples, true)
		t.Logf("%5.2f  %.3f/%.3f  %.3f/%.3f  %.3f/%.3f  %.3f", p,
			float64(seen[0])/runs, theory[0], float64(seen[1])/runs, theory[1],
			float64(seen[2])/runs, theory[2], float64(all)/runs)
		if all < max(seen[0], seen[1], seen[2]) {
			t.Errorf("p=%v: all tests together caught %d, one alone %v", p, all, seen)
		}
	}
}

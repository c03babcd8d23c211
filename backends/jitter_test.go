package backends

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestWalkComesByEachWord holds the walk to its period: a shorter one would stay in
// the core's own caches.
func TestWalkComesByEachWord(t *testing.T) {
	w := newWalk()
	seen := make([]bool, jitterWords)
	lines := map[uint32]bool{} // of 64 bytes, in one sample
	for i := range jitterWords {
		if seen[w.at] {
			t.Fatalf("at word %d again after %d loads", w.at, i)
		}
		seen[w.at] = true
		if i < jitterLoads {
			lines[w.at/16] = true
		}
		w.walk(1)
	}
	if w.at != 0 {
		t.Errorf("it ends at word %d, not where it began", w.at)
	}
	if len(lines) < jitterLoads*9/10 {
		t.Errorf("one sample comes by %d lines of the cache, want about %d", len(lines), jitterLoads)
	}
}

func TestCounterStep(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   uint64
		jitter func(i int) uint64 // added to the delta
	}{
		{"one", 1, func(int) uint64 { return 0 }},
		{"two", 2, func(int) uint64 { return 0 }},
		{"three", 3, func(int) uint64 { return 0 }},
		{"26", 26, func(int) uint64 { return 0 }},
		{"26, scaled", 26, func(i int) uint64 { return uint64(i%3) - 1 }},
		{"26, with outliers", 26, func(i int) uint64 {
			if i%25 == 0 {
				return rand.Uint64N(1e6)
			}
			return 0
		}},
		{"1000", 1000, func(int) uint64 { return 0 }},
	} {
		deltas := make([]uint64, 4096)
		for i := range deltas {
			deltas[i] = c.step*(1+rand.Uint64N(200)) + c.jitter(i)
		}
		if got := counterStep(deltas); got != c.step {
			t.Errorf("%s: step %d", c.name, got)
		}
	}
}

// TestJitterSamples has a counter whose steps are known: a sample is their number,
// however the hypervisor scales them, and an outlier is one sample like any other.
func TestJitterSamples(t *testing.T) {
	for _, step := range []uint64{1, 26, 40} {
		var steps []uint64
		off := uint64(0)
		s, _, err := jitterSource{Config{Type: "jitter"}, func() func() uint64 {
			var now uint64
			return func() uint64 {
				n := 300 + rand.Uint64N(100)
				if rand.IntN(200) == 0 {
					n += rand.Uint64N(1e9)
				}
				steps = append(steps, n)
				now += step*n - off
				off = 0
				if step > 8 {
					off = rand.Uint64N(2) // this delta is one longer, and the next one shorter
				}
				now += off
				return now
			}
		}(), 1}.Open()
		check(t, err)
		defer s.Close()
		p := make([]byte, 1000)
		steps = steps[:0]
		n, err := s.Read(p)
		if n != jitterRead || err != nil {
			t.Fatalf("Read: %d, %v", n, err)
		}
		for i, got := range p[:n] {
			if want := byte(steps[i+1]); got != want { // the first reading is the begin
				t.Fatalf("step %d: sample %d is %d, want %d", step, i, got, want)
			}
		}
	}
}

func TestJitterRefuses(t *testing.T) {
	// The step is found with walks of many lengths, whose times differ whatever the
	// deltas are like.
	work := func(delta func() uint64) func() uint64 {
		reading := 0
		return steppedCounter(1, func() uint64 {
			if reading++; reading < 2*(1+jitterMeasured) {
				return 100 + rand.Uint64N(1000)
			}
			return delta()
		})
	}
	coin := func() uint64 { return 1000 + rand.Uint64N(2) }
	for _, c := range []struct {
		name    string
		counter func() uint64
		h       float64
		want    string // "" is none
	}{
		{"stands still", func() uint64 { return 7 }, 0, "too coarse: the work of a sample takes 0 of its steps"},
		{"coarse", steppedCounter(1000, func() uint64 { return rand.Uint64N(15) }), 0, "is too coarse"},
		{"counts instructions", work(func() uint64 { return 5000 }), 0, "hardly varies: 0.00 bits"},
		{"varies seldom", work(func() uint64 { return 5000 + rand.Uint64N(8)/7 }), 0, "hardly varies"},
		{"varies too little", work(func() uint64 { return 5000 + rand.Uint64N(10)/7 }), 0, "0.33 needs 0.67"},
		{"varies enough", work(coin), 0, ""},
		{"assessed, and less was measured", work(coin), 1.5, "a claim of 1.50 needs 1.50"},
		{"assessed", work(coin), 0.8, ""},
		{"emulated", steppedCounter(1, func() uint64 { return 500 + rand.Uint64N(500) }), 0, ""},
	} {
		s, info, err := jitterSource{Config{Type: "jitter", MinEntropy: c.h}, c.counter, 1}.Open()
		if c.want == "" {
			if err != nil || !strings.Contains(info.Detail, "most common value says") ||
				strings.Contains(info.Detail, "(emulated)") != (c.name == "emulated") {
				t.Errorf("%s: %+v, %v", c.name, info, err)
				continue
			}
			check(t, s.Close())
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "open jitter: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestJitterHere is this processor's. A rig of a software emulator may well have less.
func TestJitterHere(t *testing.T) {
	began := time.Now()
	s, info, err := build(t, Config{Type: "jitter"}).Open()
	check(t, err)
	defer s.Close()
	opened := time.Since(began)
	if info.Noise != NonPhysical || info.Origin != "cpu-jitter" || !info.Credited {
		t.Errorf("info %+v", info)
	}
	samples := make([]byte, 16*jitterRead)
	began = time.Now()
	for p := samples; len(p) > 0; {
		n, err := s.Read(p)
		check(t, err)
		p = p[n:]
	}
	took := time.Since(began)
	h := commonest(samples)
	t.Logf("opened in %v: %s; %.0f samples a second, most common value %.2f bits of %d",
		opened, info.Detail, float64(len(samples))/took.Seconds(), h, len(samples))
	if h < 2*info.MinEntropy {
		t.Errorf("measured %.2f bits a sample, and the claim is %.2f", h, info.MinEntropy)
	}
}

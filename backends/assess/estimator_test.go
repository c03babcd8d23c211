package assess

import (
	"bytes"
	"crypto/rand"
	"math"
	"strings"
	"testing"
)

func TestAConstantIsWorthNothing(t *testing.T) {
	for bits := 1; bits <= MaxBits; bits++ {
		for _, value := range []byte{0, 1, 1<<bits - 1} {
			if e := estimated(t, bits, bytes.Repeat([]byte{value}, 10_000)); e.Least() != 0 || math.Signbit(e.Least()) {
				t.Errorf("%d bits, always %d: %+v", bits, value, e)
			}
		}
	}
}

// TestIdealSamplesAreNearFull: bounds that an ideal source misses once in 10^9. The
// collision estimate is the lowest by its nature: near one half, the probability goes
// with the root of what the mean is off.
func TestIdealSamplesAreNearFull(t *testing.T) {
	samples := make([]byte, 1<<18)
	for bits := 1; bits <= MaxBits; bits++ {
		_, _ = rand.Read(samples)
		for i := range samples {
			samples[i] &= 1<<bits - 1
		}
		e := estimated(t, bits, samples)
		full := float64(bits)
		if e.Collision < 0.78*full || e.MCV < full-0.4 || e.Markov < 0.97*full {
			t.Errorf("%d bits: %+v", bits, e)
		}
	}
}

// TestEachEstimatorSeesItsOwn: what one is made for the others may miss.
func TestEachEstimatorSeesItsOwn(t *testing.T) {
	noise := make([]byte, 1<<18)
	_, _ = rand.Read(noise)
	for i := range noise {
		if noise[i] < 64 {
			noise[i] = 7
		}
	}
	if e := estimated(t, 8, noise); e.MCV > 2 || e.MCV < 1.9 {
		t.Errorf("a fourth of the samples is 7: %+v", e)
	}
	steps := make([]byte, 2*len(noise))
	_, _ = rand.Read(steps)
	var last byte
	for i := range noise { // each bit is that before it three times of four
		for b := range 8 {
			last ^= steps[2*i] & steps[2*i+1] >> b & 1
			noise[i] = noise[i]<<1 | last
		}
	}
	want := -8 * math.Log2(0.75)
	if e := estimated(t, 8, noise); !near(e.Markov, want, 0.2) || e.MCV < e.Markov {
		t.Errorf("bits that stick: %+v, and the Markov estimate is to be near %.2f", e, want)
	}
}

func TestTooFewSamplesAreWorthNothing(t *testing.T) {
	for _, samples := range [][]byte{nil, {0xa5}} {
		if e := estimated(t, 8, samples); e.Least() != 0 || e.Samples != uint64(len(samples)) {
			t.Errorf("%d samples: %+v", len(samples), e)
		}
	}
}

func TestWidth(t *testing.T) {
	for _, bits := range []int{-1, 0, 9} {
		if _, err := New(bits); err == nil {
			t.Errorf("%d bits are taken", bits)
		}
	}
	e, err := New(4)
	if err != nil {
		t.Fatal(err)
	}
	n, err := e.Write([]byte{1, 15, 16, 2})
	if n != 2 || err == nil || !strings.Contains(err.Error(), "sample 3 has more than 4 bits") || e.Estimates().Samples != 2 {
		t.Errorf("%d taken: %v", n, err)
	}
}

func BenchmarkEstimator(b *testing.B) {
	samples := make([]byte, 1<<16)
	_, _ = rand.Read(samples)
	e, _ := New(8)
	b.SetBytes(int64(len(samples)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = e.Write(samples)
	}
}

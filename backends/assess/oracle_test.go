package assess

import (
	"math"
	"testing"
)

// naive is the standard read step by step, over all the bits at once.
type naive struct{ bits []byte }

func naiveOf(width int, samples []byte) (n naive) {
	for _, s := range samples {
		for b := width; b > 0; b-- {
			n.bits = append(n.bits, s>>(b-1)&1)
		}
	}
	return n
}

// collision is §6.3.2 with the bisection of step 7, and F as in its step 7 and
// Appendix G.1: F(1/z) = Γ(3,z) z^-3 e^z, where Γ(3,z) = (z²+2z+2) e^-z.
func (n naive) collision() float64 {
	var t []float64
	for i := 0; i < len(n.bits); {
		j := i + 1
		for j < len(n.bits) && !collides(n.bits[i:j+1]) {
			j++
		}
		if j == len(n.bits) {
			break
		}
		t = append(t, float64(j-i+1))
		i = j + 1
	}
	if len(t) < 2 {
		return 0
	}
	var mean, squares float64
	for _, v := range t {
		mean += v / float64(len(t))
	}
	for _, v := range t {
		squares += (v - mean) * (v - mean)
	}
	bound := mean - z*math.Sqrt(squares/float64(len(t)-1))/math.Sqrt(float64(len(t)))
	expected := func(p float64) float64 {
		q := 1 - p
		f := (1/(q*q) + 2/q + 2) * q * q * q
		return p/(q*q)*(1+0.5*(1/p-1/q))*f - p/q*0.5*(1/p-1/q)
	}
	if bound >= expected(0.5) {
		return 1
	}
	low, high := 0.5, 1.0
	for range 60 {
		if p := (low + high) / 2; expected(p) > bound {
			low = p
		} else {
			high = p
		}
	}
	return -math.Log2(low)
}

func collides(bits []byte) bool {
	seen := map[byte]bool{}
	for _, b := range bits {
		if seen[b] {
			return true
		}
		seen[b] = true
	}
	return false
}

// markov is §6.3.3 with its six sequences written out.
func (n naive) markov() float64 {
	if len(n.bits) < 2 {
		return 0
	}
	count := func(pattern ...byte) (c float64) {
		for i := 0; i+len(pattern) <= len(n.bits); i++ {
			if string(n.bits[i:i+len(pattern)]) == string(pattern) {
				c++
			}
		}
		return c
	}
	share := func(a, b float64) float64 {
		if a+b == 0 {
			return 0
		}
		return a / (a + b)
	}
	p0, p1 := share(count(0), count(1)), share(count(1), count(0))
	p00, p01 := share(count(0, 0), count(0, 1)), share(count(0, 1), count(0, 0))
	p10, p11 := share(count(1, 0), count(1, 1)), share(count(1, 1), count(1, 0))
	most := 0.0
	for _, p := range []float64{
		p0 * math.Pow(p00, 127),
		p0 * math.Pow(p01, 64) * math.Pow(p10, 63),
		p0 * p01 * math.Pow(p11, 126),
		p1 * p10 * math.Pow(p00, 126),
		p1 * math.Pow(p10, 64) * math.Pow(p01, 63),
		p1 * math.Pow(p11, 127),
	} {
		most = max(most, p)
	}
	return min(1, -math.Log2(most)/128)
}

// FuzzEstimates holds the estimators to the standard read naively, and to the bounds
// that the package promises.
func FuzzEstimates(f *testing.F) {
	f.Add([]byte("abracadabra, and some more of it"), uint8(8), uint8(3))
	f.Add([]byte{0, 0, 0, 0, 0, 1}, uint8(1), uint8(0))
	f.Add([]byte{1, 0, 1, 0, 1, 0, 1, 0, 1}, uint8(1), uint8(4))
	f.Fuzz(func(t *testing.T, samples []byte, width, cut uint8) {
		bits := 1 + int(width)%MaxBits
		for i := range samples {
			samples[i] &= 1<<bits - 1
		}
		e := estimated(t, bits, samples)
		full := float64(bits)
		for _, h := range []float64{e.MCV, e.Collision, e.Markov} {
			if !(h >= 0 && h <= full) {
				t.Fatalf("out of bounds: %+v", e)
			}
		}
		pieces, _ := New(bits)
		at := min(int(cut), len(samples))
		for _, piece := range [][]byte{samples[:at], nil, samples[at:]} {
			if n, err := pieces.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if pieces.Estimates() != e {
			t.Fatalf("in pieces: %+v, at once: %+v", pieces.Estimates(), e)
		}
		n := naiveOf(bits, samples)
		// The expression of step 7 cancels out where p is near 1.
		if want := full * n.collision(); !near(e.Collision, want, 1e-4) {
			t.Fatalf("collision %v, naively %v", e.Collision, want)
		}
		if want := full * n.markov(); !near(e.Markov, want, 1e-9) {
			t.Fatalf("Markov %v, naively %v", e.Markov, want)
		}
	})
}

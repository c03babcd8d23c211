package health

import (
	"math"
	"math/big"
	"testing"
)

func TestRCTCutoffAgainstTheStandard(t *testing.T) {
	for _, c := range []struct {
		h         float64
		alphaLog2 int
		want      int
	}{
		{7.3, 20, 4}, // the example in SP 800-90B §4.4.1
		{1, 20, 21}, {0.5, 20, 41}, {2, 20, 11}, {4, 20, 6}, {6, 20, 5}, {8, 20, 4},
		{1, 30, 31}, {1, 40, 41}, {2, 40, 21}, {6, 40, 8}, {8, 40, 6}, {8, 10, 3},
		{1e-300, 40, math.MaxInt32},
	} {
		if got := RCTCutoff(c.h, c.alphaLog2); got != c.want {
			t.Errorf("RCTCutoff(%v, %d) = %d, want %d", c.h, c.alphaLog2, got, c.want)
		}
	}
}

func TestAPTCutoffAgainstTheStandard(t *testing.T) {
	for _, c := range []struct { // SP 800-90B §4.4.2, table 2: α = 2^-20
		h            float64
		window, want int
	}{
		{0.2, 1024, 941}, {0.4, 1024, 840}, {0.6, 1024, 748}, {0.8, 1024, 664}, {1, 1024, 589},
		{0.5, 512, 410}, {1, 512, 311}, {2, 512, 177}, {4, 512, 62}, {8, 512, 13},
	} {
		if got := APTCutoff(c.h, 20, c.window); got != c.want {
			t.Errorf("APTCutoff(%v, 20, %d) = %d, want %d", c.h, c.window, got, c.want)
		}
	}
}

// exactCutoff is the definition in whole numbers: the smallest c with
// Σ_{k>=c} C(W,k) a^k (d-a)^(W-k) <= α d^W, where p = a/d.
func exactCutoff(h float64, alphaLog2, window int) int {
	p := new(big.Rat).SetFloat64(math.Exp2(-h))
	a, d := p.Num(), p.Denom()
	q := new(big.Int).Sub(d, a)
	w := big.NewInt(int64(window))
	bound := new(big.Int).Exp(d, w, nil)
	bound.Rsh(bound, uint(alphaLog2))
	tail := new(big.Int)
	for k := window; k > 0; k-- {
		n := big.NewInt(int64(k))
		term := new(big.Int).Binomial(int64(window), int64(k))
		term.Mul(term, new(big.Int).Exp(a, n, nil))
		term.Mul(term, new(big.Int).Exp(q, n.Sub(w, n), nil))
		if tail.Add(tail, term).Cmp(bound) > 0 {
			return k + 1
		}
	}
	return 1
}

func TestAPTCutoffIsTheExactOne(t *testing.T) {
	// 40/512 is where the tail of a window of equal samples is α itself.
	for _, h := range []float64{0.01, 40.0 / 512, 0.5, 1, 2, 3.3, 6, 8} {
		for _, alphaLog2 := range []int{10, 20, 40, 68} {
			got, want := APTCutoff(h, alphaLog2, Window), exactCutoff(h, alphaLog2, Window)
			if got != want {
				t.Errorf("APTCutoff(%v, %d, %d) = %d, want %d", h, alphaLog2, Window, got, want)
			}
		}
	}
}

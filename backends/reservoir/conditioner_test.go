package reservoir

import (
	"crypto/sha512"
	"fmt"
	"math"
	"testing"
)

func TestPerSample(t *testing.T) {
	for _, h := range []float64{0, -1, 8.0001, math.NaN(), math.Inf(1), math.Inf(-1), 1e-10} {
		if c, err := perSample(h); err == nil {
			t.Errorf("perSample(%v) = %d, want an error", h, c)
		}
	}
	for _, test := range []struct {
		h       float64
		samples int64 // that make a full share
	}{
		{8, 72},
		{6, 96},
		{2, 288},
		{1, 576},
		{0.5, 1152},
		{4.8, 121}, // the float64 nearest to 4.8 is below it
	} {
		each, err := perSample(test.h)
		if err != nil {
			t.Fatal(err)
		}
		if float64(each)/float64(bit) > test.h {
			t.Errorf("perSample(%v) is rounded up", test.h)
		}
		if got := int64((fullShare + each - 1) / each); got != test.samples {
			t.Errorf("at %v bits: %d samples make a share, want %d", test.h, got, test.samples)
		}
	}
}

func TestScrub(t *testing.T) {
	h := sha512.New()
	h.Write([]byte("samples that must not stay in memory"))
	fresh, used := fmt.Sprint(sha512.New()), fmt.Sprint(h)
	if used == fresh {
		t.Fatal("this test cannot see into the hash")
	}
	scrub(h)
	if fmt.Sprint(h) != fresh {
		t.Error("samples stay in the hash after scrub")
	}
}

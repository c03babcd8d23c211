package load

import "testing"

func TestQuantile(t *testing.T) {
	all := []float64{4, 1, 3, 2}
	for p, want := range map[float64]float64{0: 1, 0.25: 1.75, 0.5: 2.5, 1: 4} {
		if got := Quantile(all, p); got != want {
			t.Errorf("%v of %v is %v, want %v", p, all, got, want)
		}
	}
	if all[0] != 4 {
		t.Error("the values were put into another order: they belong to rounds")
	}
}

package load

import "slices"

// Quantile is the value below which the part p of all is, between two of them where it
// falls there.
func Quantile(all []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

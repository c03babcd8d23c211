package wiretest

const period = 4093 // prime: no buffer size or request length divides it

var pattern = func() (b [period]byte) {
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223 // Numerical Recipes' generator; never zero below
		b[i] = byte(x>>24) | 1
	}
	return b
}()

// Pattern fills p with the bytes that every fake tap gives from offset at on.
// None of them is zero, so that a buffer that was cleared can be told from one
// that was not.
func Pattern(p []byte, at uint64) {
	i := int(at % period)
	for len(p) > 0 {
		n := copy(p, pattern[i:])
		p, i = p[n:], 0
	}
}

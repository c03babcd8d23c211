package backends

import "testing"

func init() {
	if !hasRDRAND() {
		return // TestInstructionMissing has what it says then
	}
	subjects["rdrand"] = func(t *testing.T, h float64) subject {
		return subject{source: build(t, Config{Type: "rdrand", MinEntropy: h})}
	}
}

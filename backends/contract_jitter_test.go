package backends

import (
	"math/rand/v2"
	"testing"
)

func init() {
	subjects["jitter"] = func(t *testing.T, h float64) subject {
		c := Config{Type: "jitter", MinEntropy: h}
		if h == 0 {
			return subject{source: build(t, c), assumed: jitterMinEntropy}
		}
		// An assessed claim is held against what the machine under the test happens to
		// measure, which is no matter of the contract.
		return subject{source: jitterSource{c, steppedCounter(1, func() uint64 { return 1000 + rand.Uint64N(256) }), 1}}
	}
}

// steppedCounter goes on at each reading by as many steps as advance says.
func steppedCounter(step uint64, advance func() uint64) func() uint64 {
	var now uint64
	return func() uint64 {
		now += step * advance()
		return now
	}
}

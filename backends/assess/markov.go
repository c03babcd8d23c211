package assess

import "math"

// markovLength is the number of bits whose likeliest sequence is looked for (SP
// 800-90B §6.3.3 step 3).
const markovLength = 128

// markov takes every bit for one that depends on the bit before it (§6.3.3).
type markov struct {
	last  byte
	n     uint64
	ones  uint64
	pairs [2][2]uint64 // how often a bit was followed by another
}

func (m *markov) add(bit byte) {
	if m.n > 0 {
		m.pairs[m.last][bit]++
	}
	m.n++
	m.ones += uint64(bit)
	m.last = bit
}

// estimate is in bits of min-entropy a bit. The likeliest sequence of 128 bits stays,
// alternates, or stays after one change (table of step 3): its probability is that of
// the first bit times those of the 127 steps.
func (m *markov) estimate() float64 {
	if m.n < 2 {
		return 0
	}
	start := [2]float64{cost(m.n-m.ones, m.n), cost(m.ones, m.n)}
	var step [2][2]float64
	for from, to := range m.pairs {
		step[from] = [2]float64{cost(to[0], to[0]+to[1]), cost(to[1], to[0]+to[1])}
	}
	const steps = markovLength - 1
	least := math.Inf(1)
	for a := range 2 {
		b := 1 - a
		least = min(least,
			start[a]+steps*step[a][a],                          // 000...
			start[a]+(steps+1)/2*step[a][b]+steps/2*step[b][a], // 0101...
			start[a]+step[a][b]+(steps-1)*step[b][b])           // 0111...
	}
	return min(1, least/markovLength)
}

// cost is a probability in bits: what never happened costs more than anything.
func cost(n, of uint64) float64 {
	if n == 0 {
		return math.Inf(1)
	}
	return -math.Log2(float64(n) / float64(of))
}

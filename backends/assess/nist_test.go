package assess

import (
	"math"
	"testing"
)

func near(got, want, by float64) bool { return math.Abs(got-want) <= by }

// estimated gives the estimates of samples, each one a byte.
func estimated(t testing.TB, bits int, samples []byte) Estimates {
	t.Helper()
	e, err := New(bits)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(samples); err != nil {
		t.Fatal(err)
	}
	return e.Estimates()
}

// TestExamplesOfTheStandard are those of SP 800-90B §6.3.1 to §6.3.3: the probability
// to the four digits that it prints, and the estimate, of which it takes the logarithm
// after it has rounded, to one in the fourth.
func TestExamplesOfTheStandard(t *testing.T) {
	bits := []byte{1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0,
		1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0}
	both := estimated(t, 1, bits)
	for name, c := range map[string]struct{ got, p, want float64 }{
		"most common value": {estimated(t, 2, []byte{0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 0, 1, 1, 0, 2, 2, 1, 0, 2, 1}).MCV, 0.6895, 0.5363},
		"collision":         {both.Collision, 0.7329, 0.4483},
	} {
		if p := math.Exp2(-c.got); !near(p, c.p, 0.00005) || !near(c.got, c.want, 0.0001) {
			t.Errorf("%s: %.5f, of probability %.5f; the standard has %v, of %v", name, c.got, p, c.want, c.p)
		}
	}
	if !near(both.Markov, 0.761, 0.0005) {
		t.Errorf("Markov: %.5f, and the standard has 0.761", both.Markov)
	}
}

// TestResultsOfNISTsOwnProgram holds the estimators to what the self-test of NIST's
// SP800-90B_EntropyAssessment prints for its data sets, from the same counts: of a
// data set itself nothing more is needed. The Markov estimate's counts are those
// whose quotients it prints.
func TestResultsOfNISTsOwnProgram(t *testing.T) {
	for name, c := range map[string]struct {
		most, n uint64 // of the commonest sample; of samples
		mcv     float64

		collisions, consumed uint64 // how many, and the bits in them
		collision            float64

		bits     uint64
		p0       float64 // of a 0
		p00, p10 float64 // of a 0 after a 0, and after a 1
		markov   float64
	}{
		"truerand_8bit": {
			4124, 1000000, 7.8651180028995897,
			3199626, 8000000, 0.95840629541836875,
			8000000, 0.49983087500000001, 0.49985620132414821, 0.49980544080964612, 0.99943930316686191,
		},
		"truerand_4bit": {
			63134, 1000000, 3.9711943367296096,
			1600177, 3999998, 0.92836094530468272,
			4000000, 0.49985675000000002, 0.49989797071759595, 0.4998158027725057, 0.99946953975472053,
		},
		"normal": {
			19943, 1000000, 5.6221552772047749,
			3170586, 7999999, 1,
			8000000, 0.49917675, 0.4969995597751698, 0.50134690765327583, 0.9937925432957424,
		},
		"biased-random-bytes": {
			800234, 1000000, 0.31965065183818203,
			3820717, 7999999, 0.072705888458523521,
			8000000, 0.89983625, 0.93878927121313338, 0.54989704359111957, 0.091604387916422433,
		},
		"data.pi": {
			662972, 1165666, 0.81114057970407438,
			477455, 1165666, 0.56953759345777466,
			1165666, 0.43125046110978615, 0.48045928537042415, 0.39393879973633839, 0.72318078199004532,
		},
		"ringOsc-nist": {
			500965, 1000000, 0.99351406876115855,
			464012, 999999, 0.12644573619605429,
			1000000, 0.50096499999999999, 0.83963917566930957, 0.16098269660444658, 0.2579793924501087,
		},
		"rand4_short": {
			659, 10000, 3.7900373902139739,
			15952, 40000, 0.89817944838102126,
			40000, 0.50082499999999996, 0.49755391373801916, 0.50413181749887315, 0.99061680777094752,
		},
	} {
		if got := mostCommonValue(c.most, c.n); !near(got, c.mcv, 1e-13) {
			t.Errorf("%s: most common value: %.16f, want %.16f", name, got, c.mcv)
		}
		// The bits that collisions consume are twos and threes.
		three := c.consumed - 2*c.collisions
		bits := collision{twos: c.collisions - three, three: three}
		if got := within(bits.estimate(), 1); !near(got, c.collision, 1e-10) {
			t.Errorf("%s: collision: %.16f, want %.16f", name, got, c.collision)
		}
		m, ok := counts(c.bits, c.p0, c.p00, c.p10)
		if got := within(m.estimate(), 1); !ok || !near(got, c.markov, 1e-13) {
			t.Errorf("%s: Markov: %.16f, want %.16f; counts found: %v", name, got, c.markov, ok)
		}
	}
}

// counts finds the whole numbers that have these quotients. Whether the last bit,
// which nothing follows, is a 0 or a 1 only one of the two allows.
func counts(n uint64, p0, p00, p10 float64) (m markov, ok bool) {
	zeros := uint64(math.Round(p0 * float64(n)))
	for last := range uint64(2) {
		followed0, followed1 := zeros-(1-last), n-zeros-last
		n00, n10 := math.Round(p00*float64(followed0)), math.Round(p10*float64(followed1))
		if near(n00/float64(followed0), p00, 1e-15) && near(n10/float64(followed1), p10, 1e-15) {
			m = markov{n: n, ones: n - zeros}
			m.pairs[0] = [2]uint64{uint64(n00), followed0 - uint64(n00)}
			m.pairs[1] = [2]uint64{uint64(n10), followed1 - uint64(n10)}
			return m, true
		}
	}
	return m, false
}

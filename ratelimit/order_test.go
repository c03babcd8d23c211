package ratelimit

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// oracle is the order as one would explain it: exact fractions, no heap, no
// wrap-around; look at all who wait and take the first.
type oracle struct {
	virtual *big.Rat
	flows   map[*flow]*oracleFlow
}

type oracleFlow struct {
	finish *big.Rat
	waits  bool
	first  bool
	came   int
}

func (o *oracle) turn(f *flow, n int) *big.Rat {
	return new(big.Rat).Mul(big.NewRat(int64(n), 1), big.NewRat(scale, f.weight))
}

func (o *oracle) settle(f *flow, first bool) *oracleFlow {
	turn := o.turn(f, Quantum)
	of := o.flows[f]
	if of == nil {
		phase := new(big.Rat).Mul(turn, big.NewRat(f.phase, 1<<20))
		if first {
			phase.Sub(phase, turn)
		}
		of = &oracleFlow{finish: phase}
		o.flows[f] = of
	}
	if oldest := new(big.Rat).Sub(o.virtual, turn); of.finish.Cmp(oldest) < 0 {
		of.finish = oldest
	}
	return of
}

func (o *oracle) pay(f *flow, of *oracleFlow, n int, first bool) {
	if !first && of.finish.Cmp(o.virtual) > 0 {
		o.virtual = new(big.Rat).Set(of.finish)
	}
	of.finish = new(big.Rat).Add(of.finish, o.turn(f, n))
}

func (o *oracle) next() *flow {
	var best *flow
	for f, of := range o.flows {
		if !of.waits {
			continue
		}
		if best == nil || of.before(o.flows[best]) {
			best = f
		}
	}
	return best
}

func (of *oracleFlow) before(other *oracleFlow) bool {
	if of.first != other.first {
		return of.first
	}
	if c := of.finish.Cmp(other.finish); c != 0 && !of.first {
		return c < 0
	}
	return of.came < other.came
}

// The order serves whom the oracle serves, on random schedules, also when
// virtual time wraps around. Weights are powers of two: no rounding.
func TestOrderAgreesWithTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]int64{0, math.MaxInt64 - 1e9, -1e9}).Draw(t, "virtual")
		o := &order{virtual: start}
		o.begin()
		ref := &oracle{virtual: new(big.Rat), flows: map[*flow]*oracleFlow{}}
		flows := make([]*flow, rapid.IntRange(1, 12).Draw(t, "flows"))
		for i := range flows {
			flows[i] = o.newFlow(1 << rapid.IntRange(0, 4).Draw(t, "weight"))
			flows[i].phase &^= 1<<6 - 1 // phase times turn without rounding
		}
		came := 0
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			f := rapid.SampledFrom(flows).Draw(t, "flow")
			n := rapid.IntRange(1, Quantum).Draw(t, "n")
			switch op := rapid.SampledFrom([]string{"join", "join", "serve", "serve", "leave", "charge"}).Draw(t, "op"); {
			case op == "join" && f.index < 0:
				came++
				first := rapid.IntRange(0, 9).Draw(t, "first") == 0
				of := ref.settle(f, first)
				of.waits, of.first, of.came = true, first, came
				o.join(f, n, first)
			case op == "leave" && f.index >= 0:
				ref.flows[f].waits = false
				o.leave(f)
			case op == "charge" && f.index < 0:
				first := rapid.Bool().Draw(t, "first")
				ref.pay(f, ref.settle(f, first), n, first)
				o.charge(f, n, first)
			case op == "serve":
				got, want := o.next(), ref.next()
				if got != want {
					t.Fatalf("serves flow of weight %v, the oracle another", got)
				}
				if got == nil {
					continue
				}
				of := ref.flows[got]
				of.waits = false
				ref.pay(got, of, got.n, of.first)
				o.serve(got, got.n)
			}
		}
	})
}

// waterfill is the weighted max-min share: nobody gets more than they ask, and
// what one leaves is shared by the others.
func waterfill(supply float64, weights, demands []float64) []float64 {
	share := make([]float64, len(weights))
	open := map[int]bool{}
	for i := range weights {
		open[i] = true
	}
	for len(open) > 0 {
		var w float64
		for i := range open {
			w += weights[i]
		}
		full := -1
		for i := range open {
			if demands[i] <= supply*weights[i]/w {
				full = i
				break
			}
		}
		if full < 0 {
			for i := range open {
				share[i] = supply * weights[i] / w
			}
			return share
		}
		share[full] = demands[full]
		supply -= demands[full]
		delete(open, full)
	}
	return share
}

// Flows that ask at different rates, in requests of different sizes, get the
// weighted max-min share within 1% of the supply's share, or four requests.
func TestOrderSharesMaxMin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rounds, perRound = 1000, 640 // bytes of supply
		count := rapid.IntRange(2, 10).Draw(t, "flows")
		o := &order{}
		o.begin()
		flows := make([]*flow, count)
		weights, demands := make([]float64, count), make([]float64, count)
		sizes, backlog, got := make([]int, count), make([]float64, count), make([]float64, count)
		for i := range flows {
			w := rapid.IntRange(1, 20).Draw(t, "weight")
			flows[i], weights[i] = o.newFlow(w), float64(w)
			sizes[i] = rapid.IntRange(8, Quantum).Draw(t, "size")
			demands[i] = rapid.Float64Range(1, 2*perRound).Draw(t, "demand")
		}
		var supply int
		for range rounds {
			supply += perRound
			for i, f := range flows {
				backlog[i] += demands[i]
				if f.index < 0 && backlog[i] >= float64(sizes[i]) {
					o.join(f, sizes[i], false)
				}
			}
			for f := o.next(); f != nil && supply >= f.n; f = o.next() {
				supply -= f.n
				o.serve(f, f.n)
				for i := range flows {
					if flows[i] == f {
						got[i] += float64(f.n)
						backlog[i] -= float64(f.n)
						if backlog[i] >= float64(sizes[i]) {
							o.join(f, sizes[i], false)
						}
					}
				}
			}
			if o.next() == nil {
				supply = 0 // the rest of this round is nobody's
			}
		}
		want := waterfill(perRound, weights, demands)
		for i := range want {
			want := want[i] * rounds
			if d := math.Abs(got[i] - want); d > 0.01*want+4*Quantum {
				t.Errorf("flow %d (weight %.0f, asks %.1f a round) got %.0f, its share is %.0f",
					i, weights[i], demands[i], got[i], want)
			}
		}
	})
}

// crowd is an order in which 333 flows of each class wait all the time.
type crowd struct {
	*order
	flows []*flow
}

var classes = []int{1, 2, 4}

func newCrowd(first bool) crowd {
	c := crowd{order: &order{}}
	c.begin()
	for i := range 999 {
		c.flows = append(c.flows, c.newFlow(classes[i%3]))
		c.join(c.flows[i], Quantum, first)
	}
	return c
}

// serve serves n requests and returns what each class got of its share.
func (c crowd) serve(n int) map[int]float64 {
	got := map[int]float64{}
	for range n {
		f := c.next()
		c.order.serve(f, Quantum)
		c.join(f, Quantum, false)
		got[int(f.weight)] += 7 / float64(n) / float64(f.weight)
	}
	return got
}

func (c crowd) check(t *testing.T, after string) {
	t.Helper()
	for w, share := range c.serve(18_750) {
		if math.Abs(share-1) > 0.01 {
			t.Errorf("%s: the class of weight %d got %.4f of its share", after, w, share)
		}
	}
}

// Over any stretch, not only from the start, a class of many flows gets its
// share within 1%, although each flow gets only a handful of requests.
func TestOrderSpreadsTheTurnsOfAClass(t *testing.T) {
	c := newCrowd(false)
	c.check(t, "from the start")
	for _, skip := range []int{100, 777, 1234} {
		c.serve(skip)
		c.check(t, "later")
	}
}

// Where a shortage begins with all guests fresh, as after a start, each has its
// first bytes, and from then on each class its share.
func TestAMassStartFavoursNoClass(t *testing.T) {
	c := newCrowd(true)
	c.serve(len(c.flows))
	c.check(t, "after the first bytes")
}

func TestAnAdvanceIsPaidBack(t *testing.T) {
	o := &order{}
	o.begin()
	greedy := make([]*flow, 9)
	for i := range greedy {
		greedy[i] = o.newFlow(1)
		o.join(greedy[i], Quantum, false)
	}
	restless := o.newFlow(1) // reconnects before each request
	got := map[*flow]int{}
	for range 10_000 {
		if restless.index < 0 {
			o.join(restless, Quantum, !o.indebted(restless))
		}
		f := o.next()
		o.serve(f, Quantum)
		got[f]++
		if f != restless {
			o.join(f, Quantum, false)
		}
	}
	if d := got[restless] - 1000; d < -1 || d > 2 {
		t.Errorf("one of ten that reconnects all the time got %d of 10,000 turns", got[restless])
	}
}

package ratelimit

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// thinker reads 64 bytes at a time, as a Linux guest does, and takes some time to
// ask for the next.
type thinker struct {
	limits Limits
	think  func() time.Duration
	tap    *Tap
}

func between(least, most time.Duration) func() time.Duration {
	return func() time.Duration { return least + time.Duration(rand.Int64N(int64(most-least))) }
}

// share lets thinkers loose on a supply that comes in bursts, and gives what each
// had after that time, and what had come.
func share(t *testing.T, thinkers []*thinker, burst int, every, over time.Duration) (came int) {
	t.Helper()
	supply, s := setup(0, Options{Plenty: 28 << 10})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, g := range thinkers {
		g.tap = s.NewTap(g.limits)
		running.Go(func() {
			p := make([]byte, Quantum)
			for {
				for have := 0; have < len(p); {
					n, err := g.tap.ReadContext(ctx, p[have:])
					if err != nil {
						return
					}
					have += n
				}
				time.Sleep(g.think())
			}
		})
	}
	for start := time.Now(); time.Since(start) < over; came += burst {
		time.Sleep(every)
		supply.add(burst)
	}
	synctest.Wait()
	stop()
	running.Wait()
	return came
}

// A burst is shared by weight although each guest has one request on its way, so
// that after its turn the others' are the only ones there.
func TestBurstsAreSharedByWeight(t *testing.T) {
	for name, c := range map[string]struct {
		weights []int
		think   func() time.Duration
		burst   int
	}{
		"two, quick":             {[]int{1, 3}, between(100*time.Microsecond, time.Millisecond), 7 * Quantum},
		"two, slow":              {[]int{1, 3}, between(5*time.Millisecond, 30*time.Millisecond), 7 * Quantum},
		"three":                  {[]int{1, 2, 4}, between(time.Millisecond, 10*time.Millisecond), 7 * Quantum},
		"blocks one by one":      {[]int{1, 3}, between(time.Millisecond, 10*time.Millisecond), Quantum},
		"half a block at a time": {[]int{1, 3}, between(time.Millisecond, 10*time.Millisecond), Quantum / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var thinkers []*thinker
				sum := 0
				for _, w := range c.weights {
					thinkers = append(thinkers, &thinker{limits: Limits{Weight: w}, think: c.think})
					sum += w
				}
				every := time.Duration(c.burst) * time.Second / 2000
				came := share(t, thinkers, c.burst, every, 2*time.Minute)
				had := uint64(0)
				for _, g := range thinkers {
					had += g.tap.Stats().Bytes
				}
				if had < uint64(came-heldBack-c.burst) {
					t.Errorf("%d bytes of %d were given", had, came)
				}
				for i, g := range thinkers {
					want := float64(had) * float64(c.weights[i]) / float64(sum)
					if got := float64(g.tap.Stats().Bytes); got < want*0.99 || got > want*1.01 {
						t.Errorf("weight %d got %.0f bytes of %d, want %.0f", c.weights[i], got, had, want)
					}
				}
			})
		})
	}
}

// Nothing is lost by waiting for who does not come: a heavy guest that asks now and
// then, or whose own rate is low, leaves all that it does not take to the other.
func TestWhatTheAbsentLeaveGoesToTheOthers(t *testing.T) {
	for name, heavy := range map[string]*thinker{
		"asks seldom":       {limits: Limits{Weight: 100}, think: between(200*time.Millisecond, 400*time.Millisecond)},
		"asks just in time": {limits: Limits{Weight: 100}, think: between(grace-5*time.Millisecond, grace-time.Millisecond)},
		"has a low rate":    {limits: Limits{Weight: 100, Rate: 200, Burst: 64}, think: between(0, time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				light := &thinker{limits: Limits{Weight: 1}, think: between(0, time.Millisecond)}
				came := share(t, []*thinker{heavy, light}, 7*Quantum, 224*time.Millisecond, 2*time.Minute)
				had := int(heavy.tap.Stats().Bytes + light.tap.Stats().Bytes)
				t.Logf("of %d bytes the heavy one took %d", came, heavy.tap.Stats().Bytes)
				if had < came-heldBack-7*Quantum {
					t.Errorf("%d of %d bytes were given", had, came)
				}
			})
		})
	}
}

// A flow that is gone for good is waited for no longer.
func TestNobodyWaitsForAClosedTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(0, Options{Plenty: 28 << 10})
		heavy, light := s.NewTap(Limits{Weight: 100}), s.NewTap(Limits{Weight: 1})
		p := make([]byte, Quantum)
		read := func(tap *Tap) chan int {
			done := make(chan int, 1)
			go func() { n, _ := tap.Read(p); done <- n }()
			synctest.Wait()
			return done
		}
		first := read(heavy)
		supply.add(Quantum)
		<-first
		one := read(light)
		supply.add(Quantum)
		<-one // light is ahead of its share now
		second := read(heavy)
		supply.add(Quantum)
		<-second
		other := read(light)
		supply.add(Quantum)
		synctest.Wait()
		select {
		case <-other:
			t.Fatal("the heavy one was not waited for")
		default:
		}
		if err := heavy.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-other:
		default:
			t.Fatal("a closed tap is waited for")
		}
	})
}

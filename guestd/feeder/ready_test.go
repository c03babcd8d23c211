//go:build linux

package feeder

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headgate/guestd/pipe"
	"headgate/wire/feed"
)

// A kernel that was not credited enough has no seed: nothing says that it has, and
// it is asked for more at once and not at the interval.
func TestSeedIsOneOfTheKernels(t *testing.T) {
	none, _ := ParseCredit("none")
	for name, c := range map[string]struct {
		credit  Credit
		claim   int
		bad     bool // the first batch fails a health test
		seeded  bool
		batches int // that it takes
		err     string
	}{
		"full claim":   {claim: 8, seeded: true, batches: 1},
		"a low claim":  {claim: 1, seeded: true, batches: 4},
		"no credit":    {claim: 8, credit: none, err: "/dev/port: mixed, but not enough was credited"},
		"on probation": {claim: 8, bad: true, seeded: true, batches: 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newFake(pipe.PortKind, true)
				p.claim = c.claim
				if c.bad {
					p.batches <- fresh(make([]byte, 64))
				}
				b := newBench(p)
				b.Credit = c.credit
				b.pool.needs.Store(256)
				start := time.Now()
				err := b.Seed(5 * time.Second)
				r := b.state.Load()
				if c.seeded {
					if err != nil || r.Seeded.IsZero() || b.pool.bits < 256 || b.pool.reseeds != 1 || r.Error != "" || time.Since(start) > time.Second {
						t.Errorf("%v after %v, pool %+v, %+v", err, time.Since(start), &b.pool, *r)
					}
					if n := p.requests(); n > c.batches {
						t.Errorf("asked %d times: %v", n, p.asked)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.err) || time.Since(start) != 5*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if !r.Seeded.IsZero() || r.Reseeds != 0 || !strings.Contains(r.Error, "not ready") || len(p.reports) != 0 {
					t.Errorf("%+v, %d reports", *r, len(p.reports))
				}
				if n := p.requests(); n < 7 || n > 9 { // 20 ms, doubled
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

// The daemon goes on until the kernel is ready, by whomever, and then at the interval.
func TestAsksAtShortRetriesUntilTheKernelIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port, rng := newFake(pipe.PortKind, true), newFake(pipe.HWRNGKind, true)
		b := newBench(port, rng)
		b.Credit, _ = ParseCredit("none")
		b.pool.needs.Store(256)
		b.during(t, func() {
			time.Sleep(time.Second)
			synctest.Wait()
			if n := port.requests(); n != 6 || rng.requests() != n || !b.state.Load().Seeded.IsZero() {
				t.Errorf("asked %d and %d times, %+v", n, rng.requests(), *b.state.Load())
			}
			b.pool.needs.Store(0)
			time.Sleep(time.Second)
		})
		if r := b.state.Load(); r.Reseeds != 1 || r.Reason != "start" || r.Error != "" || port.requests() != 7 {
			t.Errorf("%+v, asked %d times", *r, port.requests())
		}
		if len(b.lines) != 2 {
			t.Errorf("logged %q", b.lines)
		}
	})
}

// While the host owes an answer it is not asked again, until that counts as lost;
// a push says that nothing is owed.
func TestOneRequestIsOutstanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, false)
		b := newBench(p)
		b.during(t, func() {
			asked := func(when string, want int) {
				t.Helper()
				synctest.Wait()
				if n := p.requests(); n != want {
					t.Errorf("%s: asked %d times, want %d", when, n, want)
				}
			}
			time.Sleep(patience - time.Second)
			asked("no answer", 1)
			time.Sleep(2 * time.Second)
			asked("the request is lost", 2)
			p.batches <- fresh(random(40))
			time.Sleep(2 * time.Minute)
			asked("24 bytes are owed", 2)
			p.batches <- fresh(random(24))
			time.Sleep(time.Minute)
			asked("the answer came", 3)
			push := fresh(random(48)) // less than is owed
			push.Pushed = true
			p.batches <- push
			time.Sleep(time.Minute)
			asked("a new connection", 4)
		})
	})
}

// What is queued behind the limit of one batch comes before anything is credited.
func TestMoreIsTakenBeforeTheSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, false)
		b := newBench(p)
		b.during(t, func() {
			time.Sleep(time.Second)
			more, last := fresh(random(64)), fresh(random(64))
			more.More, more.Pushed, last.Epoch = true, true, feed.Epoch{2}
			p.batches <- more
			synctest.Wait()
			if r := b.state.Load(); r.Bits != 0 || r.Reseeds != 0 || r.Bytes != 64 {
				t.Errorf("while more is queued: %+v", *r)
			}
			p.batches <- last
		})
		if r := b.state.Load(); r.Bits != 512 || r.Reseeds != 1 {
			t.Errorf("%+v", *r)
		}
	})
}

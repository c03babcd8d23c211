package quality

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headgate/ratelimit"
)

var qualities = []string{Full, DRBG, FullThenDRBG}

// A reader that waits under one quality is served under the next, whichever they are.
func TestSwitchKeepsTheReader(t *testing.T) {
	for _, from := range qualities {
		for _, to := range qualities {
			t.Run(from+" to "+to, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newTank(0, ratelimit.Options{})
					tap := outlet(t, w, "web1", Config{Quality: from}, nil)
					waits := start(t, tap, 64)
					time.Sleep(time.Second)
					tap.Set(Config{Quality: to})
					time.Sleep(time.Second)
					w.pour(48 + 64)
					r := <-waits
					if r.err != nil || r.n == 0 || r.full != w.has(r.p) || r.full != (to == Full) && to != FullThenDRBG {
						t.Errorf("%+v", r)
					}
					// And whoever comes next.
					n, full := tap.TryReadGraded(make([]byte, 16))
					if n != 16 || to == Full && !full || to == DRBG && full {
						t.Errorf("%d bytes, full %v", n, full)
					}
				})
			})
		}
	}
}

// A rate that kept a reader waiting for hours, or a seed that did not come.
func TestSwitchEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := ratelimit.Limits{Rate: 0.001, Burst: 64}
		w := newTank(4096, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: Full, Limits: slow}, nil)
		read(t, tap, 64)
		waits := start(t, tap, 64)
		synctest.Wait()
		tap.Set(Config{Quality: FullThenDRBG, Limits: slow}) // its seed waits for the rate, too
		synctest.Wait()
		tap.Set(Config{Quality: DRBG})
		if r := <-waits; r.n != 64 || r.full {
			t.Errorf("%+v", r)
		}
		tap.Set(Config{Quality: DRBG, Limits: slow})
		read(t, tap, 64)
		waits = start(t, tap, 64)
		synctest.Wait()
		tap.Set(Config{Quality: DRBG, Limits: ratelimit.Limits{Rate: 64, Burst: 64}})
		began := time.Now()
		if r := <-waits; r.n != 64 || time.Since(began) > 2*time.Second {
			t.Errorf("%+v after %v", r, time.Since(began))
		}
	})
}

// A guest of quality "full" has no DRBG, and what waited for its seed waits no more.
func TestSwitchToFullEndsTheDRBG(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(48, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: DRBG, MaxStale: time.Hour}, nil)
		read(t, tap, 64)
		time.Sleep(time.Hour)
		tap.TryRead(make([]byte, 1))
		if !tap.Stats().Stale {
			t.Fatal("not stale")
		}
		tap.Set(Config{Quality: Full})
		synctest.Wait()
		if s := tap.Stats(); s.Stale || tap.gen().drbg != nil || tap.gen().usable.Load() || tap.gen().awaiting {
			t.Errorf("%+v, generator there: %v", s, tap.gen().drbg != nil)
		}
		w.pour(200)
		tap.gen().revive() // one that comes late from under the old quality
		synctest.Wait()
		if tap.gen().drbg != nil || tap.gen().awaiting || w.Level() != 200-48 {
			t.Error("a DRBG is seeded that nobody may have")
		}
		p := read(t, tap, 48) // what was wished for as a seed
		p = append(p, read(t, tap, 152)...)
		if !w.has(p) || w.Level() != 0 {
			t.Error("bytes are lost with the switch")
		}
		tap.Set(Config{Quality: DRBG})
		w.pour(48)
		read(t, tap, 1) // which was asked for before
		read(t, tap, 64)
		if s := tap.Stats(); s.Seeds != 2 || s.SeedBytes != 96 || s.Full.Bytes != 200 {
			t.Errorf("%+v", s)
		}
	})
}

// Close while all else goes on: readers end, nothing is left, nothing is in memory.
func TestCloseDuringEverything(t *testing.T) {
	for round := range 60 {
		w := newTank(0, ratelimit.Options{})
		tap := New(Options{Name: "web1", Scheduler: w.Scheduler}, Config{Quality: qualities[round%3], Limits: ratelimit.Limits{Rate: 1e6, Burst: 4096}, DRBGRate: 1e5})
		var readers, others sync.WaitGroup
		stop := make(chan struct{})
		turns := func(f func(i int)) {
			others.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						f(i)
						runtime.Gosched()
					}
				}
			})
		}
		for range 3 {
			readers.Go(func() {
				p := make([]byte, 100)
				for {
					n, err := tap.ReadContext(t.Context(), p)
					if errors.Is(err, os.ErrClosed) {
						return
					}
					if err != nil || n == 0 {
						t.Error(n, err)
						return
					}
				}
			})
		}
		turns(func(int) { tap.TryRead(make([]byte, 5000)) })
		turns(func(i int) { tap.Set(Config{Quality: qualities[i%3], DRBGRate: 1e5}) })
		turns(func(int) { tap.Fresh() })
		turns(func(int) { tap.Stats(); tap.Available() })
		turns(func(int) {
			if w.Level() < 1<<10 {
				w.pour(64)
			}
		})
		for tap.Stats().Bytes < 20_000 {
			runtime.Gosched()
		}
		if err := tap.Close(); err != nil {
			t.Fatal(err)
		}
		g := tap.gen()
		g.mu.Lock()
		if g.drbg != nil || g.have != 0 || g.seed != [48]byte{} || g.at != len(g.buf) || g.usable.Load() || g.awaiting {
			t.Errorf("left after Close: generator %v, %d bytes of a seed", g.drbg != nil, g.have)
		}
		for _, b := range g.buf {
			if b != 0 {
				t.Error("output is left in memory")
				break
			}
		}
		g.mu.Unlock()
		readers.Wait()
		close(stop)
		others.Wait()
	}
}

// Guests whose quality changes all the time lose no byte of the reservoir: what was
// taken was given, went into a seed, or is set aside for the tap.
func TestSwitchesLoseNothing(t *testing.T) {
	w := newTank(64<<10, ratelimit.Options{})
	tap := outlet(t, w, "web1", Config{Quality: Full}, nil)
	var all sync.WaitGroup
	var full [2]uint64
	for i := range full {
		all.Go(func() {
			p := make([]byte, 64)
			for range 2000 {
				n, isFull, err := tap.ReadGraded(t.Context(), p)
				if err != nil {
					t.Error(err)
					return
				}
				if isFull {
					full[i] += uint64(n)
				}
				if isFull != w.has(p[:n]) && n >= 8 {
					t.Error("said to be what it is not")
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	var switches sync.WaitGroup
	switches.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				tap.Set(Config{Quality: qualities[i%3]})
				if w.Level() < 4096 {
					w.pour(4096)
				}
				runtime.Gosched()
			}
		}
	})
	all.Wait()
	close(stop)
	switches.Wait()
	tap.Set(Config{Quality: Full})
	p := make([]byte, 1<<20)
	for tap.TryRead(p) > 0 {
	}
	s := tap.Stats()
	taken := uint64(len(w.stream) - w.Level())
	if lost := taken - s.Full.Bytes - s.SeedBytes; lost >= 48 { // part of a seed is wiped with a DRBG
		t.Errorf("%d taken, %d given, %d in seeds: %d are nowhere", taken, s.Full.Bytes, s.SeedBytes, lost)
	}
	if s.Full.Bytes < full[0]+full[1] || s.Seeds == 0 {
		t.Error(fmt.Sprint("counted ", s.Full.Bytes, ", given ", full))
	}
}

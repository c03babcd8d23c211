package quality

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headgate/ratelimit"
)

// 1,000 guests of DRBGs that start at once are all seeded out of a reservoir of 64 KiB,
// and leave what is kept for guests that get the reservoir's bytes.
func TestThousandStart(t *testing.T) {
	const reserve = 8 << 10
	w := newTank(64<<10, ratelimit.Options{BootReserve: reserve, Plenty: 4096})
	for i := range 1000 {
		read(t, outlet(t, w, fmt.Sprint(i), Config{Quality: DRBG}, nil), 64)
	}
	if w.Level() != 64<<10-1000*48 {
		t.Errorf("%d bytes left", w.Level())
	}
}

// The same when there is nothing at first: all are seeded as the supply comes in, ahead
// of a guest that has had its first bytes, and none twice.
func TestThousandStartInShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const reserve = 1 << 10
		w := newTank(0, ratelimit.Options{BootReserve: reserve, Plenty: 4096})
		var waits []<-chan reading
		for i := range 1000 {
			tap := outlet(t, w, fmt.Sprint(i), Config{Quality: DRBG}, nil)
			tap.Fresh()
			waits = append(waits, start(t, tap, 64))
		}
		synctest.Wait()
		greedy := start(t, outlet(t, w, "greedy", Config{Quality: Full}, nil), 64)
		synctest.Wait()
		for range 1000 * 48 / 64 {
			w.pour(64)
			synctest.Wait()
		}
		select {
		case r := <-greedy:
			t.Fatalf("who is seeded went first: %+v", r)
		default:
		}
		for range reserve/64 + 20 {
			w.pour(64)
			time.Sleep(time.Second)
		}
		for i, done := range waits {
			select {
			case r := <-done:
				if r.n != 64 || r.full || r.err != nil {
					t.Errorf("guest %d: %+v", i, r)
				}
			default:
				t.Fatalf("guest %d is not seeded", i)
			}
		}
		if spent := len(w.stream) - w.Level(); spent != 1000*48+64 {
			t.Errorf("%d bytes spent on 1000 seeds and 64 bytes", spent)
		}
	})
}

// A guest of a DRBG that is reseeded as often as it can be, and one that has that above
// its share, has no more of a short reservoir than its weight gives.
func TestSeedsAreInTheShare(t *testing.T) {
	for _, quality := range []string{DRBG, FullThenDRBG} {
		for _, weight := range []int{1, 3} {
			t.Run(fmt.Sprint(quality, " of weight ", weight), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newTank(0, ratelimit.Options{})
					greedy := outlet(t, w, "greedy", Config{
						Quality: quality, Limits: ratelimit.Limits{Weight: weight}, ReseedBytes: MinReseedBytes,
					}, nil)
					others := make([]*Tap, 4)
					var readers sync.WaitGroup
					for i := range others {
						others[i] = outlet(t, w, fmt.Sprint(i), Config{Quality: Full, Limits: ratelimit.Limits{Weight: 1}}, nil)
						readers.Go(func() {
							for p := make([]byte, 64); ; {
								if _, err := others[i].ReadContext(t.Context(), p); err != nil {
									return
								}
							}
						})
					}
					readers.Go(func() {
						for p := make([]byte, 64<<10); ; time.Sleep(time.Millisecond) {
							if _, err := greedy.ReadContext(t.Context(), p); err != nil {
								return
							}
						}
					})
					for range 1500 {
						time.Sleep(10 * time.Millisecond)
						w.pour(64)
					}
					var had [5]uint64
					for i, o := range others {
						had[i] = o.Stats().Bytes
					}
					s := greedy.Stats()
					had[4] = s.Full.Bytes + s.SeedBytes
					share := float64(had[4]) / float64(1500*64) * float64(4+weight) / float64(weight)
					if share < 0.95 || share > 1.05 {
						t.Errorf("%.2f of its share, %d seeds: %v", share, s.Seeds, had)
					}
					for _, o := range append(others, greedy) {
						_ = o.Close()
					}
					readers.Wait()
				})
			})
		}
	}
}

// Who may edit a domain may have it switched between classes, again and again: that is
// worth one request each time, and no burst.
func TestSwitchesGiveNoBursts(t *testing.T) {
	const switches, burst = 100, 4096
	w := newTank(1<<20, ratelimit.Options{})
	limits := ratelimit.Limits{Rate: 1e-3, Burst: burst}
	tap := outlet(t, w, "web1", Config{Quality: Full, Limits: limits}, nil)
	p := make([]byte, burst)
	for i := range switches {
		for tap.TryRead(p) > 0 {
		}
		tap.Set(Config{Quality: qualities[1+i%2]}) // neither has a rate
		tap.Set(Config{Quality: Full, Limits: limits})
	}
	if s := tap.Stats(); s.Full.Bytes > burst+switches*ratelimit.Quantum {
		t.Errorf("%d bytes, want no more than its burst and %d requests", s.Full.Bytes, switches)
	}
}

// A guest's first seed is of what is kept for guests that have had nothing; a later one
// leaves that alone.
func TestReseedsLeaveTheReserve(t *testing.T) {
	const reserve = 200
	w := newTank(reserve, ratelimit.Options{BootReserve: reserve})
	tap := outlet(t, w, "web1", Config{Quality: DRBG, ReseedBytes: MinReseedBytes}, nil)
	tap.Fresh()
	read(t, tap, 64)
	if w.Level() != reserve-48 {
		t.Errorf("%d bytes left after its first seed", w.Level())
	}
	w.pour(48)
	for range 4 {
		tap.Fresh() // of a guest whose DRBG can give
		read(t, tap, 64)
		read(t, tap, MinReseedBytes)
	}
	// What its first seed has left of its advance may go into the second.
	if s := tap.Stats(); s.Seeds != 1 || w.Level() != reserve-(ratelimit.Quantum-48) {
		t.Errorf("%d seeds, %d bytes left", s.Seeds, w.Level())
	}
}

// stuck is a tank that keeps whoever takes of it.
type stuck struct {
	*tank
	inside chan struct{}
	leave  chan struct{}
}

func (s *stuck) Take(p []byte, keep int) int {
	if s.inside != nil {
		s.inside <- struct{}{}
		<-s.leave
	}
	return s.tank.Take(p, keep)
}

// A guest that has its seed needs nothing that others may hold: it reads while another's
// seed is on its way and the reservoir's scheduler is locked.
func TestSeededGuestsShareNoLock(t *testing.T) {
	s := &stuck{tank: newTank(48, ratelimit.Options{})}
	common := ratelimit.NewScheduler(s, ratelimit.Options{})
	seeded := New(Options{Name: "seeded", Scheduler: common}, Config{Quality: DRBG})
	defer seeded.Close()
	read(t, seeded, 64)
	other := New(Options{Name: "other", Scheduler: common}, Config{Quality: DRBG})
	defer other.Close()
	if other.TryRead(make([]byte, 64)) != 0 { // its turn is noted
		t.Fatal("a seed out of nothing")
	}
	s.inside, s.leave = make(chan struct{}), make(chan struct{})
	s.pour(48)
	served := make(chan struct{})
	go func() {
		defer close(served)
		common.Wake() // gives it the seed, with the lock held
	}()
	<-s.inside
	for range 100 {
		read(t, seeded, 64)
		read(t, seeded, 4096)
	}
	seeded.Stats()
	close(s.leave)
	<-served
}

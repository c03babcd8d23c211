package ratelimit

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tank is a Supply of numbered bytes: eight at a time carry their own offset,
// so that a test sees if one is given twice.
type tank struct {
	mu    sync.Mutex
	next  uint64
	level int
	onAdd func()
}

func (t *tank) Level() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.level
}

func (t *tank) Take(p []byte, keep int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := max(0, min(len(p), t.level-keep))
	for i := 0; i+8 <= n; i += 8 {
		binary.BigEndian.PutUint64(p[i:], t.next)
		t.next++
	}
	t.level -= n
	return n
}

func (t *tank) add(n int) {
	t.mu.Lock()
	t.level += n
	t.mu.Unlock()
	if t.onAdd != nil {
		t.onAdd()
	}
}

func setup(level int, opt Options) (*tank, *Scheduler) {
	supply := &tank{level: level}
	s := NewScheduler(supply, opt)
	supply.onAdd = s.Wake
	return supply, s
}

var one = Limits{Weight: 1}

func TestReadBlocksUntilTheSupplyHasEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(0, Options{})
		tap := s.NewTap(one)
		done := make(chan int)
		go func() {
			n, _ := tap.Read(make([]byte, 64))
			done <- n
		}()
		synctest.Wait()
		supply.add(63)
		synctest.Wait()
		select {
		case n := <-done:
			t.Fatalf("got %d bytes of 63", n)
		default:
		}
		supply.add(1)
		if n := <-done; n != 64 {
			t.Fatalf("got %d bytes, want 64", n)
		}
		if st := tap.Stats(); st.Bytes != 64 || st.Waiting {
			t.Fatalf("stats %+v", st)
		}
	})
}

func TestRateHoldsOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := setup(1<<30, Options{})
		tap := s.NewTap(Limits{Rate: 4096, Burst: 4096, Weight: 1})
		p := make([]byte, 64)
		start, got := time.Now(), 0
		for time.Since(start) < 20*time.Second {
			n, err := tap.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		if want := 20*4096 + 4096; got < want-64 || got > want+64 {
			t.Fatalf("got %d bytes in 20 s, want %d", got, want)
		}
		if st := tap.Stats(); st.RateThrottled < 19*time.Second {
			t.Fatalf("throttled %v for rate, want about 20 s", st.RateThrottled)
		}
	})
}

func TestFreshGoesFirstOutOfTheBootReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(8192, Options{BootReserve: 8192, Plenty: 8192})
		ctx, cancel := context.WithCancel(t.Context())
		var greedy sync.WaitGroup
		var delivered atomic.Int64
		for range 100 {
			greedy.Go(func() {
				tap, p := s.NewTap(one), make([]byte, 64)
				for {
					n, err := tap.ReadContext(ctx, p)
					if err != nil {
						return
					}
					delivered.Add(int64(n))
				}
			})
		}
		synctest.Wait()
		if delivered.Load() != 0 {
			t.Fatalf("greedy guests got %d bytes of the boot reserve", delivered.Load())
		}
		newcomer := s.NewTap(one)
		newcomer.Fresh()
		if n := newcomer.TryRead(make([]byte, 32)); n != 32 {
			t.Fatalf("a newcomer got %d bytes at once, want 32", n)
		}
		if n := newcomer.TryRead(make([]byte, 64)); n != 32 {
			t.Fatalf("a newcomer got %d more bytes of its first 64, want 32", n)
		}
		if st := newcomer.Stats(); !st.Seeded {
			t.Fatal("not seeded after 64 bytes")
		}
		if n := newcomer.TryRead(make([]byte, 64)); n != 0 {
			t.Fatalf("got %d bytes beyond its advance", n)
		}
		supply.add(64) // fills the reserve again, before anybody greedy
		synctest.Wait()
		if delivered.Load() != 0 {
			t.Fatal("the boot reserve was not filled first")
		}
		cancel()
		greedy.Wait()
	})
}

func TestReconnectingGainsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := setup(1<<30, Options{})
		tap := s.NewTap(Limits{Rate: 1024, Burst: 1024, Weight: 1})
		start, got := time.Now(), 0
		for time.Since(start) < 30*time.Second {
			tap.Fresh()
			n, _ := tap.Read(make([]byte, 64))
			got += n
		}
		if most := 30*1024 + 1024 + 128; got > most {
			t.Fatalf("got %d bytes, its bucket has %d", got, most)
		}
	})
}

func TestARestoredGuestThatWaitsIsMovedAhead(t *testing.T) {
	for restored := range 3 { // whichever it is, wherever its phase has put it
		synctest.Test(t, func(t *testing.T) {
			supply, s := setup(0, Options{})
			served := make(chan int, 3)
			taps := make([]*Tap, 3)
			for i := range taps {
				taps[i] = s.NewTap(one)
				go func() { _, _ = taps[i].Read(make([]byte, 64)); served <- i }()
				synctest.Wait()
			}
			taps[restored].Fresh()
			supply.add(64)
			if who := <-served; who != restored {
				t.Errorf("guest %d was served before the restored guest %d", who, restored)
			}
			supply.add(128)
			<-served
			<-served
		})
	}
}

func TestSetLimitsReachesAReaderThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := setup(1<<20, Options{})
		tap := s.NewTap(Limits{Rate: 1, Burst: 64, Weight: 1})
		tap.TryRead(make([]byte, 64))
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			tap.SetLimits(Limits{Rate: 0, Weight: 1})
		}()
		if n, err := tap.Read(make([]byte, 64)); n != 64 || err != nil {
			t.Fatal(n, err)
		}
		if d := time.Since(start); d != time.Second {
			t.Fatalf("waited %v, want until the limit was lifted", d)
		}
	})
}

func TestCancelLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(0, Options{})
		tap := s.NewTap(Limits{Rate: 64, Burst: 64, Weight: 1})
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		go func() { _, err := tap.ReadContext(ctx, make([]byte, 64)); errs <- err }()
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		supply.add(64)
		if n := tap.TryRead(make([]byte, 64)); n != 64 {
			t.Fatalf("the bucket or the place in the order is gone: got %d", n)
		}
	})
}

func TestCloseWakesReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := setup(0, Options{})
		tap := s.NewTap(one)
		errs := make(chan error)
		for range 3 {
			go func() { _, err := tap.Read(make([]byte, 64)); errs <- err }()
		}
		synctest.Wait()
		if err := tap.Close(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
		}
		if n := tap.TryRead(make([]byte, 1)); n != 0 {
			t.Fatal("gave bytes after Close")
		}
		if err := tap.Close(); !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
	})
}

func TestAClockThatJumpsBackNeitherStallsNorPays(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	_, s := setup(1<<20, Options{Now: func() time.Duration { return time.Duration(now.Load()) }})
	tap := s.NewTap(Limits{Rate: 1024, Burst: 64, Weight: 1})
	p := make([]byte, 64)
	tap.TryRead(p)
	now.Store(0)
	if n := tap.TryRead(p); n != 0 {
		t.Fatalf("a jump back paid %d bytes", n)
	}
	now.Add(int64(time.Second))
	if n := tap.TryRead(p); n != 64 {
		t.Fatal("stalled after a jump back")
	}
	if st := tap.Stats(); st.RateThrottled < 0 || st.SupplyThrottled < 0 {
		t.Fatalf("negative waits: %+v", st)
	}
}

// Many taps, readers that come and go, limits that change: each byte is given
// once, and none is kept from those who wait.
func TestEveryByteOnce(t *testing.T) {
	supply, s := setup(0, Options{BootReserve: 256, Plenty: 512})
	const total = 64 * 4000
	var mu sync.Mutex
	seen := map[uint64]bool{}
	got := 0
	all := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 40 {
		tap := s.NewTap(Limits{Weight: 1 + i%4})
		for range 2 {
			wg.Go(func() {
				p := make([]byte, 64)
				for r := 0; ; r++ {
					if r%16 == 0 {
						tap.Fresh()
					}
					few, stop := ctx, context.CancelFunc(func() {})
					if r%3 == 0 {
						few, stop = context.WithTimeout(ctx, 100*time.Microsecond)
					}
					n, _ := tap.ReadContext(few, p)
					stop()
					mu.Lock()
					for j := 0; j+8 <= n; j += 8 {
						v := binary.BigEndian.Uint64(p[j:])
						if seen[v] {
							t.Errorf("byte %d given twice", v*8)
						}
						seen[v] = true
					}
					if got += n; n > 0 && got >= total-256 && got-n < total-256 {
						close(all)
					}
					mu.Unlock()
					if ctx.Err() != nil {
						return
					}
				}
			})
		}
	}
	for range total / 64 {
		supply.add(64)
	}
	select {
	case <-all:
	case <-time.After(20 * time.Second):
		t.Errorf("stuck: %d of %d bytes given, %d taps wait, short %v, level %d", got, total, s.Waiting(), s.short.Load(), supply.Level())
	}
	cancel()
	wg.Wait()
}

func TestTheWayOfAByteAllocatesNothing(t *testing.T) {
	_, s := setup(1<<30, Options{})
	tap := s.NewTap(Limits{Rate: 1e12, Burst: 1 << 30, Weight: 1})
	p := make([]byte, 64)
	if n := testing.AllocsPerRun(1000, func() { tap.TryRead(p) }); n != 0 {
		t.Errorf("plenty: %v allocations a grant", n)
	}
	supply, s := setup(0, Options{})
	tap = s.NewTap(one)
	asked := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range asked {
			for s.Waiting() == 0 {
				runtime.Gosched()
			}
			supply.add(64)
		}
	})
	if n := testing.AllocsPerRun(100, func() { asked <- struct{}{}; _, _ = tap.Read(p) }); n != 0 {
		t.Errorf("shortage: %v allocations a grant", n)
	}
	close(asked)
	wg.Wait()
}

// A guest that never waited, because it asks for less than there is, has not run
// up a debt when a greedy one comes.
func TestAModestGuestKeepsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(8192, Options{BootReserve: 8192, Plenty: 1 << 20})
		modest := s.NewTap(Limits{Rate: 9000, Burst: 256, Weight: 1})
		greedy := s.NewTap(one)
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		drink := func(tap *Tap, got *atomic.Int64) {
			readers.Go(func() {
				for p := make([]byte, 64); ; {
					n, err := tap.ReadContext(ctx, p)
					if err != nil {
						return
					}
					got.Add(int64(n))
				}
			})
		}
		flow := func(d time.Duration) { // 20 kB/s
			for range d / (3200 * time.Microsecond) {
				time.Sleep(3200 * time.Microsecond)
				supply.add(64)
			}
		}
		var a, b atomic.Int64
		drink(modest, &a)
		flow(20 * time.Second)
		drink(greedy, &b)
		a.Store(0)
		flow(2 * time.Second)
		if got := a.Load(); got < 17_500 {
			t.Errorf("a guest that asks for 9,000 B/s of 20,000 got %d bytes in the first 2 s beside a greedy one (%d)", got, b.Load())
		}
		cancel()
		readers.Wait()
	})
}

// A reader that only tries has the same share as those that wait.
func TestATryingReaderHasItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(0, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				tap := s.NewTap(one)
				for p := make([]byte, 64); ; {
					if _, err := tap.ReadContext(ctx, p); err != nil {
						return
					}
				}
			})
		}
		synctest.Wait()
		poller, got := s.NewTap(one), 0
		for i := range 4000 {
			supply.add(64)
			synctest.Wait()
			var buf [64]byte
			got += poller.TryRead(buf[:1+i%64]) // what is left of a turn is not lost
		}
		if share := float64(got) / (4000 * 64 / 4); share < 0.9 || share > 1.01 {
			t.Errorf("one of four that only tries got %.2f of its share", share)
		}
		var buf [64]byte
		poller.TryRead(buf[:])
		poller.Close()
		if poller.wish.stash != [64]byte{} {
			t.Error("bytes are left in a closed tap")
		}
		cancel()
		readers.Wait()
	})
}

// Readers that all only try share by weight, too.
func TestTryingReadersShareByWeight(t *testing.T) {
	supply, s := setup(0, Options{})
	taps := []*Tap{s.NewTap(Limits{Weight: 1}), s.NewTap(Limits{Weight: 3})}
	var got [2]int
	var buf [64]byte
	for range 4000 {
		for i := range 20 { // the lighter one tries ten times as often
			which := min(i%11, 1) ^ 1
			got[which] += taps[which].TryRead(buf[:])
		}
		supply.add(64)
	}
	if share := float64(got[0]) / float64(got[0]+got[1]); share < 0.24 || share > 0.26 {
		t.Errorf("one of weight 1 beside one of weight 3 got %.3f of all, want a quarter", share)
	}
	supply.add(1 << 20)
	if n := taps[0].Available(); n == 0 {
		t.Error("what was wished for has come, and is not available")
	}
}

func TestAvailableIsWhatCanBeHad(t *testing.T) {
	_, s := setup(64+4096, Options{BootReserve: 64, Plenty: 1 << 20})
	tap := s.NewTap(one)
	if n := tap.Available(); n != 4096 {
		t.Errorf("in plenty %d, want 4096", n)
	}
	s.short.Store(true)
	if n := tap.Available(); n != Quantum {
		t.Errorf("in a shortage without anybody waiting %d, want %d", n, Quantum)
	}
	if n := tap.TryRead(make([]byte, 255)); n != Quantum {
		t.Errorf("then got %d", n)
	}
}

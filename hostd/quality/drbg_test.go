package quality

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"headgate/backends/reservoir"
	"headgate/ratelimit"
)

// model is the DRBG that a guest of that name has to have after its seeds.
func model(w *tank, name string, seeds int) *reservoir.DRBG {
	personal := personalization(name, "8dc0b7a4")
	d := reservoir.NewDRBG(w.seed(0), &personal)
	for i := 1; i < seeds; i++ {
		d.Reseed(w.seed(i))
	}
	return d
}

func generated(t *testing.T, d *reservoir.DRBG, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if err := d.Generate(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// Small reads are the bytes of one generate after the other, large ones a generate each.
func TestOutputIsTheDRBGs(t *testing.T) {
	w := newTank(4096, ratelimit.Options{})
	tap := outlet(t, w, "web1", Config{Quality: DRBG}, nil)
	if w.Level() != 4096 {
		t.Error("a guest that has not read has drawn a seed")
	}
	var got []byte
	for _, n := range []int{1, 63, 1000, 3000, 100} { // past the end of the first buffer
		got = append(got, read(t, tap, n)...)
	}
	large := read(t, tap, reservoir.MaxGenerate)

	d := model(w, "web1", 1)
	want := append(generated(t, d, buffered), generated(t, d, buffered)...)
	if !bytes.Equal(got, want[:len(got)]) {
		t.Error("small reads differ from what the DRBG generates")
	}
	if !bytes.Equal(large, generated(t, d, reservoir.MaxGenerate)) {
		t.Error("a large read differs from what the DRBG generates")
	}
	if w.Level() != 4096-reservoir.SeedSize {
		t.Errorf("%d bytes drawn, want one seed", 4096-w.Level())
	}
	if !bytes.Equal(tap.gen().buf[:tap.gen().at], make([]byte, tap.gen().at)) {
		t.Error("bytes that were given are still in the buffer")
	}
	s := tap.Stats()
	if s.DRBG.Bytes != uint64(len(got)+len(large)) || s.Full.Bytes != 0 || s.Bytes != s.DRBG.Bytes || s.Seeds != 1 || s.SeedBytes != 48 {
		t.Errorf("%+v", s)
	}
	if p := make([]byte, 1<<20); tap.TryRead(p) != reservoir.MaxGenerate {
		t.Error("more or less than one request of the DRBG's at once")
	}
}

func TestReseedByBytes(t *testing.T) {
	w := newTank(4096, ratelimit.Options{})
	var told journal
	tap := outlet(t, w, "web1", Config{Quality: DRBG, ReseedBytes: 128 << 10}, told.add)
	for range 100 {
		read(t, tap, 64<<10)
	}
	if s := tap.Stats(); s.Seeds != 50 {
		t.Errorf("%d seeds in 6400 KiB, want one every 128 KiB", s.Seeds)
	}
	if !slices.Equal(told.kinds(), []Kind{Seeded}) {
		t.Errorf("told %v: reseeds are told once a minute", told.kinds())
	}
}

// What is buffered when a reseed is due is not given any more.
func TestReseedByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(4096, ratelimit.Options{})
		var told journal
		tap := outlet(t, w, "web1", Config{Quality: DRBG, ReseedInterval: time.Minute}, told.add)
		first := read(t, tap, 64)
		time.Sleep(time.Minute)
		if w.Level() != 4096-48 {
			t.Error("an idle guest draws seeds")
		}
		second := read(t, tap, 64)
		d := model(w, "web1", 1)
		if !bytes.Equal(first, generated(t, d, buffered)[:64]) {
			t.Error("wrong bytes before the reseed")
		}
		d.Reseed(w.seed(1))
		if !bytes.Equal(second, generated(t, d, buffered)[:64]) {
			t.Error("bytes after the reseed are not those of the new state")
		}
		if s := tap.Stats(); s.Seeds != 2 || !s.SeededAt.Equal(time.Now()) || s.Stale {
			t.Errorf("%+v", s)
		}
		if !slices.Equal(told.kinds(), []Kind{Seeded, Reseeded}) || told.told[1].Age != time.Minute || told.told[1].Seeds != 2 {
			t.Errorf("told %+v", told.told)
		}
	})
}

// The sources stop: it goes on until max_stale, then stops; a reader waits, and is
// served when they are back, without anybody doing anything about it.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(48, ratelimit.Options{})
		var told journal
		tap := outlet(t, w, "web1", Config{Quality: DRBG, ReseedInterval: time.Minute, MaxStale: time.Hour}, told.add)
		for range 59 {
			read(t, tap, 100)
			time.Sleep(time.Minute)
		}
		read(t, tap, 100)
		time.Sleep(time.Minute)
		if n := tap.TryRead(make([]byte, 100)); n != 0 {
			t.Fatalf("%d bytes from a state as old as max_stale", n)
		}
		if !bytes.Equal(tap.gen().buf, make([]byte, buffered)) {
			t.Error("what was buffered is still there")
		}
		if s := tap.Stats(); !s.Stale || tap.Available() != 0 {
			t.Errorf("stale %v, %d available", s.Stale, tap.Available())
		}
		waits := start(t, tap, 64)
		time.Sleep(time.Hour)
		if s := tap.Stats(); !s.Waiting || s.SupplyThrottled != time.Hour {
			t.Errorf("after an hour: %+v", s)
		}
		w.pour(47)
		time.Sleep(some)
		select {
		case r := <-waits:
			t.Fatalf("%d bytes after 47 of a seed's 48: %v", r.n, r.err)
		default:
		}
		w.pour(1)
		if r := <-waits; r.n != 64 || r.full || r.err != nil {
			t.Errorf("%+v", r)
		}
		if s := tap.Stats(); s.Stale || s.Seeds != 2 || s.Waiting {
			t.Errorf("%+v", s)
		}
		if !slices.Equal(told.kinds(), []Kind{Seeded, Stale, Recovered}) {
			t.Errorf("told %v", told.kinds())
		}
	})
}

// A stale DRBG that nobody waits for is seeded when the supply is back, so that the
// status says so.
func TestRecoversByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(48, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: DRBG, MaxStale: time.Hour}, nil)
		read(t, tap, 1)
		time.Sleep(time.Hour)
		if tap.TryRead(make([]byte, 1)) != 0 || !tap.Stats().Stale {
			t.Fatal("not stale")
		}
		w.pour(48)
		synctest.Wait()
		if s := tap.Stats(); s.Stale || s.Seeds != 2 || w.Level() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The DRBG gets stale while a reader waits for its rate: it must not wait for ever.
func TestStaleWhileRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(48, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{
			Quality: DRBG, Limits: ratelimit.Limits{Rate: 1, Burst: 64}, ReseedInterval: time.Second, MaxStale: 30 * time.Second,
		}, nil)
		read(t, tap, 64)
		waits := start(t, tap, 64) // a minute
		time.Sleep(2 * time.Minute)
		if s := tap.Stats(); !s.Stale || !s.Waiting {
			t.Fatalf("%+v", s)
		}
		w.pour(48)
		if r := <-waits; r.n != 64 || r.err != nil {
			t.Errorf("%+v", r)
		}
	})
}

func TestRateOfTheDRBG(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(4096, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: DRBG, Limits: ratelimit.Limits{Rate: 1000, Burst: 500}}, nil)
		p, began, got := make([]byte, 100), time.Now(), 0
		for time.Since(began) < 10*time.Second {
			n, err := tap.ReadContext(t.Context(), p)
			if got += n; err != nil {
				t.Fatal(err)
			}
		}
		if got < 10_400 || got > 10_600 {
			t.Errorf("%d bytes in 10 s at 1000 a second with a burst of 500", got)
		}
		if s := tap.Stats(); s.RateThrottled < 9*time.Second || s.SupplyThrottled != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The rate is that of what the guest gets, and not of its seeds.
func TestSeedsHaveNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(4096, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{
			Quality: DRBG, Limits: ratelimit.Limits{Rate: 1, Burst: 64}, ReseedInterval: time.Second,
		}, nil)
		for range 10 {
			read(t, tap, 1)
			time.Sleep(time.Second)
		}
		if s := tap.Stats(); s.Seeds != 10 {
			t.Errorf("%d seeds in 10 s, want one a second", s.Seeds)
		}
	})
}

// A client that asks what there is before it reads sees what it would get.
func TestAvailable(t *testing.T) {
	for quality, want := range map[string]int{Full: 100, DRBG: plenty, FullThenDRBG: 100} {
		w := newTank(100, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: quality}, nil)
		if n := tap.Available(); n != want {
			t.Errorf("%s: %d, want %d", quality, n, want)
		}
	}
}

// One that waits has the seed waited for, even where the quality became "drbg" after it
// had looked.
func TestWhoWaitsHasTheSeedWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(0, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: DRBG}, nil)
		done := make(chan int)
		go func() {
			n, _, _ := tap.await(t.Context(), tap.regime.Load(), make([]byte, 64))
			done <- n
		}()
		synctest.Wait()
		w.pour(48)
		if n := <-done; n != 64 {
			t.Errorf("%d bytes", n)
		}
	})
}

func TestNobodySharesAState(t *testing.T) {
	w := newTank(4096, ratelimit.Options{})
	var all [][]byte
	for range 2 { // again after they ended
		a := New(Options{Name: "web1", UUID: "u", Scheduler: w.Scheduler}, Config{Quality: DRBG})
		b := New(Options{Name: "web1", UUID: "u", Scheduler: w.Scheduler}, Config{Quality: DRBG})
		all = append(all, read(t, a, 64), read(t, b, 64))
		a.Close()
		b.Close()
	}
	for i, p := range all {
		for _, other := range all[:i] {
			if bytes.Equal(p, other) {
				t.Error("two generators of one name give the same")
			}
		}
	}
	if personalization("a", "b") == personalization("a\x00", "b") || personalization("ab", "") == personalization("a", "b") {
		t.Error("name and UUID run into each other")
	}
}

// No more than 4 allocations a generate, none for what is read within one.
func TestAllocations(t *testing.T) {
	w := newTank(4096, ratelimit.Options{})
	tap := outlet(t, w, "web1", Config{Quality: DRBG, ReseedBytes: MaxReseedBytes}, nil)
	p := make([]byte, buffered)
	if n := testing.AllocsPerRun(100, func() { tap.TryRead(p) }); n > 4 {
		t.Errorf("%v allocations for a read of 4 KiB", n)
	}
	read(t, tap, 1) // fills the buffer
	small := make([]byte, 16)
	if n := testing.AllocsPerRun(200, func() { tap.TryRead(small) }); n != 0 {
		t.Errorf("%v allocations for a read within a generate", n)
	}
}

// Nor for one that waits, for the reservoir or for its rate.
func TestAWaitAllocatesNothing(t *testing.T) {
	const slow = 64 * 1000 // bytes per second: 1 ms a read
	for _, quality := range []string{Full, DRBG} {
		w := newTank(1<<20, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: quality, Limits: ratelimit.Limits{Rate: slow, Burst: 64}}, nil)
		p := make([]byte, 64)
		read(t, tap, 64)
		_, _ = tap.ReadContext(t.Context(), p) // makes the timer
		if n := testing.AllocsPerRun(30, func() { _, _ = tap.ReadContext(t.Context(), p) }); n != 0 {
			t.Errorf("%s: %v allocations for a read that waits", quality, n)
		}
		if s := tap.Stats(); s.RateThrottled < 10*time.Millisecond {
			t.Errorf("%s: nothing waited: %+v", quality, s)
		}
	}
}

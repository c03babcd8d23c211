package quality

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"headgate/ratelimit"
	"headgate/wire"
	"headgate/wire/pipe"
)

var (
	_ pipe.Tap    = (*Tap)(nil)
	_ wire.Graded = (*Tap)(nil)
)

// Quality "full" gives the reservoir's bytes or nothing, and what is no quality is full.
func TestFull(t *testing.T) {
	for _, q := range []string{Full, "", "best"} {
		w := newTank(100, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: q}, nil)
		p := make([]byte, 100)
		if n, full := tap.TryReadGraded(p); n != 100 || !full || !w.has(p) {
			t.Errorf("%q: %d bytes, full %v", q, n, full)
		}
		if n := tap.TryRead(p); n != 0 || tap.Available() != 0 {
			t.Errorf("%q: %d bytes out of nothing", q, n)
		}
		if s := tap.Stats(); s.Bytes != 100 || s.Full.Bytes != 100 || s.DRBG.Bytes != 0 || s.Seeds != 0 {
			t.Errorf("%q: %+v", q, s)
		}
	}
}

// Up to its share a guest gets the reservoir's bytes, above it the DRBG's; one call
// never mixes them, each is what it is said to be, and they are counted apart.
func TestFullThenDRBG(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(1<<20, ratelimit.Options{})
		var told journal
		tap := outlet(t, w, "web1", Config{
			Quality: FullThenDRBG, Limits: ratelimit.Limits{Rate: 1024, Burst: 256}, DRBGRate: 4096,
		}, told.add)
		var full, drbg uint64
		p, began := make([]byte, 64), time.Now()
		for time.Since(began) < 10*time.Second {
			n, isFull, err := tap.ReadGraded(t.Context(), p)
			switch {
			case err != nil || n == 0:
				t.Fatal(n, err)
			case isFull != w.has(p[:n]):
				t.Fatalf("%d bytes that are said to be full: %v, and are not", n, isFull)
			case isFull:
				full += uint64(n)
			default:
				drbg += uint64(n)
			}
		}
		s := tap.Stats()
		if s.Full.Bytes != full || s.DRBG.Bytes != drbg || s.Bytes != full+drbg {
			t.Errorf("%d full and %d of the DRBG, counted %+v", full, drbg, s)
		}
		if share := full + s.SeedBytes; share < 10*1024 || share > 10*1024+256+64 {
			t.Errorf("%d bytes of the reservoir in 10 s at 1024 a second, seeds among them", share)
		}
		if drbg < 10*4096+leastBurst-64 || drbg > 10*4096+leastBurst+64 {
			t.Errorf("%d bytes of the DRBG in 10 s at 4096 a second", drbg)
		}
		if !slices.Equal(told.kinds(), []Kind{Seeded, ToDRBG}) {
			t.Errorf("told %v: a guest at its limit changes with every request", told.kinds())
		}
		for range 10 { // within its share
			time.Sleep(10 * time.Second)
			read(t, tap, 64)
		}
		if !slices.Equal(told.kinds(), []Kind{Seeded, ToDRBG, ToFull}) {
			t.Errorf("told %v", told.kinds())
		}
	})
}

// Without a limit on the DRBG there is no wait, whatever the reservoir has.
func TestFullThenDRBGInDrought(t *testing.T) {
	w := newTank(64+48, ratelimit.Options{})
	tap := outlet(t, w, "web1", Config{Quality: FullThenDRBG}, nil)
	tap.Fresh()
	if n, full := tap.TryReadGraded(make([]byte, 64)); n != 64 || !full {
		t.Errorf("the first bytes: %d, full %v", n, full)
	}
	for range 100 {
		if n, full := tap.TryReadGraded(make([]byte, 512)); n != 512 || full {
			t.Fatalf("above its share: %d, full %v", n, full)
		}
	}
	s := tap.Stats()
	if !s.Seeded || s.Full.Bytes != 64 || s.DRBG.Bytes != 51_200 || w.Level() != 0 {
		t.Errorf("%+v", s)
	}
}

// The reservoir's bytes come while a reader waits for the DRBG's rate.
func TestReservoirEndsTheWaitForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(48, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: FullThenDRBG, Limits: ratelimit.Limits{Burst: 64}, DRBGRate: 1}, nil)
		for range leastBurst / 1024 {
			read(t, tap, 1024)
		}
		waits := start(t, tap, 64)
		time.Sleep(time.Second)
		w.pour(64)
		if r := <-waits; r.n != 64 || !r.full {
			t.Errorf("%+v", r)
		}
		began := time.Now()
		if r := <-start(t, tap, 64); r.n != 64 || r.full || time.Since(began) < time.Minute/2 {
			t.Errorf("%+v after %v", r, time.Since(began))
		}
	})
}

// With a dry reservoir and no DRBG yet, a guest that has had nothing gets the first
// bytes itself; the next 48 are its seed.
func TestFirstBytesAreTheGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(0, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: FullThenDRBG}, nil)
		tap.Fresh()
		waits := start(t, tap, 64)
		time.Sleep(time.Second)
		w.pour(64)
		if r := <-waits; r.n != 64 || !r.full {
			t.Errorf("first: %+v", r)
		}
		if s := tap.Stats(); !s.Seeded || s.FirstBytes != time.Second {
			t.Errorf("%+v", s)
		}
		waits = start(t, tap, 64)
		time.Sleep(time.Second)
		w.pour(48)
		if r := <-waits; r.n == 0 || r.full {
			t.Errorf("second: %+v", r)
		}
	})
}

// A guest that is restored while it waits gets the first bytes, which were to become
// its seed.
func TestRestoredWhileItsSeedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTank(0, ratelimit.Options{})
		tap := outlet(t, w, "web1", Config{Quality: FullThenDRBG}, nil)
		waits := start(t, tap, 64)
		synctest.Wait()
		if !tap.gen().awaiting {
			t.Fatal("nobody waits for a seed")
		}
		tap.Fresh()
		synctest.Wait()
		w.pour(64)
		if r := <-waits; r.n == 0 || !r.full {
			t.Errorf("%+v", r)
		}
	})
}

func TestContextEndsARead(t *testing.T) {
	for _, q := range []string{Full, DRBG, FullThenDRBG} {
		tap := outlet(t, newTank(0, ratelimit.Options{}), "web1", Config{Quality: q}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if n, err := tap.ReadContext(ctx, make([]byte, 8)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %d, %v", q, n, err)
		}
		cancel()
		if n, err := tap.ReadContext(t.Context(), nil); n != 0 || err != nil {
			t.Errorf("%s: an empty read: %d, %v", q, n, err)
		}
		if tap.Close() != nil || !errors.Is(tap.Close(), os.ErrClosed) {
			t.Errorf("%s: Close", q)
		}
		if _, err := tap.ReadContext(t.Context(), make([]byte, 8)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: a read after Close: %v", q, err)
		}
		if tap.TryRead(make([]byte, 8)) != 0 || tap.Available() != 0 {
			t.Errorf("%s: bytes after Close", q)
		}
		tap.Fresh()
		tap.Set(Config{Quality: DRBG})
	}
}

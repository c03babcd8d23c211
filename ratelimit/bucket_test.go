package ratelimit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketGivesItsRateAfterItsBurst(t *testing.T) {
	b := NewBucket(0, 4096, 1024)
	if got := b.Level(0); got != 1024 {
		t.Fatalf("a new bucket holds %d bytes, want its burst", got)
	}
	b.Take(0, 1024)
	var given int
	var now time.Duration
	for now < 20*time.Second {
		now += b.Wait(now, Quantum)
		if b.Level(now) < Quantum {
			t.Fatalf("at %v: woken too early, level %d", now, b.Level(now))
		}
		b.Take(now, Quantum)
		given += Quantum
	}
	if want := 20 * 4096; given < want-Quantum || given > want+Quantum {
		t.Fatalf("gave %d bytes in 20 s, want %d within one request", given, want)
	}
}

// A limit that is taken away and given back is no new burst.
func TestNoLimitSavesNothing(t *testing.T) {
	b := NewBucket(0, 1, 4096)
	b.Take(0, 4096)
	b.Set(0, 0, 0)
	b.Set(0, 1, 4096)
	if got := b.Level(0); got != Quantum {
		t.Fatalf("it begins with %d bytes, want those of one request", got)
	}
	if got := b.Level(10 * time.Second); got != Quantum+10 {
		t.Fatalf("level %d after 10 s", got)
	}
}

func TestBucketPaysAnAdvanceBack(t *testing.T) {
	b := NewBucket(0, 64, 64)
	b.Take(0, 64)
	b.Take(0, 64)
	if got := b.Level(time.Second); got != 0 {
		t.Fatalf("level %d a second after an advance of a second's bytes, want 0", got)
	}
	if got := b.Wait(time.Second, 64).Round(time.Millisecond); got != time.Second {
		t.Fatalf("waits %v, want 1s", got)
	}
}

func TestUnlimitedBucketNeverWaits(t *testing.T) {
	var b Bucket
	b.Take(0, 1<<40)
	if d := b.Wait(0, 1<<40); d != 0 {
		t.Fatalf("waits %v", d)
	}
}

// However a clock jumps, a bucket gives at most its burst, and its rate over
// the time that went forwards.
func TestBucketOnAJumpingClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 1e6).Draw(t, "rate")
		burst := rapid.IntRange(Quantum, 1<<16).Draw(t, "burst")
		now := time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "start"))
		b := NewBucket(now, rate, burst)
		var forwards time.Duration
		var given float64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			step := time.Duration(rapid.Int64Range(-3e9, 3e9).Draw(t, "step"))
			now += step
			forwards += max(step, 0)
			n := rapid.IntRange(1, 512).Draw(t, "n")
			if wait := b.Wait(now, n); wait == 0 && n <= burst {
				if b.Level(now) < n {
					t.Fatalf("no wait for %d bytes, but level %d", n, b.Level(now))
				}
				b.Take(now, n)
				given += float64(n)
			} else if n <= burst && b.Level(now+wait) < n {
				t.Fatalf("after waiting %v the level is %d, want %d", wait, b.Level(now+wait), n)
			} else {
				forwards += wait // Level has moved the bucket's clock
				now += wait
			}
		}
		if most := float64(burst) + rate*forwards.Seconds() + 1; given > most {
			t.Fatalf("gave %.0f bytes, at most %.0f were earned", given, most)
		}
	})
}

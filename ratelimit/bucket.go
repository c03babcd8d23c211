package ratelimit

import (
	"math"
	"time"
)

// Bucket is a token bucket; a token is a byte. The zero Bucket is unlimited.
// Time is an argument: a reading of any clock, which may jump. A jump backwards
// earns nothing and loses nothing, a jump forwards earns at most the burst.
type Bucket struct {
	rate  float64 // bytes per second; 0: unlimited
	burst float64 // bytes
	level float64 // bytes; below zero while an advance is being paid back
	last  time.Duration
}

// NewBucket returns a full bucket of burst bytes, refilled with rate bytes per
// second. Rate 0 means no limit.
func NewBucket(now time.Duration, rate float64, burst int) Bucket {
	return Bucket{rate: rate, burst: float64(burst), level: float64(burst), last: now}
}

func (b *Bucket) refill(now time.Duration) {
	if elapsed := now - b.last; elapsed > 0 {
		b.level = min(b.burst, b.level+b.rate*elapsed.Seconds())
	}
	b.last = now
}

// Level is the number of bytes that could be taken now, negative while an
// advance is owed.
func (b *Bucket) Level(now time.Duration) int {
	if b.rate == 0 {
		return math.MaxInt
	}
	b.refill(now)
	return int(math.Floor(b.level))
}

// Take takes n bytes, whether they are there or not: the caller has asked
// Level or Wait, or means to give an advance.
func (b *Bucket) Take(now time.Duration, n int) {
	if b.rate == 0 {
		return
	}
	b.refill(now)
	b.level -= float64(n)
}

// Put returns n bytes that were taken and not used.
func (b *Bucket) Put(n int) {
	b.level = min(b.burst, b.level+float64(n))
}

// Wait is how long until n bytes can be taken; 0 if they can be now. More than
// the burst never comes together: Wait then tells when the bucket is full.
func (b *Bucket) Wait(now time.Duration, n int) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.refill(now)
	missing := min(float64(n), b.burst) - b.level
	if missing <= 0 {
		return 0
	}
	seconds := missing / b.rate
	if seconds > math.MaxInt64/1e10 {
		return math.MaxInt64 / 10
	}
	// One nanosecond more, so that rounding never wakes a reader too early.
	return time.Duration(seconds*1e9) + 1
}

// Set changes the limits. What was saved stays, up to the new burst; what is
// owed stays owed. Where there was no limit nothing was saved: the new one begins
// with one request, or who can have it taken away and given back would have a
// whole burst each time.
func (b *Bucket) Set(now time.Duration, rate float64, burst int) {
	if b.rate == 0 {
		*b = NewBucket(now, rate, burst)
		b.level = min(b.level, Quantum)
		return
	}
	b.refill(now)
	b.rate, b.burst = rate, float64(burst)
	b.level = min(b.level, b.burst)
}

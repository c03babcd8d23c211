package ratelimit

import (
	"os"
	"sync"
	"time"
)

// Limits of one tap.
type Limits struct {
	Rate   float64 // bytes per second; 0: unlimited
	Burst  int     // bytes, at least Quantum; of no meaning if Rate is 0
	Weight int     // share of a short supply, at least 1
}

// Tap is one guest's metered outlet. It belongs to the guest, not to a
// connection: what the guest has had and owes outlives its reconnects. All of a
// guest's connections share it, its first 64 bytes too: they go to whichever of
// them asks first.
type Tap struct {
	s      *Scheduler
	turn   chan struct{} // held by the one reader that waits; the others queue here
	kick   chan struct{} // tells that reader, if it waits for the bucket, to look again
	closed chan struct{}

	mu     sync.Mutex
	bucket Bucket
	wish   wish
	busy   bool // a reader holds turn: nobody may overtake it
	quiet  bool // who holds turn is no reader: its wait is not in stats
	fresh  int  // bytes of the advance not yet given
	timer  *time.Timer
	stats  Stats
	since  time.Duration // when the reader that waits began
	why    cause         // what it waits for
	born   time.Duration // when the guest last became fresh
}

// NewTap returns a tap with a full bucket.
func (s *Scheduler) NewTap(l Limits) *Tap {
	return &Tap{
		s:      s,
		wish:   wish{flow: s.newFlow(l.Weight)},
		turn:   make(chan struct{}, 1),
		kick:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		bucket: NewBucket(s.opt.Now(), l.Rate, l.Burst),
	}
}

// TryRead gives what can be had now, at most len(p) bytes. It never blocks. One
// that gets nothing because the supply is short has its turn noted, and a later
// one gets it: a reader that only tries has the same share as one that waits.
func (t *Tap) TryRead(p []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy || len(p) == 0 || t.isClosed() {
		return 0
	}
	n := t.try(p)
	if n == 0 && !t.wish.made {
		now := t.s.opt.Now()
		if n = t.allowed(now, min(len(p), Quantum)); n > 0 {
			t.want(now, n)
			n = t.collect(p)
		}
	}
	return n
}

// try gives what was wished for, or takes from the bucket and the supply what both
// have now: at least min(len(p), Quantum), or nothing, as long as the bucket and
// not the advance decides. The caller holds mu.
func (t *Tap) try(p []byte) int {
	if t.wish.made || t.wish.have > 0 {
		return t.collect(p)
	}
	now := t.s.opt.Now()
	n := t.allowed(now, len(p))
	if n == 0 {
		return 0
	}
	more := t.s.short.Load() && t.more(now, min(n, Quantum))
	got := t.s.grant(t.wish.flow, p[:n], t.fresh > 0, more)
	if got > 0 {
		t.bucket.Take(now, got)
		t.given(now, got)
	}
	return got
}

// allowed is how many of n bytes the bucket, or the advance, lets through: no
// trickle, at least min(n, Quantum) or 0.
func (t *Tap) allowed(now time.Duration, n int) int {
	if t.fresh > 0 {
		return min(n, t.fresh)
	}
	if level := t.bucket.Level(now); level < n {
		if level < Quantum {
			return 0
		}
		return level
	}
	return n
}

// given notes that n bytes went to a reader.
func (t *Tap) given(now time.Duration, n int) {
	t.stats.Bytes += uint64(n)
	t.fresh -= min(t.fresh, n)
	if t.stats.fresh > 0 && n > 0 {
		t.stats.fresh -= min(t.stats.fresh, n)
		if t.stats.fresh == 0 {
			t.stats.Seeded = true
			t.stats.FirstBytes = max(now-t.born, 0)
		}
	}
}

// Available is about the number of bytes that TryRead could give now.
func (t *Tap) Available() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy || t.isClosed() {
		return 0
	}
	if t.look(); t.wish.made || t.wish.have > 0 {
		return t.wish.have
	}
	level := t.s.supply.Level()
	if t.fresh > 0 {
		return min(t.fresh, level)
	}
	n := max(0, min(t.bucket.Level(t.s.opt.Now()), level-t.s.opt.BootReserve))
	if t.s.short.Load() {
		if t.s.Waiting() > 0 {
			return 0
		}
		return min(n, Quantum)
	}
	return n
}

// Wait is how long until the tap's own bucket lets n bytes through, or as many as one
// turn gives.
func (t *Tap) Wait(n int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fresh > 0 {
		return 0
	}
	return t.bucket.Wait(t.s.opt.Now(), min(n, Quantum))
}

// Fresh tells the tap that its guest has had nothing yet: it has connected,
// booted, or was restored or cloned. Its next 64 bytes go ahead of all others,
// if it has paid for the last time.
func (t *Tap) Fresh() {
	t.mu.Lock()
	now := t.s.opt.Now()
	t.stats.Seeded, t.stats.fresh, t.born = false, Quantum, now
	if t.bucket.Level(now) >= 0 && t.s.advance(t.wish.flow) {
		t.fresh = Quantum
	}
	t.mu.Unlock()
	t.wake()
}

// SetLimits changes the limits. A reader that waits for its bucket is judged anew;
// one that waits for the supply keeps its place.
func (t *Tap) SetLimits(l Limits) {
	t.mu.Lock()
	t.bucket.Set(t.s.opt.Now(), l.Rate, l.Burst)
	t.mu.Unlock()
	t.s.setWeight(t.wish.flow, l.Weight)
	t.wake()
}

// Close ends the tap: readers return os.ErrClosed, now and later.
func (t *Tap) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed() {
		return os.ErrClosed
	}
	close(t.closed)
	t.s.leave(t.wish.flow)
	clear(t.wish.stash[:])
	return nil
}

func (t *Tap) isClosed() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

func (t *Tap) wake() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

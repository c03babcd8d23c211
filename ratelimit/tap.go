package ratelimit

import (
	"context"
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
// connection: what the guest has had and owes outlives its reconnects.
type Tap struct {
	s      *Scheduler
	flow   *flow
	turn   chan struct{} // held by the one reader that waits; the others queue here
	kick   chan struct{} // tells that reader that limits changed
	closed chan struct{}

	mu     sync.Mutex
	bucket Bucket
	busy   bool // a reader holds turn: nobody may overtake it
	fresh  int  // bytes of the advance not yet given
	timer  *time.Timer
	stats  Stats
	since  time.Duration // when the reader that waits began, for what
	why    cause
	born   time.Duration // when the guest last became fresh
}

// NewTap returns a tap with a full bucket.
func (s *Scheduler) NewTap(l Limits) *Tap {
	s.mu.Lock()
	f := s.order.newFlow(l.Weight)
	s.mu.Unlock()
	f.ok = make(chan struct{}, 1)
	return &Tap{
		s:      s,
		flow:   f,
		turn:   make(chan struct{}, 1),
		kick:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		bucket: NewBucket(s.opt.Now(), l.Rate, l.Burst),
	}
}

// TryRead gives what can be had now, at most len(p) bytes, and 0 rather than a
// trickle: at least min(len(p), Quantum) or nothing. It never blocks.
func (t *Tap) TryRead(p []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		return 0
	}
	return t.try(p)
}

// try takes from the bucket and the supply what both have now. The caller
// holds mu.
func (t *Tap) try(p []byte) int {
	if len(p) == 0 || t.isClosed() {
		return 0
	}
	now := t.s.opt.Now()
	first := t.fresh > 0
	n := t.allowed(now, len(p))
	if n == 0 {
		return 0
	}
	got := t.s.grant(t.flow, p[:n], first)
	if got > 0 {
		t.bucket.Take(now, got)
		t.given(now, got)
	}
	return got
}

// allowed is how many of n bytes the bucket, or the advance, lets through.
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

func (t *Tap) given(now time.Duration, n int) {
	t.stats.Bytes += uint64(n)
	t.stats.Grants++
	if t.fresh > 0 {
		t.fresh -= min(t.fresh, n)
	}
	if t.stats.fresh > 0 {
		t.stats.fresh -= min(t.stats.fresh, n)
		if t.stats.fresh == 0 {
			t.stats.Seeded = true
			t.stats.FirstBytes = max(now-t.born, 0)
		}
	}
}

// Available is the number of bytes that TryRead could give now, at most burst
// and at most what the supply holds for this tap.
func (t *Tap) Available() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy || t.isClosed() {
		return 0
	}
	level := t.s.supply.Level()
	if t.fresh > 0 {
		return min(t.fresh, level)
	}
	if _, short := t.s.Waiting(); short {
		return 0
	}
	return max(0, min(t.bucket.Level(t.s.opt.Now()), level-t.s.opt.BootReserve))
}

// Fresh tells the tap that its guest has had nothing yet: it has connected,
// booted, or was restored or cloned. Its next 64 bytes go ahead of all others,
// if it has paid for the last time.
func (t *Tap) Fresh() {
	t.mu.Lock()
	now := t.s.opt.Now()
	t.stats.Seeded, t.stats.fresh, t.born = false, Quantum, now
	if t.bucket.Level(now) >= 0 && t.s.advance(t.flow) {
		t.fresh = Quantum
	}
	t.mu.Unlock()
	t.wake()
}

// SetLimits changes the limits; a reader that waits is judged anew.
func (t *Tap) SetLimits(l Limits) {
	t.mu.Lock()
	t.bucket.Set(t.s.opt.Now(), l.Rate, l.Burst)
	t.mu.Unlock()
	t.s.setWeight(t.flow, l.Weight)
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

// Read is ReadContext without a context.
func (t *Tap) Read(p []byte) (int, error) { return t.ReadContext(context.Background(), p) }

// ReadContext blocks until at least min(len(p), Quantum) bytes are granted, and
// returns how many were. It returns os.ErrClosed after Close, and ctx's error
// when ctx is done; nothing is lost then. Several readers are served in the
// order in which they came.
func (t *Tap) ReadContext(ctx context.Context, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if n := t.TryRead(p); n > 0 {
		return n, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-t.closed:
		return 0, os.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	began := t.s.opt.Now()
	n, err := t.readInTurn(ctx, p)
	<-t.turn
	if n > 0 {
		t.s.opt.ObserveWait(max(t.s.opt.Now()-began, 0))
	}
	return n, err
}

// readInTurn waits for the bucket, then for the supply.
func (t *Tap) readInTurn(ctx context.Context, p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = true
	defer func() { t.busy = false }()
	for {
		if t.isClosed() {
			return 0, os.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if n := t.try(p); n > 0 {
			return n, nil
		}
		now := t.s.opt.Now()
		n := t.allowed(now, min(len(p), Quantum))
		if n == 0 {
			t.waitForBucket(ctx, t.bucket.Wait(now, min(len(p), Quantum)))
			continue
		}
		if n, err := t.waitForSupply(ctx, p[:n]); n > 0 || err != nil {
			return n, err
		}
	}
}

// waitForBucket returns after d, or earlier when something changed. It gives mu
// up while it waits.
func (t *Tap) waitForBucket(ctx context.Context, d time.Duration) {
	if t.timer == nil {
		t.timer = time.NewTimer(d)
	} else {
		t.timer.Reset(d)
	}
	t.begin(causeRate)
	t.mu.Unlock()
	select {
	case <-t.timer.C:
	case <-t.kick:
	case <-t.closed:
	case <-ctx.Done():
	}
	t.timer.Stop()
	t.mu.Lock()
	t.end()
}

// waitForSupply waits for the order's grant. It gives mu up while it waits.
func (t *Tap) waitForSupply(ctx context.Context, p []byte) (int, error) {
	now := t.s.opt.Now()
	t.bucket.Take(now, len(p))
	t.begin(causeSupply)
	t.s.wait(t.flow, p, t.fresh > 0)
	t.mu.Unlock()
	var n int
	var err error
	select {
	case <-t.flow.ok:
		n = t.flow.got
	case <-t.closed:
		err = os.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		n = t.s.cancel(t.flow)
		if n > 0 {
			err = nil // it was given in the same moment: not to be lost
		}
	}
	t.mu.Lock()
	t.end()
	t.bucket.Put(len(p) - n)
	t.given(t.s.opt.Now(), n)
	return n, err
}

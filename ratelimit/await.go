package ratelimit

import "context"

// Await blocks until there is something for TryRead to give, which it says, until over
// is closed or the tap is. It takes nothing: up to n bytes, at most Quantum, are set
// aside for the tap, out of its bucket and its share. It queues with the readers, and
// is not in Stats as one of them.
func (t *Tap) Await(over <-chan struct{}, n int) bool {
	select {
	case t.turn <- struct{}{}:
	case <-t.closed:
		return false
	case <-over:
		return false
	}
	defer func() { <-t.turn }()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy, t.quiet = true, true
	defer func() { t.busy, t.quiet = false, false }()
	for ctx := context.Background(); !t.isClosed(); {
		if t.look(); t.wish.have > 0 {
			return true
		}
		if isOver(over) {
			return false
		}
		if t.wish.made {
			t.waitForSupply(ctx, over)
			continue
		}
		now := t.s.opt.Now()
		if n := t.allowed(now, min(n, Quantum)); n > 0 {
			t.want(now, n)
			continue
		}
		t.waitForBucket(ctx, over, t.bucket.Wait(now, min(n, Quantum)))
	}
	return false
}

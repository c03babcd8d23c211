package ratelimit

import (
	"context"
	"os"
	"time"
)

// wish is a tap's request that waits for its turn. Its bytes come into memory of
// the tap, not of a reader: a reader that gives up loses nothing, the next one
// finds what came.
type wish struct {
	flow  *flow
	made  bool // the flow waits, or it was served and that was not noticed yet
	n     int  // bytes wished for, taken from the bucket
	at    int  // stash[at:at+have] has come and was not given on
	have  int
	stash [Quantum]byte
}

// want makes a wish for n bytes, at most Quantum. The caller holds mu.
func (t *Tap) want(now time.Duration, n int) {
	t.bucket.Take(now, n)
	t.wish.made, t.wish.n = true, n
	t.s.wait(t.wish.flow, t.wish.stash[:n], t.fresh > 0, t.more(now, 0))
}

// more says whether the bucket, from which n bytes are about to be taken, lets a
// full turn through within grace.
func (t *Tap) more(now time.Duration, n int) bool {
	return t.bucket.Wait(now, n+Quantum) < grace
}

// came notes that the wish was served; its token is taken from flow.ok.
func (t *Tap) came() {
	w := &t.wish
	t.bucket.Put(w.n - w.flow.got)
	w.made, w.at, w.have = false, 0, w.flow.got
}

// look notes that the wish was served, if it was. The caller holds mu.
func (t *Tap) look() {
	if !t.wish.made {
		return
	}
	select {
	case <-t.wish.flow.ok:
		t.came()
	default:
	}
}

// collect gives on what the wish has brought. The caller holds mu.
func (t *Tap) collect(p []byte) int {
	t.look()
	w := &t.wish
	if w.have == 0 {
		return 0
	}
	n := copy(p, w.stash[w.at:w.at+w.have])
	clear(w.stash[w.at : w.at+n])
	w.at, w.have = w.at+n, w.have-n
	t.given(t.s.opt.Now(), n)
	return n
}

// Read is ReadContext without a context.
func (t *Tap) Read(p []byte) (int, error) { return t.ReadContext(context.Background(), p) }

// ReadContext blocks until bytes are granted, and returns how many were. It
// returns os.ErrClosed after Close, and ctx's error when ctx is done; nothing is
// lost then. Several readers are served in the order in which they came.
func (t *Tap) ReadContext(ctx context.Context, p []byte) (int, error) {
	return t.ReadUntil(ctx, nil, p)
}

// ReadUntil is ReadContext, and returns 0 and no error when over is closed: for who has
// to look at something else then, and a context of its own for each read would cost
// memory.
func (t *Tap) ReadUntil(ctx context.Context, over <-chan struct{}, p []byte) (int, error) {
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
	case <-over:
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	began := t.s.opt.Now()
	n, err := t.readInTurn(ctx, over, p)
	<-t.turn
	if n > 0 {
		t.s.opt.ObserveWait(max(t.s.opt.Now()-began, 0))
	}
	return n, err
}

// readInTurn waits for the bucket, then for the supply.
func (t *Tap) readInTurn(ctx context.Context, over <-chan struct{}, p []byte) (int, error) {
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
		if isOver(over) {
			return 0, nil
		}
		if !t.wish.made {
			now := t.s.opt.Now()
			n := t.allowed(now, min(len(p), Quantum))
			if n == 0 {
				t.waitForBucket(ctx, over, t.bucket.Wait(now, min(len(p), Quantum)))
				continue
			}
			t.want(now, n)
		}
		t.waitForSupply(ctx, over)
	}
}

func isOver(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// waitForBucket returns after d, or earlier when something changed. It gives mu
// up while it waits.
func (t *Tap) waitForBucket(ctx context.Context, over <-chan struct{}, d time.Duration) {
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
	case <-over:
	case <-ctx.Done():
	}
	t.timer.Stop()
	t.mu.Lock()
	t.end()
}

// waitForSupply returns when the wish was served, or earlier when the reader is
// to give up. It gives mu up while it waits.
func (t *Tap) waitForSupply(ctx context.Context, over <-chan struct{}) {
	t.begin(causeSupply)
	t.mu.Unlock()
	served := false
	select {
	case <-t.wish.flow.ok:
		served = true
	case <-t.closed:
	case <-over:
	case <-ctx.Done():
	}
	t.mu.Lock()
	t.end()
	if served {
		t.came()
	}
}

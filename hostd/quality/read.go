package quality

import (
	"context"
	"errors"
	"os"
	"time"

	"headgate/ratelimit"
)

// TryRead gives what can be had now. It never blocks.
func (t *Tap) TryRead(p []byte) int {
	n, _ := t.TryReadGraded(p)
	return n
}

// ReadContext blocks until bytes are granted (wire.Tap).
func (t *Tap) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, _, err := t.ReadGraded(ctx, p)
	return n, err
}

// TryReadGraded is TryRead, and says whether it gave bytes of the reservoir.
func (t *Tap) TryReadGraded(p []byte) (n int, full bool) {
	switch t.regime.Load().Quality {
	case DRBG:
		n = t.generated(p)
	case FullThenDRBG:
		if t.spare() {
			t.gen().seedNow()
		}
		if n = t.res.TryRead(p); n > 0 {
			full = true
		} else {
			n = t.generated(p)
		}
		t.level.note(t, n, full)
	default:
		n, full = t.res.TryRead(p), true
	}
	t.begin.gave(t, n)
	return n, full
}

func (t *Tap) generated(p []byte) int {
	g := t.gen()
	g.revive()
	return g.out.TryRead(p)
}

// ReadGraded is ReadContext, and says whether it gave bytes of the reservoir.
func (t *Tap) ReadGraded(ctx context.Context, p []byte) (n int, full bool, err error) {
	if len(p) == 0 {
		return 0, false, nil
	}
	if n, full = t.TryReadGraded(p); n > 0 {
		return n, full, nil
	}
	began := t.opt.Now()
	for {
		r := t.regime.Load()
		n, full, err = t.await(ctx, r, p)
		switch {
		case n > 0:
			t.begin.gave(t, n)
			if r.Quality == FullThenDRBG {
				t.level.note(t, n, full)
			}
			return n, full, nil
		case t.closed.Load() || errors.Is(err, os.ErrClosed):
			return 0, false, os.ErrClosed
		case ctx.Err() != nil:
			return 0, false, ctx.Err()
		}
		// The regime has ended, or the DRBG's bucket has filled.
		if n, full = t.TryReadGraded(p); n > 0 {
			t.opt.ObserveWait(t.opt.Now().Sub(began))
			return n, full, nil
		}
	}
}

// await waits until there is something, as long as r holds.
func (t *Tap) await(ctx context.Context, r *regime, p []byte) (n int, full bool, err error) {
	switch {
	case r.Quality == Full:
		n, err = t.res.ReadUntil(ctx, r.over, p)
		return n, true, err
	case r.Quality == DRBG || t.spare() && !t.gen().usable.Load():
		t.gen().revive() // or nobody would wait for its seed
		n, err = t.gen().out.ReadUntil(ctx, r.over, p)
		return n, false, err
	case t.gen().usable.Load():
		// Its bucket is empty: until it is not, the reservoir's bytes may come.
		soon, done := context.WithTimeout(ctx, max(t.gen().out.Wait(len(p)), leastWait))
		defer done()
		ctx = soon
	}
	n, err = t.res.ReadUntil(ctx, r.over, p)
	return n, true, err
}

// leastWait keeps a reader from looking all the time where another one of the guest's
// is quicker.
const leastWait = time.Millisecond

// Available is about the number of bytes that TryRead could give now.
func (t *Tap) Available() int {
	r := t.regime.Load()
	n := 0
	if r.Quality != DRBG {
		n = t.res.Available()
	}
	if n == 0 && r.Quality != Full {
		t.gen().revive() // a client that asks before it reads would else never see any
		n = t.gen().out.Available()
	}
	return n
}

// Stats is a snapshot.
func (t *Tap) Stats() Stats {
	var s Stats
	if g := t.drbg.Load(); g != nil {
		s.DRBG = g.out.Stats()
		g.mu.Lock() // no seed is drawn meanwhile
		s.Full, s.Seeding = t.res.Stats(), g.stats
		g.mu.Unlock()
	} else {
		s.Full = t.res.Stats()
	}
	s.Full.Bytes -= s.SeedBytes
	s.Stats = ratelimit.Stats{
		Bytes:           s.Full.Bytes + s.DRBG.Bytes,
		RateThrottled:   s.Full.RateThrottled + s.DRBG.RateThrottled,
		SupplyThrottled: s.Full.SupplyThrottled + s.DRBG.SupplyThrottled,
		Waiting:         s.Full.Waiting || s.DRBG.Waiting,
	}
	s.Seeded, s.FirstBytes = t.begin.told()
	return s
}

// Stats is what a guest was given of both qualities, and how its DRBG is.
type Stats struct {
	ratelimit.Stats                 // of both together
	Full, DRBG      ratelimit.Stats // of each; seeds are in neither's Bytes
	Seeding
}

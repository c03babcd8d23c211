package xen

import (
	"context"
	"time"

	"headgate/wire/pipe"
)

// Waits before a ring that could not be connected to is tried again, without its
// guest having offered another, and before another is tried of a guest that broke the
// one before. Each time it takes twice as long.
const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
)

// parting is how long a guest that has ended its ring has to take its offer back, too.
const parting = time.Second

// patience is how long what a domain offers has to wait. It outlives a Withdraw.
type patience struct {
	domain uint16 // whose it is
	pace   pace
	free   time.Time     // when a newer offer may be tried
	retry  time.Duration // before the same is tried again
	breach time.Duration // before what is offered next, when the next ring is broken
}

// Run serves the domain until ctx is done. Nothing of it is mapped then.
//
// A ring that has ended is not tried again before the domain has written its offer
// anew: the page may be about to be freed. One that could not be mapped is, slowly.
func (r *Ring) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		inner, hangUp := context.WithCancel(ctx)
		o, wait, ok := r.take(time.Now(), hangUp)
		if ok {
			r.try(inner, o)
			hangUp()
			continue
		}
		hangUp()
		var due <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-r.changed:
		case <-due:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave()
	return nil
}

// take takes what is to be tried now. If nothing is, wait is how long it will be; 0:
// until something changes.
func (r *Ring) take(now time.Time, hangUp context.CancelFunc) (o Offer, wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offer == nil {
		return o, 0, false
	}
	if p := &r.patience; p.domain != r.offer.Domain { // which has done nothing yet
		*p = patience{domain: r.offer.Domain, breach: minRetry}
	}
	due := r.free
	switch {
	case r.tried == nil || *r.tried != *r.offer:
		r.retry = minRetry
	case !r.again.IsZero():
		due = r.again
	case r.met && now.Before(r.parted): // its session is over
		return o, r.parted.Sub(now), false
	case r.met: // guestd was killed: it would have taken its offer back
		r.miss()
		r.trouble = "the ring has ended, and its guest has not offered another yet: does guestd run in it?"
		fallthrough
	default:
		return o, 0, false
	}
	if wait = due.Sub(now); wait > 0 {
		return o, wait, false
	}
	r.tried, r.hangUp, r.again = r.offer, hangUp, time.Time{}
	r.free = now.Add(r.pace.took(now))
	return *r.offer, 0, true
}

// try connects to the ring and serves it until it ends, or ctx, which Withdraw and
// other offers end, too.
func (r *Ring) try(ctx context.Context, o Offer) {
	conn, err := r.connect(o.Domain, o.Offer)
	if err != nil {
		r.refuse(o, err)
		return
	}
	news, ok := r.begin(ctx, o)
	if !ok {
		conn.Close()
		r.end(ctx, time.Now(), nil)
		return
	}
	if news {
		r.tap.Fresh()
	}
	began := time.Now()
	r.end(ctx, began, r.serve(ctx, conn))
}

// begin notes that a session begins, and says whether that is news. Not ok: it must
// not begin, since the domain has gone or offers another.
func (r *Ring) begin(ctx context.Context, o Offer) (news, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return false, false
	}
	news = !r.met
	r.met, r.trouble = true, ""
	if news {
		r.notify(pipe.Event{Kind: pipe.Connected, Peer: peer(o.Domain)})
	}
	return news, true
}

// end notes that what tried has led to is over; err: since the guest broke it. One that
// we hung up on was missed by then, if it is to be.
func (r *Ring) end(ctx context.Context, began time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangUp = nil
	now := time.Now()
	r.parted = now.Add(parting)
	if err == nil || ctx.Err() != nil {
		return
	}
	r.met = false
	r.notify(pipe.Event{Kind: pipe.Broken, Peer: peer(r.there), Err: err})
	r.broke(began, now)
	if r.offer != nil {
		r.trouble = "its guest broke the ring (" + err.Error() + "), and has not offered another yet: does guestd run in it?"
	}
}

// broke has what the guest offers next wait, longer each time, unless it kept the
// protocol for long.
func (p *patience) broke(began, now time.Time) {
	if now.Sub(began) > 2*maxRetry {
		p.breach = minRetry
	}
	p.free = now.Add(p.breach)
	p.breach = min(2*p.breach, maxRetry)
}

// refuse notes that a ring cannot be connected to. It tells of each reason once, and
// not of what was taken back or written anew meanwhile.
func (r *Ring) refuse(o Offer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangUp = nil
	now := time.Now()
	switch {
	case r.offer == nil || *r.offer != o:
		return
	case r.met && now.Before(r.parted): // what is left of a session that is over, likely
		r.again = r.parted
		return
	}
	r.miss()
	r.refused.Add(1)
	r.again = now.Add(r.retry)
	r.retry = min(2*r.retry, maxRetry)
	if r.trouble != err.Error() {
		r.trouble = err.Error()
		r.notify(pipe.Event{Kind: pipe.Refused, Peer: peer(o.Domain), Err: err})
	}
}

package xen

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"headgate/wire/pipe"
	"headgate/xen/vchan"
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

// Ring is a `vchan:` pipe: it connects to the ring that its domain offers, as often
// as that offers one.
//
// guestd offers one for each of its sessions, and none between them: a guest must have
// no event channel of a process when it is saved (package vchan, Conn.Abandon). A guest
// that took its offer back when its session was over rests: it counts as connected, and
// its next session is no news.
//
// A ring that has ended is not tried again before the domain has written its offer
// anew: the page may be about to be freed. One that could not be mapped is, slowly.
type Ring struct {
	served
	connect func(domid uint16, o vchan.Offer) (io.ReadWriteCloser, error)
	bell    func(domid uint16)
	changed chan struct{} // has a token when offer or closed may be another

	mu      sync.Mutex
	offer   *Offer             // what there is
	tried   *Offer             // what was connected to, or tried, last
	hangUp  context.CancelFunc // of what tried has led to; nil: it is over
	domain  uint16             // whose pace, free and breach are
	pace    pace
	free    time.Time     // when a newer offer may be tried
	again   time.Time     // when tried may be once more; zero: never
	retry   time.Duration // before the next again
	breach  time.Duration // before what is offered next, when the next ring is broken
	trouble string

	there    int       // the domain that is; -1: none
	met      bool      // its guestd is there, too, in a session or between two
	resting  bool      // between two
	ending   *Offer    // what it has ended and may take back; nil: nothing
	deadline time.Time // by when
}

var _ pipe.Pipe = (*Ring)(nil)

// NewRing makes the pipe of a domain that is not there yet.
func NewRing(o Options) *Ring {
	return newRing(o, func(domid uint16, o vchan.Offer) (io.ReadWriteCloser, error) {
		conn, err := vchan.Connect(domid, o)
		if err != nil {
			return nil, err // not a nil *Conn in an interface
		}
		return conn, nil
	})
}

func newRing(o Options, connect func(uint16, vchan.Offer) (io.ReadWriteCloser, error)) *Ring {
	r := &Ring{connect: connect, bell: o.Bell, changed: make(chan struct{}, 1), there: -1}
	if r.bell == nil {
		r.bell = func(uint16) {}
	}
	r.init(o)
	return r
}

// Offer says what the domain offers now. It never blocks; what is as before changes
// nothing. While it is connected, only other numbers do.
func (r *Ring) Offer(o Offer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offer != nil && *r.offer == o {
		return
	}
	r.meet(o.Domain)
	r.offer = &o
	if r.hangUp != nil && !r.tried.sameRing(o) {
		r.hangUp()
	}
	r.wake()
}

// Await says that the domain is there and offers nothing now. A session that there is
// goes on to its end. A guestd that may be in a domain that is new is rung for.
func (r *Ring) Await(domain uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	isNew := r.there != int(domain)
	r.meet(domain)
	r.offer, r.again, r.trouble = nil, time.Time{}, ""
	r.resting = r.met && r.hangUp == nil
	r.ending = nil
	if isNew {
		r.bell(domain)
	}
	r.wake()
}

// meet notes which domain is there; with mu held.
func (r *Ring) meet(domain uint16) {
	if r.there == int(domain) {
		return
	}
	r.leave()
	r.there = int(domain)
}

// Withdraw says that the domain has gone. It ends the connection, and the domain's page
// is unmapped at once; it never blocks.
func (r *Ring) Withdraw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offer, r.tried, r.again, r.trouble = nil, nil, time.Time{}, ""
	r.leave()
	r.wake()
}

// leave ends what there is of the domain that was there; with mu held.
func (r *Ring) leave() {
	if r.hangUp != nil {
		r.hangUp()
	} else if r.met {
		r.notify(pipe.Event{Kind: pipe.Disconnected, Peer: peer(r.there)})
	}
	r.there, r.met, r.resting, r.ending = -1, false, false, nil
}

// Push sends the guest fresh bytes, or rings for it if it rests.
func (r *Ring) Push() bool {
	if r.served.Push() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resting {
		r.bell(uint16(r.there))
	}
	return r.resting
}

// Stats is a snapshot.
func (r *Ring) Stats() pipe.Stats {
	s := r.served.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Connected = s.Connected || r.resting
	return s
}

// Domain is the one that offers a ring now, if one does.
func (r *Ring) Domain() (id uint16, there bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offer == nil {
		return 0, false
	}
	return r.offer.Domain, true
}

// Trouble says why the ring that is offered is not connected; "": it is, or there is
// none.
func (r *Ring) Trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// Close does nothing: what is not run holds nothing.
func (r *Ring) Close() error { return nil }

// Run serves the domain until ctx is done. Nothing of it is mapped then.
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
	if r.ending != nil && *r.ending == *r.offer {
		if wait = r.deadline.Sub(now); wait > 0 {
			return o, wait, false
		}
		r.lost()
	}
	r.ending = nil
	if r.domain != r.offer.Domain { // which has done nothing yet
		r.domain, r.pace, r.free, r.breach = r.offer.Domain, pace{}, time.Time{}, minRetry
	}
	due := r.free
	if r.tried != nil && *r.tried == *r.offer {
		if r.again.IsZero() {
			return o, 0, false
		}
		due = r.again
	} else {
		r.retry = minRetry
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
	switch {
	case err != nil:
		r.refuse(o, err)
		return
	case ctx.Err() != nil: // the domain went meanwhile
		conn.Close()
		r.mu.Lock()
		r.hangUp = nil
		r.mu.Unlock()
		return
	}
	if known := r.begin(o); !known {
		r.welcome(peer(o.Domain))
	}
	began := time.Now()
	if err := r.serve(ctx, conn, peer(o.Domain)); err != nil {
		r.broke(began, time.Now())
		r.ended("its guest broke the ring (" + err.Error() + "), and has not offered another yet: does guestd run in it?")
		return
	}
	r.parted(o)
}

// begin notes that a session begins, and says whether it is no news.
func (r *Ring) begin(o Offer) (known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known = r.met
	r.trouble, r.met, r.resting = "", r.there == int(o.Domain), false
	return known
}

// parted notes that a session of a domain is over, and nobody broke it.
func (r *Ring) parted(o Offer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangUp = nil
	r.deadline = time.Now().Add(parting)
	switch {
	case r.there != int(o.Domain): // that domain has gone
		r.notify(pipe.Event{Kind: pipe.Disconnected, Peer: peer(o.Domain)})
	case r.offer == nil:
		r.resting = true
	case *r.offer == o:
		r.ending = r.offer
	}
}

// lost notes that a guest has ended its ring and has not taken its offer back: its
// guestd was killed. With mu held.
func (r *Ring) lost() {
	r.met = false
	r.trouble = "the ring has ended, and its guest has not offered another yet: does guestd run in it?"
	r.notify(pipe.Event{Kind: pipe.Disconnected, Peer: peer(r.there)})
}

// ended notes that what tried has led to is over.
func (r *Ring) ended(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangUp, r.met = nil, false
	if r.offer != nil {
		r.trouble = trouble
	}
}

// broke has what the guest offers next wait, longer each time, unless it kept the
// protocol for long.
func (r *Ring) broke(began, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(began) > 2*maxRetry {
		r.breach = minRetry
	}
	r.free = now.Add(r.breach)
	r.breach = min(2*r.breach, maxRetry)
}

// refuse notes that a ring cannot be connected to. It tells of each reason once.
func (r *Ring) refuse(o Offer, err error) {
	r.mu.Lock()
	r.hangUp = nil
	if now := time.Now(); r.met && now.Before(r.deadline) {
		r.again = r.deadline // what is left of a session that is over, likely
		r.mu.Unlock()
		return
	}
	if r.met {
		r.met = false
		r.notify(pipe.Event{Kind: pipe.Disconnected, Peer: peer(o.Domain)})
	}
	r.refused.Add(1)
	tell := r.offer != nil && r.trouble != err.Error()
	if r.offer != nil {
		r.trouble = err.Error()
		r.again = time.Now().Add(r.retry)
		r.retry = min(2*r.retry, maxRetry)
	}
	r.mu.Unlock()
	if tell {
		r.notify(pipe.Event{Kind: pipe.Refused, Peer: peer(o.Domain), Err: err})
	}
}

func (r *Ring) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// sameRing says whether both are of one page: what a guest writes again is.
func (o *Offer) sameRing(other Offer) bool {
	return o != nil && o.Domain == other.Domain && o.Offer == other.Offer
}

// peer is a domain, as events name it.
type peer uint16

func (p peer) String() string { return "domain " + strconv.Itoa(int(p)) }

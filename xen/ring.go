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

// Ring is a `vchan:` pipe: it connects to the ring that its domain offers, as often
// as that offers one.
//
// guestd offers one for each of its sessions, and none between them: a guest must have
// no event channel of a process when it is saved (package vchan, Conn.Abandon). A guest
// that took its offer back when its session was over rests: it counts as connected, and
// its next session is no news.
//
// A domain is there from Offer or Await to Withdraw, or to another domain. Its guestd
// is met by its first session, which is when Connected is told; Disconnected is told
// when the domain goes, when a session is over and its offer is still there a while
// later, and when a ring that it offers cannot be connected to; Broken, when it breaks
// one.
type Ring struct {
	served
	connect func(domid uint16, o vchan.Offer) (io.ReadWriteCloser, error)
	bell    func(domid uint16)
	changed chan struct{} // has a token when what is below may be another

	mu      sync.Mutex
	there   int                // the domain that is; -1: none
	met     bool               // its guestd is there, too, in a session or between two
	rung    bool               // its guestd was rung for
	offer   *Offer             // what it offers; nil: nothing
	tried   *Offer             // what was connected to, or tried, last
	hangUp  context.CancelFunc // of what tried has led to; nil: it is over
	parted  time.Time          // how long the offer of a session that is over may be there still
	again   time.Time          // when tried may be once more; zero: never
	trouble string
	patience
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
// goes on to its end. A guestd that may be in the domain and was not met is rung for,
// once.
func (r *Ring) Await(domain uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meet(domain)
	r.offer, r.again, r.trouble = nil, time.Time{}, ""
	if !r.met && !r.rung {
		r.rung = true
		r.bell(domain)
	}
	r.wake()
}

// Withdraw says that the domain has gone. It ends the connection, and the domain's page
// is unmapped at once; it never blocks.
func (r *Ring) Withdraw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave()
	r.wake()
}

// meet notes which domain is there; with mu held.
func (r *Ring) meet(domain uint16) {
	if r.there != int(domain) {
		r.leave()
		r.there = int(domain)
	}
}

// leave ends all that there is of the domain that was there; with mu held.
func (r *Ring) leave() {
	if r.hangUp != nil {
		r.hangUp()
	}
	r.miss()
	r.there, r.rung = -1, false
	r.offer, r.tried, r.again, r.trouble = nil, nil, time.Time{}, ""
}

// miss notes that guestd is not there any more; with mu held.
func (r *Ring) miss() {
	if r.met {
		r.met = false
		r.notify(pipe.Event{Kind: pipe.Disconnected, Peer: peer(r.there)})
	}
}

// Push sends the guest fresh bytes, or rings for it if it is between two sessions.
func (r *Ring) Push() bool {
	if r.served.Push() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.met {
		r.bell(uint16(r.there))
	}
	return r.met
}

// Stats is a snapshot.
func (r *Ring) Stats() pipe.Stats {
	s := r.served.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Connected = r.met
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

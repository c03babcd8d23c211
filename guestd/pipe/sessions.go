//go:build linux

package pipe

import (
	"os"
	"sync"

	"headgate/wire/feed"
)

// visits is the pipe over rings of Xen's. It has one only while its host visits: at
// the start, when it is asked, when the host rings, and after a resume. The host
// begins each visit with a push.
//
// No event channel is open in between, for the kernel forgets those at a resume and
// breaks (BUG_ON in Linux' drivers/xen/evtchn.c) when one of before is closed, also
// by the end of the process. vchan.Conn.Abandon is for a resume during a visit.
type visits struct {
	path   string
	tie    *tie
	listen func(*tie, string) (ring, error)
	unbind func() // ends the watch
	free   func() // gives back what is held until Close

	in    feed.Inbox    // the visit's: no byte of one goes into the next
	calls chan struct{} // a token: the host is to come
	quit  chan struct{} // closed by Close

	mu      sync.Mutex
	now     *visit // nil: none
	opening bool   // one is being offered
	doubt   bool   // the bell rang meanwhile
	rung    bool   // the next push is not, or not only, because of Ask
	met     bool   // its push has come
	asked   int    // bytes, before its push
	owed    int    // bytes, since
	before  error  // how the visit before went, as Ask says it
	closed  bool
	busy    sync.WaitGroup // who offers a ring or ends one; Close waits
}

// newVisits returns the pipe, with its first visit to come.
func newVisits(s *store, path string, listen func(*tie, string) (ring, error)) (*visits, error) {
	t, err := s.use()
	if err != nil {
		return nil, err
	}
	p := &visits{path: path, tie: t, listen: listen, calls: make(chan struct{}, 1), quit: make(chan struct{}), before: ErrSoon, free: func() {}}
	// The first signal is that the watch was set.
	if p.unbind, err = t.follow(BellPath, func() bool { p.ring(); return true }, func() {}); err != nil {
		t.leave()
		return nil, err
	}
	return p, nil
}

// Ask has the host come, or asks one that is there.
func (p *visits) Ask(n int) error {
	n = min(n, feed.MaxData)
	p.mu.Lock()
	v := p.now
	before := p.before
	switch {
	case p.closed:
		p.mu.Unlock()
		return os.ErrClosed
	case v != nil && p.met:
		p.owed += n
		p.mu.Unlock()
		return v.send(request(n))
	}
	p.asked = max(p.asked, n)
	if v == nil && !p.opening {
		p.call()
	}
	p.mu.Unlock()
	return before
}

func (p *visits) Receive() (feed.Batch, error) {
	for {
		v, err := p.present()
		if err != nil {
			return feed.Batch{}, err
		}
		b, err := v.receive(&p.in)
		if err == nil {
			p.took(v, &b)
			return b, nil
		}
		p.in = feed.Inbox{}
		if err := p.over(v); err != nil {
			return feed.Batch{}, err
		}
	}
}

// took takes note of what came. The push that begins a visit is the answer to what
// was asked, as far as it goes.
func (p *visits) took(v *visit, b *feed.Batch) {
	if len(b.Data) == 0 {
		return
	}
	p.mu.Lock()
	first, more := !p.met, 0
	if first {
		p.met, p.before = true, nil
		more = max(p.asked-len(b.Data), 0)
		b.Pushed = b.Pushed && (p.rung || p.asked == 0)
		p.asked, p.owed, p.rung = 0, more, false
	} else {
		p.owed = max(p.owed-len(b.Data), 0)
	}
	p.mu.Unlock()
	if more > 0 {
		_ = v.send(request(more))
	}
}

// over ends a visit. The error, if any, says why what was asked for does not come.
func (p *visits) over(v *visit) error {
	p.mu.Lock()
	mine := p.now == v // else Close ends it
	var err error
	switch resumed := v.moot.Load(); {
	case !mine || resumed:
	case p.met && p.owed > 0, !p.met && v.ring.Met():
		err = ErrDry
	case !p.met:
		err = ErrAway
	}
	if mine {
		p.now = nil
		p.busy.Add(1)
		if !p.met && err != nil {
			p.before = err
		}
	}
	p.mu.Unlock()
	if mine {
		v.end()
		p.busy.Done()
	}
	return err
}

// Report ends the visit, too, unless more is to come.
func (p *visits) Report(r *feed.Report) error {
	p.mu.Lock()
	v, met, owed := p.now, p.met, p.owed
	p.mu.Unlock()
	if v == nil || !met {
		return ErrAway // it went before it could be told
	}
	err := v.send(report(r))
	if owed == 0 || err != nil {
		v.finish()
	}
	return err
}

func (p *visits) Wipe()        { p.in.Wipe() }
func (p *visits) Kind() Kind   { return VchanKind }
func (p *visits) Path() string { return "vchan:" + p.path }

// Close ends the visit, if there is one; a Receive that waits returns.
func (p *visits) Close() error {
	p.mu.Lock()
	v, closed := p.now, p.closed
	p.now, p.closed = nil, true
	p.mu.Unlock()
	if closed {
		return os.ErrClosed
	}
	close(p.quit)
	p.unbind()
	if v != nil {
		v.end()
	}
	p.busy.Wait()
	p.tie.leave()
	p.free()
	return nil
}

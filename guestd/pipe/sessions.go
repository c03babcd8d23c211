//go:build linux

package pipe

import (
	"os"
	"sync"

	"headgate/wire/feed"
)

// sessions is the pipe over rings of Xen's. It has one for a session with its host, and
// none in between: at the start, when it is asked, when the host rings, and after a
// resume. The host begins each session with a push.
//
// No event channel is open in between, for the kernel forgets those at a resume and
// breaks (BUG_ON in Linux' drivers/xen/evtchn.c) when one of before is closed, also
// by the end of the process. vchan.Conn.Abandon is for a resume during a session.
type sessions struct {
	path   string
	tie    *tie
	listen func(*tie, string) (ring, error)
	unbind func() // ends the watch
	free   func() // gives back what is held until Close

	in    feed.Inbox    // the session's: no byte of one goes into the next
	calls chan struct{} // a token: the host is to come
	quit  chan struct{} // closed by Close

	mu      sync.Mutex
	now     *session // nil: none
	opening bool     // one is being offered
	doubt   bool     // the bell rang meanwhile
	rung    bool     // the next push is not, or not only, because of Ask
	met     bool     // its push has come
	asked   int      // bytes, before its push
	owed    int      // bytes, since
	before  error    // how the session before went, as Ask says it
	closed  bool
	busy    sync.WaitGroup // who offers a ring or ends one; Close waits
}

// newSessions returns the pipe, with its first session to come.
func newSessions(s *store, path string, listen func(*tie, string) (ring, error)) (*sessions, error) {
	t, err := s.use()
	if err != nil {
		return nil, err
	}
	p := &sessions{path: path, tie: t, listen: listen, calls: make(chan struct{}, 1), quit: make(chan struct{}), before: ErrSoon, free: func() {}}
	if p.unbind, err = t.follow(BellPath, func() bool { p.ring(); return true }, func() {}); err != nil {
		t.leave()
		return nil, err
	}
	p.ring() // it may have rung before
	return p, nil
}

// Ask has the host come, or asks one that is there.
func (p *sessions) Ask(n int) error {
	n = min(n, feed.MaxData)
	p.mu.Lock()
	s := p.now
	before := p.before
	switch {
	case p.closed:
		p.mu.Unlock()
		return os.ErrClosed
	case s != nil && p.met:
		p.owed += n
		p.mu.Unlock()
		return s.send(request(n))
	}
	p.asked = max(p.asked, n)
	if s == nil && !p.opening {
		p.call()
	}
	p.mu.Unlock()
	return before
}

func (p *sessions) Receive() (feed.Batch, error) {
	for {
		s, err := p.present()
		if err != nil {
			return feed.Batch{}, err
		}
		b, err := s.receive(&p.in)
		if err == nil {
			p.took(s, &b)
			return b, nil
		}
		p.in = feed.Inbox{}
		if err := p.over(s); err != nil {
			return feed.Batch{}, err
		}
	}
}

// took takes note of what came. The push that begins a session is the answer to what
// was asked, as far as it goes.
func (p *sessions) took(s *session, b *feed.Batch) {
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
		_ = s.send(request(more))
	}
}

// over ends a session. The error, if any, says why what was asked for does not come.
func (p *sessions) over(s *session) error {
	p.mu.Lock()
	mine := p.now == s // else Close ends it
	var err error
	switch resumed := s.moot.Load(); {
	case !mine || resumed:
	case p.met && p.owed > 0, !p.met && s.ring.Met():
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
		s.end()
		p.busy.Done()
	}
	return err
}

// Report ends the session, too, unless more is to come.
func (p *sessions) Report(r *feed.Report) error {
	p.mu.Lock()
	s, met, owed := p.now, p.met, p.owed
	p.mu.Unlock()
	if s == nil || !met {
		return ErrAway // it went before it could be told
	}
	err := s.send(report(r))
	if owed == 0 || err != nil {
		s.finish()
	}
	return err
}

func (p *sessions) Renew()       {} // every frame has its epoch
func (p *sessions) Wipe()        { p.in.Wipe() }
func (p *sessions) Kind() Kind   { return VchanKind }
func (p *sessions) Path() string { return "vchan:" + p.path }

// Close ends the session, if there is one; a Receive that waits returns.
func (p *sessions) Close() error {
	p.mu.Lock()
	s, closed := p.now, p.closed
	p.now, p.closed = nil, true
	p.mu.Unlock()
	if closed {
		return os.ErrClosed
	}
	close(p.quit)
	p.unbind()
	if s != nil {
		s.end()
	}
	p.busy.Wait()
	p.tie.leave()
	p.free()
	return nil
}

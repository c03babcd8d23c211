//go:build linux

package pipe

import (
	"os"
	"time"
)

// ring is called when the host has rung, and after a resume.
func (p *sessions) ring() {
	p.mu.Lock()
	s, met, opening := p.now, p.met, p.opening
	p.rung, p.doubt = true, opening
	p.mu.Unlock()
	switch {
	case opening:
		return
	case s == nil:
	case !s.ours():
		s.forsake()
	case !met:
		return // its push is still to come
	}
	p.call()
}

func (p *sessions) call() {
	select {
	case p.calls <- struct{}{}:
	default:
	}
}

// present returns the session that there is, or waits until there is to be one.
func (p *sessions) present() (*session, error) {
	p.mu.Lock()
	s, closed := p.now, p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, os.ErrClosed
	case s != nil:
		return s, nil
	}
	select {
	case <-p.calls:
	case <-p.tie.Done():
		return nil, p.tie.Err()
	case <-p.quit:
		return nil, os.ErrClosed
	}
	if !p.begin() {
		return nil, os.ErrClosed
	}
	defer p.busy.Done()
	s, err := p.offer()
	p.mu.Lock()
	doubt, closed := p.doubt, p.closed
	p.opening, p.met, p.owed = false, false, 0
	if err == nil && !closed {
		p.now = s
	}
	p.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case closed:
		s.end()
		return nil, os.ErrClosed
	case doubt && !s.ours():
		s.forsake()
		p.call()
	}
	return s, nil
}

// begin says that a ring is being offered, which all who have called are to have.
func (p *sessions) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.opening, p.doubt = true, false
	p.busy.Add(1)
	select {
	case <-p.calls:
	default:
	}
	return true
}

// again is when an offer that failed is made once more: it may have been because of a
// resume.
const again = 100 * time.Millisecond

func (p *sessions) offer() (*session, error) {
	s, err := offer(p.tie, p.path, p.listen)
	if err == nil {
		return s, nil
	}
	t := time.NewTimer(again)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.quit:
		return nil, os.ErrClosed
	}
	return offer(p.tie, p.path, p.listen)
}

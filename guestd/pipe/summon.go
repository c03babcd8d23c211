//go:build linux

package pipe

import (
	"os"
	"time"
)

// ring is called when the host has rung, and after a resume.
func (p *visits) ring() {
	p.mu.Lock()
	v, met, opening := p.now, p.met, p.opening
	p.rung, p.doubt = true, opening
	p.mu.Unlock()
	switch {
	case opening:
		return
	case v == nil:
	case !v.ours():
		v.forsake()
	case !met:
		return // its push is still to come
	}
	p.call()
}

func (p *visits) call() {
	select {
	case p.calls <- struct{}{}:
	default:
	}
}

// present returns the visit that there is, or waits until there is to be one.
func (p *visits) present() (*visit, error) {
	p.mu.Lock()
	v, closed := p.now, p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, os.ErrClosed
	case v != nil:
		return v, nil
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
	v, err := p.offer()
	p.mu.Lock()
	doubt, closed := p.doubt, p.closed
	p.opening, p.met, p.owed = false, false, 0
	if err == nil && !closed {
		p.now = v
	}
	p.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case closed:
		v.end()
		return nil, os.ErrClosed
	case doubt && !v.ours():
		v.forsake()
		p.call()
	}
	return v, nil
}

// begin says that a ring is being offered, which all who have called are to have.
func (p *visits) begin() bool {
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

func (p *visits) offer() (*visit, error) {
	v, err := offer(p.tie, p.path, p.listen)
	if err == nil {
		return v, nil
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

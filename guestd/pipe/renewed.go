//go:build linux

package pipe

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"headgate/wire/feed"
)

// opening is one of a pipe's, of which it has many in turn; a tty is one.
type opening interface {
	// receive returns something, or the error that ended it.
	receive() (feed.Batch, error)
	send(*feed.Frame) error
	wipe()
	// end wakes a receive and gives all back. It is called once.
	end()
}

const (
	// spacing is the least time from one opening to the next: of a terminal that is
	// hung up at once the guest bears four a second.
	spacing = 250 * time.Millisecond

	// When it cannot be opened again: a first pause, which doubles, and how often it
	// is tried. After that, some seconds, the pipe ends with the error.
	firstPause = 50 * time.Millisecond
	attempts   = 7

	defaultAsk = 64 // bytes, where nobody asked before
)

// renewed is a pipe that outlives its openings: whoever waits at it does not see that
// the guest was restored, but for what comes. It asks at once in each new opening,
// for no push is sure to begin one.
type renewed struct {
	kind Kind
	path string
	open func() (opening, error)

	asked atomic.Int32 // bytes, the last time

	mu     sync.Mutex
	now    opening // nil while it is opened again
	opened time.Time
	closed bool
	quit   chan struct{}
}

// start makes the first opening, so that who opens the pipe learns why it cannot.
func (p *renewed) start() (Pipe, error) {
	s, err := p.open()
	if err != nil {
		return nil, err
	}
	p.now, p.opened, p.quit = s, time.Now(), make(chan struct{})
	return p, nil
}

func (p *renewed) Receive() (feed.Batch, error) {
	for {
		s, err := p.present()
		if err != nil {
			return feed.Batch{}, err
		}
		b, err := s.receive()
		if err == nil {
			return b, nil
		}
		s.wipe()
		p.over(s)
	}
}

// present returns the opening that there is, or makes one.
func (p *renewed) present() (opening, error) {
	pause := firstPause
	for tried := 0; ; {
		p.mu.Lock()
		s, closed, wait := p.now, p.closed, time.Until(p.opened.Add(spacing))
		p.mu.Unlock()
		switch {
		case closed:
			return nil, os.ErrClosed
		case s != nil:
			return s, nil
		}
		if tried > 0 {
			wait, pause = pause, 2*pause
		}
		if !p.sleep(wait) {
			return nil, os.ErrClosed
		}
		s, err := p.open()
		if err == nil {
			p.begin(s)
			continue
		}
		if tried++; tried == attempts || errors.Is(err, ErrNone) {
			return nil, err
		}
	}
}

// sleep waits, and says whether it may go on.
func (p *renewed) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(min(d, spacing<<4)) // should the clock be set back
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.quit:
		return false
	}
}

// begin makes s the present one, unless the pipe was closed.
func (p *renewed) begin(s opening) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.now, p.opened = s, time.Now()
	}
	p.mu.Unlock()
	if closed {
		s.end()
		return
	}
	n := int(p.asked.Load())
	if n == 0 {
		n = defaultAsk
	}
	_ = s.send(request(n)) // the feeder asks, too, at its interval
}

// over ends s, once.
func (p *renewed) over(s opening) {
	p.mu.Lock()
	mine := p.now == s // else Close ends it
	if mine {
		p.now = nil
	}
	p.mu.Unlock()
	if mine {
		s.end()
	}
}

func (p *renewed) Ask(n int) error {
	p.asked.Store(int32(min(n, feed.MaxData)))
	return p.send(request(n))
}

func (p *renewed) Report(r *feed.Report) error { return p.send(report(r)) }

func (p *renewed) send(f *feed.Frame) error {
	p.mu.Lock()
	s, closed := p.now, p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return os.ErrClosed
	case s == nil:
		return ErrSoon
	}
	return s.send(f)
}

func (p *renewed) Renew() {} // every frame has its epoch

func (p *renewed) Wipe() {
	p.mu.Lock()
	s := p.now
	p.mu.Unlock()
	if s != nil {
		s.wipe()
	}
}

func (p *renewed) Kind() Kind   { return p.kind }
func (p *renewed) Path() string { return p.path }

// Close ends the present one; a Receive that waits returns.
func (p *renewed) Close() error {
	p.mu.Lock()
	s, closed := p.now, p.closed
	p.now, p.closed = nil, true
	p.mu.Unlock()
	if closed {
		return os.ErrClosed
	}
	close(p.quit)
	if s != nil {
		s.end()
	}
	return nil
}

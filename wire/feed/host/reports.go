package host

import (
	"sync"
	"time"

	"headgate/wire/feed"
)

// ReportEvery is the least time between two reports that a connection delivers.
// Of those that come in between only the latest is delivered.
const ReportEvery = 100 * time.Millisecond

// reports delivers the first report at once and later ones at a bounded rate.
type reports struct {
	deliver func(feed.Report)

	mu      sync.Mutex
	pause   *time.Timer // runs while the next report has to wait
	latest  feed.Report
	pending bool
	stopped bool
}

func (r *reports) put(rep feed.Report) {
	if r.deliver == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest, r.pending = rep, true
	if r.pause == nil {
		r.flush()
	}
}

// flush delivers what is pending and starts the next pause. r.mu is held, so that
// reports are delivered one at a time and in order.
func (r *reports) flush() {
	r.pause = nil
	if !r.pending {
		return
	}
	r.pending = false
	r.deliver(r.latest)
	if r.stopped {
		return
	}
	r.pause = time.AfterFunc(ReportEvery, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.stopped {
			r.flush()
		}
	})
}

// stop delivers the last report, if it still waits, and nothing after it.
func (r *reports) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.pause != nil {
		r.pause.Stop()
	}
	if r.deliver != nil {
		r.flush()
	}
}

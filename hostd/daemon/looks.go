package daemon

import (
	"context"
	"sync"
	"time"
)

// lookAfter is how long after a hook libvirt is asked what has become of the domain:
// a start that failed is told by nobody if the hook that ends it is lost.
const lookAfter = 10 * time.Second

// maxLooks bounds the domains that are to be looked at.
const maxLooks = 1 << 14

// looks are the domains to be looked at later. One goroutine waits for all.
type looks struct {
	mu      sync.Mutex
	due     map[string]time.Time // by UUID
	changed chan struct{}        // has a token if there may be an earlier one
}

func newLooks() *looks {
	return &looks{due: map[string]time.Time{}, changed: make(chan struct{}, 1)}
}

// later has a domain looked at then, and not before.
func (l *looks) later(uuid string, then time.Time) {
	l.mu.Lock()
	if _, there := l.due[uuid]; there || len(l.due) < maxLooks {
		l.due[uuid] = then
	}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// take gives the domains that are due, and how long it is until the next is.
func (l *looks) take(now time.Time) (due []string, next time.Duration, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for uuid, then := range l.due {
		wait := then.Sub(now)
		switch {
		case wait <= 0:
			due = append(due, uuid)
			delete(l.due, uuid)
		case !more || wait < next:
			next, more = wait, true
		}
	}
	return due, next, more
}

// run calls look for each domain when it is due, until ctx is done. Those due
// within the same half second are looked at together.
func (l *looks) run(ctx context.Context, look func(uuid string)) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	waits := false
	for {
		var wake <-chan time.Time
		changed := l.changed
		if waits {
			wake, changed = timer.C, nil // a later one is no reason to wake earlier
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-changed:
		}
		due, next, more := l.take(time.Now())
		for _, uuid := range due {
			look(uuid)
		}
		if waits = more; waits {
			timer.Reset(next + 500*time.Millisecond)
		}
	}
}

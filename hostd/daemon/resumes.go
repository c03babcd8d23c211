package daemon

import (
	"context"
	"maps"
	"sync"
	"time"
)

// maxResumes bounds the domains that wait to be pushed to: more than libvirt has
// (REMOTE_DOMAIN_LIST_MAX of its remote_protocol.x).
const maxResumes = 1 << 14

// resumes are the domains that go on, and may be from an earlier state, so that their
// guestd is to be pushed to. Who tells of them must not wait. One that is told of again
// before its turn is pushed to once: nothing is gained by being paused and resumed
// without end.
type resumes struct {
	mu   sync.Mutex
	due  map[string]bool // by UUID; true: they are fresh, libvirt says
	some token
}

func newResumes() *resumes { return &resumes{due: map[string]bool{}, some: newToken()} }

func (r *resumes) add(uuid string, fresh bool) {
	r.mu.Lock()
	if was, there := r.due[uuid]; there || len(r.due) < maxResumes {
		r.due[uuid] = was || fresh
	}
	r.mu.Unlock()
	r.some.tell()
}

// take gives those that are due.
func (r *resumes) take() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := maps.Clone(r.due)
	clear(r.due)
	return due
}

// run calls resume for each domain that is due, until ctx is done.
func (r *resumes) run(ctx context.Context, resume func(uuid string, fresh bool)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.some:
		}
		for uuid, fresh := range r.take() {
			resume(uuid, fresh)
		}
	}
}

// resume pushes to guestd of a domain that goes on. One whose QEMU has only just been
// started has a push before it already: its connection begins with one.
func (d *Daemon) resume(uuid string, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.domains[uuid]
	switch {
	case m == nil || !m.served():
	case fresh:
		d.freshen(m, "it was rebooted, or put back to an earlier state")
	case time.Now().Before(m.starts):
	default:
		if m.guest.push().Sent() {
			d.pushed(m.guest, "its domain goes on, and may be from an earlier state")
		}
	}
}

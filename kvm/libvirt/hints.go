package libvirt

import (
	"sync"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// maxHints is how many domains may wait to be looked at: REMOTE_DOMAIN_LIST_MAX of
// libvirt's remote_protocol.x, the longest list of domains there is. When more
// wait, the list is asked for.
const maxHints = 16384

// hint says that a domain may not be any more as it was last seen.
type hint struct {
	name string // where it is known
	// Of one that was looked at in vain:
	tries int
	due   time.Time // when it may be looked at again; zero: now
}

// hints are the domains to be looked at, each once, however many events there were.
type hints struct {
	mu       sync.Mutex
	waiting  map[rpc.UUID]hint
	all      bool // more than maxHints
	restored restored
	some     chan struct{} // has a token when there may be work
}

func newHints() *hints {
	return &hints{waiting: map[rpc.UUID]hint{}, restored: restored{}, some: make(chan struct{}, 1)}
}

// add puts a domain in, together with what is known of it already.
func (h *hints) add(uuid rpc.UUID, n hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, there := h.waiting[uuid]
	switch {
	case there:
		if n.name == "" {
			n.name = old.name
		}
		if old.due.Before(n.due) {
			n.due, n.tries = old.due, old.tries
		}
	case len(h.waiting) >= maxHints:
		h.all = true
		h.wake()
		return
	}
	h.waiting[uuid] = n
	h.wake()
}

func (h *hints) wake() {
	select {
	case h.some <- struct{}{}:
	default:
	}
}

// news is what an event tells of a domain.
type news struct {
	domain  rpc.Domain
	resumed bool // it goes on, or will, in the QEMU that it has
	fresh   bool // from an earlier state, or anew
}

// read understands one of libvirt's events.
func (h *hints) read(event any) (n news, known bool) {
	switch e := event.(type) {
	case *rpc.DomainEventCallbackLifecycleMsg:
		h.mu.Lock()
		defer h.mu.Unlock()
		n.domain = e.Msg.Dom
		n.resumed, n.fresh = h.restored.next(n.domain.UUID, rpc.DomainEventType(e.Msg.Event), e.Msg.Detail)
	case *rpc.DomainEventCallbackRebootMsg: // in the same QEMU
		n = news{e.Msg.Dom, true, true}
	case *rpc.DomainEventCallbackMetadataChangeMsg:
		n.domain = e.Dom
	case *rpc.DomainEventCallbackDeviceAddedMsg:
		n.domain = e.Dom
	case *rpc.DomainEventCallbackDeviceRemovedMsg:
		n.domain = e.Msg.Dom
	default:
		return n, false
	}
	return n, true
}

// kinds are the events that read knows.
var kinds = []rpc.DomainEventID{
	rpc.DomainEventIDLifecycle,
	rpc.DomainEventIDReboot,
	rpc.DomainEventIDMetadataChange,
	rpc.DomainEventIDDeviceAdded,
	rpc.DomainEventIDDeviceRemoved,
}

// take gives the domains that may be looked at now, at most n, without those that
// are being looked at.
func (h *hints) take(n int, busy map[rpc.UUID]asking, now time.Time) map[rpc.UUID]hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[rpc.UUID]hint{}
	for uuid, n1 := range h.waiting {
		if len(out) == n {
			break
		}
		if _, there := busy[uuid]; !there && !n1.due.After(now) {
			out[uuid] = n1
			delete(h.waiting, uuid)
		}
	}
	return out
}

// next says when the first of those that may not be looked at yet may be, without
// those that are being looked at; zero: there is none.
func (h *hints) next(busy map[rpc.UUID]asking) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := time.Time{}
	for uuid, n := range h.waiting {
		_, there := busy[uuid]
		if !there && !n.due.IsZero() && (first.IsZero() || n.due.Before(first)) {
			first = n.due
		}
	}
	return first
}

// overflow says whether hints were lost.
func (h *hints) overflow() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}

// relist drops what a list of all domains, asked for from now on, tells as well.
func (h *hints) relist() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = false
	clear(h.waiting)
}

// forget drops what only the last connection's events meant.
func (h *hints) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.restored)
}

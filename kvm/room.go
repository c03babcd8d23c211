package kvm

import "sync/atomic"

// Room is how many clients egd pipes may have beyond one each. All pipes share
// it, so that no guest's clients take the descriptors that others need for their
// one connection. A nil Room has no end.
type Room struct{ size, used atomic.Int64 }

// Resize sets how many there may be. Those that are connected stay.
func (r *Room) Resize(n int) { r.size.Store(int64(n)) }

func (r *Room) take() bool {
	if r == nil {
		return true
	}
	if r.used.Add(1) > r.size.Load() {
		r.used.Add(-1)
		return false
	}
	return true
}

func (r *Room) give() {
	if r != nil {
		r.used.Add(-1)
	}
}

package libvirt

import rpc "github.com/digitalocean/go-libvirt"

// restored are the domains whose last lifecycle event was that a new QEMU had
// started from a saved state.
type restored map[rpc.UUID]bool

// next takes in a domain's next lifecycle event (libvirt-domain.h,
// virDomainEventType) and says whether the domain goes on, or is paused and will, from
// what may be an earlier state, in the QEMU that it has; and whether it is one for
// sure. That is what an event from a snapshot or a migration tells, unless it only
// completes the start of a new QEMU (restore, snapshot-revert of libvirt 7.10 and
// later, an incoming migration), which connects anew and counts as fresh by that. A
// loadvm by QEMU's monitor is told as a pause and its end, and as nothing more.
func (r restored) next(uuid rpc.UUID, event rpc.DomainEventType, detail int32) (resumed, fresh bool) {
	completes := r[uuid]
	delete(r, uuid)
	switch event {
	case rpc.DomainEventStarted:
		switch rpc.DomainEventStartedDetailType(detail) {
		case rpc.DomainEventStartedBooted, rpc.DomainEventStartedWakeup:
			// Nothing is to follow: what does, long after, stands by itself.
		default:
			if len(r) >= maxHints {
				clear(r) // at worst somebody counts as fresh who is so already
			}
			r[uuid] = true
		}
	case rpc.DomainEventResumed:
		switch rpc.DomainEventResumedDetailType(detail) {
		case rpc.DomainEventResumedFromSnapshot, rpc.DomainEventResumedMigrated:
			fresh = !completes
		}
		return true, fresh
	case rpc.DomainEventSuspended:
		switch rpc.DomainEventSuspendedDetailType(detail) {
		case rpc.DomainEventSuspendedFromSnapshot:
			return true, !completes
		case rpc.DomainEventSuspendedRestored:
			return true, false
		}
	}
	return false, false
}

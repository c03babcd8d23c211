package libvirt

import rpc "github.com/digitalocean/go-libvirt"

// restored are the domains whose last lifecycle event was that a new QEMU had
// started from a saved state.
type restored map[rpc.UUID]bool

// next takes in a domain's next lifecycle event (libvirt-domain.h,
// virDomainEventType) and says whether the domain was put back to an earlier state
// in the QEMU that it had. That is what an event from a snapshot or a migration
// tells, unless it only completes the start of a new QEMU (restore, snapshot-revert
// of libvirt 7.10 and later, an incoming migration), which connects anew and counts
// as fresh by that.
func (r restored) next(uuid rpc.UUID, event rpc.DomainEventType, detail int32) bool {
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
		return false
	case rpc.DomainEventResumed:
		switch rpc.DomainEventResumedDetailType(detail) {
		case rpc.DomainEventResumedFromSnapshot, rpc.DomainEventResumedMigrated:
			return !completes
		}
	case rpc.DomainEventSuspended:
		return rpc.DomainEventSuspendedDetailType(detail) == rpc.DomainEventSuspendedFromSnapshot && !completes
	}
	return false
}

package daemon

import (
	"fmt"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// Hook takes in what libvirt's hook tells of a domain, whose start waits for the
// answer: it asks nobody, least of all libvirt, which holds the domain's lock.
func (d *Daemon) Hook(call control.HookCall) error {
	if err := call.Check(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if call.Op != control.OpAttach { // that is no proof that libvirt runs the hook
		d.follow.calls++
		d.follow.lastCall = now
	}
	w := word{Domain: call.Domain, at: toldAt(call.At, now)}
	switch call.Op {
	case "stopped", "release":
		d.over(call.Domain.UUID, call.Domain.ID, w.at, now)
		return nil
	case "prepare":
		w.begins = true
	case "restore":
		w.begins, w.fresh = true, "it is restored from a saved state"
	case "migrate":
		w.begins, w.fresh = true, "it has migrated to this host"
	case control.OpAttach:
		w.promised = true
	}
	err := d.heard(w, now)
	if w.begins || w.promised {
		d.looks.later(w.UUID, now.Add(lookAfter)) // what began may fail, and nobody may say so
	}
	if err == nil && w.promised {
		err = d.awaits(call)
	}
	return err
}

// awaits says why a device that is about to be attached would find no socket.
func (d *Daemon) awaits(call control.HookCall) error {
	m := d.domains[call.Domain.UUID]
	if m == nil || len(m.promised) == 0 {
		l, name := d.config.Libvirt, config.DomainGuest(call.Domain.Name, call.Domain.UUID)
		return fmt.Errorf("%w domain %.80q: no device of it connects to hostd; its own sockets are %s for an rng device and %s for a port",
			control.ErrInvalid, call.Domain.Name, l.GuestSocket(name), l.GuestPort(name))
	}
	for _, p := range m.promised {
		if m.guest == nil || m.guest.at(p.Path) == nil {
			return fmt.Errorf("%w domain %s: %v is not there: %s", control.ErrInvalid, m, p, m.lastProblem())
		}
	}
	return nil
}

// lateness is how late a call may come to be listened to as what it was, not as
// what is now. The hook gives up much earlier; hostd may have been stopped meanwhile.
const lateness = time.Minute

// toldAt is when a call was made, on hostd's own clock: the other's may be set
// between the two, so that no more than the time that has passed is believed.
func toldAt(at, now time.Time) time.Time {
	if at.IsZero() {
		return now
	}
	return now.Add(-min(max(now.Sub(at), 0), lateness))
}

package daemon

import (
	"fmt"
	"math"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
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
	at := d.clock.told(call.At, now)
	w := word{Domain: call.Domain, at: at, by: at}
	switch call.Op {
	case "stopped", "release":
		d.over(call.Domain.UUID, call.Domain.ID, at, now)
		return nil
	case "prepare":
		w.begins = true
	case "start":
		w.starts = true
	case "restore":
		w.begins, w.tried, w.fresh = true, true, "it is restored from a saved state"
	case "migrate":
		w.begins, w.tried, w.fresh = true, true, "it has migrated to this host"
	case control.OpAttach:
		w.promised, w.at, w.by = true, now, now // who asks waits for it now
	}
	_, knew := d.domains[w.UUID]
	err := d.heard(w, now)
	// What began may fail, and nobody may say so. What was not known may be gone
	// again, and known no more for that.
	if _, knows := d.domains[w.UUID]; w.begins || w.promised || knows && !knew {
		d.looks.later(w.UUID, now.Add(lookAfter))
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

// believed is how far back a call may have been made. hostd may have been stopped
// meanwhile; one that is longer ago was told by another clock (time_namespaces(7)).
const believed = time.Hour

// clock is a moment, by hostd's own time and by that of the calls. All calls are
// placed by it, so that they keep their order.
type clock struct {
	at   time.Time
	call int64 // nanoseconds
}

// readClock reads both clocks within as short a while as it can.
func readClock() (c clock) {
	shortest := int64(math.MaxInt64)
	for range 8 {
		before, at := libvirt.Clock(), time.Now()
		if took := libvirt.Clock() - before; took < shortest {
			c, shortest = clock{at, before + took/2}, took
		}
	}
	return c
}

// told is when a call was made.
func (c clock) told(call int64, now time.Time) time.Time {
	if call <= 0 {
		return now
	}
	at := c.at.Add(time.Duration(call - c.call))
	if at.After(now) {
		return now
	}
	if now.Sub(at) > believed {
		return now.Add(-believed)
	}
	return at
}

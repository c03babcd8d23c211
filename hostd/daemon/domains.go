package daemon

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// What is known of libvirt's domains comes from its hooks and from libvirt itself,
// and either may be late, lost or told twice. So each word about a domain carries
// the time at which it was so, and one that is older than what is known is not
// listened to. The last word is libvirt's: it is asked again after whatever happens.

// word is what was told of a domain that is active or about to be.
type word struct {
	libvirt.Domain
	at, by   time.Time // when it was so, at the earliest and at the latest
	begins   bool      // a new QEMU is about to be started for it
	starts   bool      // or is being
	tried    bool      // or is not: libvirt has not looked yet whether that can be
	promised bool      // its devices are not all there yet
	fresh    string    // why its guest counts as having had nothing; empty: it does not
}

var errStopping = errors.New("hostd is stopping")

// heard takes in a word about a domain. An error is about its sockets, which are
// tried again.
func (d *Daemon) heard(w word, now time.Time) error {
	if d.ctx.Err() != nil {
		return errStopping
	}
	m := d.domains[w.UUID]
	switch {
	case m == nil && d.ends.after(w.UUID, w.at):
		return nil
	case m != nil && m.overtook(w):
		return nil
	case m != nil && w.tried:
		// If it can be, prepare is told next. If not, its QEMU goes on.
		if !m.connected() {
			d.freshen(m, w.fresh)
		}
		return nil
	}
	if m == nil || m.name != w.Name {
		// libvirt has one active domain of a name: the other has ended unseen, or
		// this has.
		if other := d.called(config.DomainGuest(w.Name, w.UUID)); other != nil && other != m {
			d.looks.later(w.UUID, now.Add(lookAfter))
			d.looks.later(other.uuid, now.Add(lookAfter))
			if w.tried || other.overtook(w) {
				return nil
			}
			d.forget(other)
		}
	}
	if m == nil {
		m = &domain{uuid: w.UUID, uid: -1}
	} else if m.name != w.Name {
		d.release(m, "its domain of libvirt's has another name")
	}
	anew := d.learn(m, w, now)
	d.domains[m.uuid] = m
	err := d.place(m)
	if m.guest == nil && len(m.problems) == 0 && m.nothing() {
		delete(d.domains, m.uuid) // nothing of it is ours, or could be
		return err
	}
	// A new QEMU counts as fresh when it connects. Until then it is to show, and
	// if it has, because this was told late, that was once and is enough.
	switch {
	case w.fresh != "" && !m.connected():
		d.freshen(m, w.fresh)
	case anew && !m.connected():
		d.freshen(m, "its QEMU is a new one")
	}
	return err
}

// overtook says whether what a word tells, of this domain or of one with its name,
// was before what is known of it. libvirt counts the ids up.
func (m *domain) overtook(w word) bool {
	return w.at.Before(m.at) || !w.at.After(m.by) && w.ID != 0 && w.ID < m.id
}

// called finds the domain that goes by a guest's name; nil: there is none.
func (d *Daemon) called(guest string) *domain {
	for _, m := range d.domains {
		if m.guestName == guest {
			return m
		}
	}
	return nil
}

// learn makes the domain what a word says, and reports whether it has a new QEMU in
// the place of the one that it was known to have.
func (d *Daemon) learn(m *domain, w word, now time.Time) (anew bool) {
	anew = m.id != 0 && (w.ID != 0 && w.ID != m.id || w.ID == 0 && w.begins)
	if w.begins {
		m.id = 0
	}
	had := m.devices
	m.take(w.Domain)
	m.at, m.by, m.starts = w.at, w.by, time.Time{}
	if w.begins || w.starts {
		m.starts = now.Add(lookAfter)
	}
	d.wire(m)
	if w.promised {
		m.promised, m.until, m.devices = m.pipes, now.Add(lookAfter), had
	} else if !slices.ContainsFunc(m.promised, func(p config.Pipe) bool { return !slices.Contains(m.pipes, p) }) {
		m.promised = nil // it was kept
	}
	return anew
}

// freshen has a domain's guest count as one that has had nothing yet.
func (d *Daemon) freshen(m *domain, why string) {
	if !m.served() {
		return
	}
	m.guest.fresh()
	d.event(slog.LevelInfo, "libvirt_fresh", m.guest.name, "guest counts as unseeded: "+why)
}

// over takes in that a domain was not active at some time. The id is that of the
// QEMU that ended; 0: not known.
func (d *Daemon) over(uuid string, id int, at, now time.Time) {
	d.ends.note(uuid, at, now)
	m := d.domains[uuid]
	if m == nil || m.at.After(at) || id != 0 && id < m.id { // libvirt counts them up
		return
	}
	d.forget(m)
}

// forget ends what was there for a domain.
func (d *Daemon) forget(m *domain) {
	d.release(m, "its domain of libvirt's has ended")
	delete(d.domains, m.uuid)
}

// all takes in which domains are active, out of all that there are.
func (d *Daemon) all(active []libvirt.Domain, unknown []string, at, now time.Time) {
	there := make(map[string]bool, len(active)+len(unknown))
	for _, uuid := range unknown {
		there[uuid] = true
	}
	for _, a := range active {
		there[a.UUID] = true
	}
	if at.After(d.ends.listed) {
		d.ends.listed = at
	}
	for uuid := range d.domains {
		if !there[uuid] {
			d.over(uuid, 0, at, now)
		}
	}
}

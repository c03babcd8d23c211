package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm"
)

// own makes the domain a guest, or brings the one that it is up to date: each pipe
// by itself, so that the others stay connected.
func (d *Daemon) own(m *domain, entry config.Guest, uid int) error {
	if g := m.guest; g != nil && (g.origin != control.OriginLibvirt || g.name != entry.Name || len(entry.Pipes) == 0) {
		d.release(m, "its domain of libvirt's has no device for it any more")
	}
	if len(entry.Pipes) == 0 {
		return nil
	}
	added := m.guest == nil
	if added {
		m.guest = d.found(entry, control.OriginLibvirt, m.uuid)
		m.guest.domain = m
	}
	d.govern(m.guest, entry)
	err := d.plumb(m, entry.Pipes, uid)
	if added {
		d.event(slog.LevelInfo, "guest_added", entry.Name, "guest added: a domain of libvirt's")
	}
	return err
}

// found makes the guest that a domain is; it has no pipe yet.
func (d *Daemon) found(entry config.Guest, origin, uuid string) *guest {
	class, _ := d.config.Class(entry.Class) // Config.Policy gives none that is not there
	g := d.newGuest(control.GuestSpec{Guest: entry, Transient: true}, origin, class, uuid)
	g.spec.Pipes = nil
	g.ctx = d.ctx
	d.guests[entry.Name] = g
	return g
}

// govern puts a domain's guest under what its policy comes to, and what was set
// live.
func (d *Daemon) govern(g *guest, entry config.Guest) {
	if g.origin == control.OriginXen && !sameLimits(g.live.policy, entry) {
		g.live = live{} // the operator has said something else since
	}
	was := g.class
	limited := g.live.over(d.config, entry)
	g.spec.Class, g.spec.Rate, g.spec.Burst, g.spec.Weight = limited.Class, limited.Rate, limited.Burst, limited.Weight
	g.entry = entry
	if class, _ := d.config.Class(g.spec.Class); g.spec.Under(class) != was {
		d.limit(g)
		d.event(slog.LevelInfo, "guest_changed", g.name, fmt.Sprintf("guest's limits changed with its domain: class %s, rate %v, weight %d",
			g.class.Name, g.class.Rate, g.class.Weight))
	}
}

// plumb gives a domain's guest the pipes that it is to have, and takes the others
// away. One that is not open, or not for the domain's QEMU, is made anew.
func (d *Daemon) plumb(m *domain, want []config.Pipe, uid int) error {
	g := m.guest
	socket := kvm.Socket{UID: uid, GID: -1, Label: m.label} // for its QEMU alone: no other mode
	owner := m.ownerOf(d.config.Libvirt, uid)
	changed := false
	g.outlets = slices.DeleteFunc(g.outlets, func(o *outlet) bool {
		if slices.Contains(want, o.Pipe) && o.socket.UID == uid && o.socket.Label == m.label && o.opened() != nil {
			o.give(owner)
			return false
		}
		o.close()
		changed = true
		return true
	})
	var errs []error
	for _, p := range want {
		if g.at(p.Path) != nil {
			continue
		}
		o := g.add(p, socket)
		o.owner.Store(owner)
		if err := o.open(); err != nil {
			errs = append(errs, err)
			d.event(slog.LevelError, "pipe_failed", g.name, "will be tried again: "+err.Error())
		}
		o.start(g.ctx, g)
		changed = true
	}
	if changed {
		g.spec.Pipes = want
		if lacking := d.makeRoom(d.pipes()); lacking != "" {
			d.warn("process", g.name, lacking)
		}
	}
	return errors.Join(errs...)
}

package daemon

import (
	"fmt"
	"slices"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// place gives a domain its guest, with the pipes and limits that it is to have. A
// guest of the configuration, or one added live, that has the domain's name or its
// socket stands for it and stays as it is: its limits are the operator's. Else the
// domain is a guest of its own. Where all is as it should be nothing happens. An
// error says which socket could not be made; that is tried again.
func (d *Daemon) place(m *domain) error {
	pipes := m.expected(time.Now())
	var problems []problem
	for _, text := range m.miswired {
		problems = append(problems, problem{"domain_miswired", text})
	}
	var err error
	uid := d.userOf(m)
	if g := d.standing(m, pipes); g != nil {
		problems = append(problems, d.bind(m, g, pipes, uid)...)
	} else {
		entry, mistakes := d.config.Policy(m.name, m.policy)
		for _, mistake := range mistakes {
			problems = append(problems, problem{"domain_policy", mistake.Error()})
		}
		entry.Name, entry.Pipes = m.guestName, pipes
		err = d.own(m, entry, uid)
		if m.guest != nil && uid < 0 {
			problems = append(problems, problem{"domain_miswired", "whom its QEMU runs as is not known: give the class socket_owner in hostd's configuration"})
		}
	}
	d.complain(m, problems)
	return err
}

// standing is the guest, not of libvirt's making, that has a pipe of the domain's
// or else its name.
func (d *Daemon) standing(m *domain, pipes []config.Pipe) *guest {
	for _, p := range pipes {
		for _, g := range d.guests {
			if g.origin != control.OriginLibvirt && g.at(p.Path) != nil {
				return g
			}
		}
	}
	if g := d.guests[m.guestName]; g != nil && g.origin != control.OriginLibvirt {
		return g
	}
	return nil
}

// bind lets a guest of somebody else's stand for a domain: at the pipes that are
// the domain's, only its QEMU may be.
func (d *Daemon) bind(m *domain, g *guest, pipes []config.Pipe, uid int) (problems []problem) {
	if m.guest != nil && m.guest != g {
		d.release(m, "another stands for its domain of libvirt's")
	}
	m.guest = g
	if g.domain == nil {
		g.domain = m
	}
	owner := m.ownerOf(d.config.Libvirt, uid)
	for _, o := range g.outlets {
		switch path := o.opt.Socket.Path; {
		case slices.ContainsFunc(pipes, func(p config.Pipe) bool { return p.Path == path }):
			o.owner.Store(owner)
		case o.ownedBy(m, d.config.Libvirt):
			o.owner.Store(nil)
		}
	}
	for _, p := range pipes {
		if g.at(p.Path) == nil {
			problems = append(problems, problem{"domain_miswired", fmt.Sprintf(
				"guest %s, which stands for it, has no pipe %v: add it to that guest, or remove the guest, and the domain is one by itself", g.name, p)})
		}
	}
	return problems
}

// complain says what is wrong with a domain, each thing once while it is so.
func (d *Daemon) complain(m *domain, problems []problem) {
	for _, p := range problems {
		if !slices.Contains(m.problems, p) {
			d.warn(p.kind, m.guestName, p.text)
		}
	}
	m.problems = problems
}

// release parts a domain from its guest, which ends if it is the domain's own.
func (d *Daemon) release(m *domain, why string) {
	g := m.guest
	m.guest = nil
	switch {
	case g == nil:
	case g.origin == control.OriginLibvirt:
		d.drop(g, "guest removed: "+why)
		d.makeRoom(d.pipes())
	default:
		for _, o := range g.outlets {
			if o.ownedBy(m, d.config.Libvirt) {
				o.owner.Store(nil)
			}
		}
		if g.domain == m {
			g.domain = nil
		}
	}
}

// unbind parts a guest that has ended from its domains.
func (d *Daemon) unbind(g *guest) {
	if g.origin == control.OriginLibvirt {
		if g.domain != nil && g.domain.guest == g {
			g.domain.guest = nil
		}
		return
	}
	for _, m := range d.domains {
		if m.guest == g {
			m.guest = nil
		}
	}
}

// yield ends the domains' guests whose name or socket a guest of the configuration
// has now; placeAll lets that one stand for them.
func (d *Daemon) yield(to []config.Guest) {
	names, paths := map[string]bool{}, map[string]bool{}
	for _, g := range to {
		names[g.Name] = true
		for _, p := range g.Pipes {
			paths[p.Path] = true
		}
	}
	for _, m := range d.domains {
		if g := m.guest; g != nil && g.origin == control.OriginLibvirt &&
			(names[g.name] || slices.ContainsFunc(g.outlets, func(o *outlet) bool { return paths[o.opt.Socket.Path] })) {
			d.drop(g, "guest removed: one of the configuration takes its place")
		}
	}
}

// placeAll judges all domains anew, after the configuration has changed.
func (d *Daemon) placeAll() {
	for _, m := range d.domains {
		_ = d.place(m) // it is in the event log
	}
}

// placeRest gives the domains a guest that have none, after others came or went.
func (d *Daemon) placeRest() {
	for _, m := range d.domains {
		if m.guest == nil {
			_ = d.place(m) // it is in the event log
		}
	}
}

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
	d.wire(m)
	pipes := m.expected(time.Now())
	var problems []control.Problem
	for _, text := range m.miswired {
		problems = append(problems, control.Problem{Kind: control.DomainMiswired, Text: text})
	}
	var err error
	uid := d.userOf(m)
	if g := d.standing(m, pipes); g != nil {
		problems = append(problems, d.bind(m, g, pipes, uid)...)
	} else if g := d.guests[m.guestName]; g != nil && g.origin == control.OriginXen && len(pipes) > 0 {
		d.release(m, "another has its name")
		problems = append(problems, control.Problem{Kind: control.DomainMiswired, Text: "a domain of Xen's has its name: rename one of them"})
	} else {
		entry, mistakes := d.config.Policy(m.name, m.policy)
		for _, mistake := range mistakes {
			problems = append(problems, control.Problem{Kind: control.DomainPolicy, Text: mistake.Error()})
		}
		entry.Name, entry.Pipes = m.guestName, pipes
		err = d.own(m, entry, uid)
	}
	if m.guest != nil && uid < 0 {
		problems = append(problems, control.Problem{Kind: control.DomainMiswired, Text: "whom its QEMU runs as is not known, so that it may not get at its socket, and others may: give the class socket_owner in hostd's configuration"})
	}
	d.complain(&m.problems, m.guestName, problems)
	return err
}

// wire finds the pipes that a domain's devices connect to as the guests are now.
func (d *Daemon) wire(m *domain) {
	m.pipes, m.miswired = wiring(d.config.Libvirt, m.devices, d.named(m))
}

// named is the guest, not of a domain's making, that has the domain's name.
func (d *Daemon) named(m *domain) *guest {
	if g := d.guests[m.guestName]; g != nil && !g.ofDomain() {
		return g
	}
	return nil
}

// standing is the guest, not of a domain's making, that has a pipe of the domain's
// or else its name. A domain that wants nothing of hostd has none.
func (d *Daemon) standing(m *domain, pipes []config.Pipe) *guest {
	for _, p := range pipes {
		for _, g := range d.guests {
			if !g.ofDomain() && g.at(p.Path) != nil {
				return g
			}
		}
	}
	if len(pipes) == 0 {
		return nil
	}
	return d.named(m)
}

// bind lets a guest of somebody else's stand for a domain: at the pipes that are
// the domain's, only its QEMU may be, and while it has none, nobody. It stays so
// when the domain has stopped: another QEMU of the same user would draw its share.
func (d *Daemon) bind(m *domain, g *guest, pipes []config.Pipe, uid int) (problems []control.Problem) {
	if m.guest != nil && m.guest != g {
		d.release(m, "another stands for its domain of libvirt's")
	}
	m.guest = g
	if g.domain == nil {
		g.domain = m
	}
	owner := m.ownerOf(d.config.Libvirt, uid)
	for _, p := range pipes {
		if o := g.at(p.Path); o != nil {
			o.give(owner)
		} else {
			problems = append(problems, control.Problem{Kind: control.DomainMiswired, Text: fmt.Sprintf(
				"guest %s, which stands for it, has no pipe %v: add it to that guest, or remove the guest, and the domain is one by itself", g.name, p)})
		}
	}
	return problems
}

// complain says what is wrong with a domain, each thing once while it is so.
func (d *Daemon) complain(said *[]control.Problem, guest string, problems []control.Problem) {
	for _, p := range problems {
		if !slices.Contains(*said, p) {
			d.warn(p.Kind, guest, p.Text)
		}
	}
	*said = problems
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
		if g.domain == m {
			g.domain = d.boundTo(g)
		}
	}
}

// boundTo is a domain that a guest stands for, the first by name; nil: it stands
// for none.
func (d *Daemon) boundTo(g *guest) (first *domain) {
	for _, m := range d.domains {
		if m.guest == g && (first == nil || m.name < first.name) {
			first = m
		}
	}
	return first
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
// has now; placeAll lets that one stand for them, if it is theirs.
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
			(names[g.name] || slices.ContainsFunc(g.outlets, func(o *outlet) bool { return paths[o.Path] })) {
			d.drop(g, "guest removed: one of the configuration takes its place")
		}
	}
	for name := range names {
		if g := d.guests[name]; g != nil && g.origin == control.OriginXen {
			d.drop(g, "guest removed: one of the configuration has its name")
		}
	}
}

// placeAll judges all domains anew, after the configuration has changed.
func (d *Daemon) placeAll() {
	for _, m := range d.domains {
		_ = d.place(m) // it is in the event log
	}
	d.placeXen()
}

// placeRest gives the domains a guest that have none, or none with a pipe of theirs,
// after others came or went.
func (d *Daemon) placeRest() {
	for _, m := range d.domains {
		if !m.served() {
			_ = d.place(m) // it is in the event log
		}
	}
	d.placeXen()
}

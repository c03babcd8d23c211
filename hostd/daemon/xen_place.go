package daemon

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm"
)

// placeXen gives each of Xen's domains its guest, and each guest the ring of its
// domain. A guest of the configuration, or one added live, that has a vchan pipe for
// the domain stands for it, with its own limits. Else a domain is a guest of its own,
// under its policy. Where all is as it should be nothing happens. It waits for nobody,
// but for the pipes of guests that end.
func (d *Daemon) placeXen() {
	p := placing{d: d, by: map[string][]*xenDomain{}, problems: map[*xenDomain][]control.Problem{}}
	for _, m := range d.xen.domains {
		m.guest, m.outlet, m.alone = nil, nil, true
		for _, key := range m.keys() {
			p.by[key] = append(p.by[key], m)
		}
	}
	for _, same := range p.by {
		for _, m := range same {
			m.alone = m.alone && len(same) == 1
		}
	}
	own := map[string]*guest{}
	var standing []*guest
	for _, g := range d.guests {
		g.xen = nil
		switch {
		case g.origin == control.OriginXen:
			own[g.entry.Pipes[0].Path] = g
		case slices.ContainsFunc(g.outlets, (*outlet).isRing):
			standing = append(standing, g)
		}
	}
	slices.SortFunc(standing, func(a, b *guest) int { return cmp.Compare(a.name, b.name) })
	p.taken = map[*xenDomain]*guest{}
	for _, g := range standing {
		p.stand(g)
	}
	p.rest(own)
	for _, m := range d.xen.domains {
		d.complain(&m.problems, m.String(), p.problems[m])
	}
}

// placing is one pass over all domains.
type placing struct {
	d        *Daemon
	by       map[string][]*xenDomain // by what may name them
	taken    map[*xenDomain]*guest   // those that a guest stands for
	problems map[*xenDomain][]control.Problem
}

// stand gives a guest that is not a domain's own the rings of the domains that it
// stands for. A domain has one ring, so that one pipe gets it.
func (p *placing) stand(g *guest) {
	for _, o := range g.outlets {
		if !o.isRing() {
			continue
		}
		o.claim = ""
		named := p.meant(o, p.by[o.Path])
		free := make([]*xenDomain, 0, len(named))
		for _, m := range named {
			if other := p.taken[m]; other != nil {
				o.claim = fmt.Sprintf("domain %s has one ring, and guest %s has it: take one of the pipes away", m, other.name)
			} else {
				free = append(free, m)
			}
		}
		for _, m := range free {
			p.taken[m] = g
		}
		m := present(free)
		o.feed(m)
		if m == nil {
			continue
		}
		o.claim, o.uuid = "", m.UUID
		m.guest, m.outlet = g, o
		if g.xen == nil {
			g.xen = m
		}
	}
}

// meant are those of the domains that a pipe names which it may lead to: they are one,
// such as a domain that migrates within the host. Where tenants name their domains two
// may have one name, and with it would go a guest's limits: it stays with the one that
// it was, and else is neither's.
func (p *placing) meant(o *outlet, named []*xenDomain) []*xenDomain {
	if !slices.ContainsFunc(named, func(m *xenDomain) bool { return m.UUID != named[0].UUID }) {
		return named
	}
	var was []*xenDomain
	for _, m := range named {
		if o.uuid != "" && m.UUID == o.uuid {
			was = append(was, m)
			continue
		}
		p.wrong(m, "another domain is called so, too, and this one does not get the pipe "+o.String()+": let that name its domain by UUID, or rename one of them")
	}
	if was == nil {
		o.claim = "several domains are called " + o.Path + ": let the pipe name its domain by UUID, as hostd xen list shows it"
	}
	return was
}

// rest makes the other domains guests of their own, or brings those up to date, and
// ends the guests whose domains have gone.
func (p *placing) rest(own map[string]*guest) {
	d := p.d
	wanted := map[string][]*xenDomain{}
	for _, m := range d.xen.domains {
		if p.taken[m] != nil {
			continue
		}
		if !m.wanted(d.config.Xen) {
			if d.config.Xen.Unlisted && !m.rung { // its guestd may rest for a minute
				m.rung = true
				d.xen.bell(m.ID)
			}
			continue
		}
		key := m.key()
		if key == "" {
			p.wrong(m, "it has no UUID, and no name that a guest can have, so that it is not served: rename it")
			continue
		}
		wanted[key] = append(wanted[key], m)
	}
	for key, g := range own {
		if wanted[key] == nil {
			d.drop(g, "guest removed: "+p.whyGone(key))
		}
	}
	changed := false
	for _, key := range slices.SortedFunc(maps.Keys(wanted), func(a, b string) int {
		return cmp.Compare(present(wanted[a]).ID, present(wanted[b]).ID)
	}) {
		had := own[key]
		g := p.own(key, present(wanted[key]), had)
		changed = changed || g != had
	}
	if changed {
		if lacking := d.makeRoom(d.pipes()); lacking != "" {
			d.warn("process", "", lacking)
		}
	}
}

// own makes a domain a guest, or brings the one that it is up to date; nil: it is
// none.
func (p *placing) own(key string, m *xenDomain, g *guest) *guest {
	d := p.d
	name := p.name(m, g)
	if g != nil && g.name != name {
		d.drop(g, "guest removed: its domain of Xen's has another name")
		g = nil
	}
	entry, mistakes := m.entry(d.config)
	p.problems[m] = append(p.problems[m], mistakes...)
	if name == "" {
		p.wrong(m, "a guest that is no domain's own has its name, but no pipe vchan:"+key+": add it to that guest, or rename one of them")
		return nil
	}
	entry.Name, entry.Pipes = name, []config.Pipe{{Kind: config.Vchan, Path: key}}
	added := g == nil
	if added {
		g = d.found(entry, control.OriginXen, m.UUID)
		g.spec.Pipes = entry.Pipes
		o := g.add(entry.Pipes[0], kvm.Socket{})
		_ = o.open() // a ring always is
		o.start(g.ctx, g)
	}
	m.guest, m.outlet, g.xen = g, g.outlets[0], m
	d.govern(g, entry)
	g.outlets[0].feed(m)
	if added {
		d.event(slog.LevelInfo, "guest_added", name, "guest added: a domain of Xen's")
	}
	return g
}

// name is what the guest that a domain is goes by: if another domain has its name, by
// its UUID, from then on; "": a guest that is no domain's own has it.
func (p *placing) name(m *xenDomain, g *guest) string {
	if g != nil && g.name == m.UUID {
		return g.name
	}
	for _, name := range []string{config.DomainGuest(m.Name, m.UUID), m.UUID} {
		other := p.d.guests[name]
		switch {
		case name == "":
		case other == nil || other == g:
			return name
		case !other.ofDomain():
			return ""
		}
	}
	return ""
}

// whyGone is why a domain that was a guest of its own is none any more.
func (p *placing) whyGone(key string) string {
	m := present(p.by[key])
	switch {
	case !p.d.config.Xen.Follow:
		return "Xen's domains are not followed any more"
	case m == nil:
		return "its domain of Xen's has gone"
	case p.taken[m] != nil:
		return "guest " + p.taken[m].name + " stands for its domain of Xen's"
	case p.d.config.Xen.Unlisted:
		return "its domain of Xen's has no policy, and offers no ring"
	}
	return "its domain of Xen's has no policy"
}

func (p *placing) wrong(m *xenDomain, text string) {
	p.problems[m] = append(p.problems[m], control.Problem{Kind: control.DomainMiswired, Text: text})
}

// isRing says whether the outlet is a vchan pipe.
func (o *outlet) isRing() bool { return o.Kind == config.Vchan }

// feed has a vchan pipe serve the ring that a domain offers; nil: there is no domain.
func (o *outlet) feed(m *xenDomain) {
	r, open := o.opened().(ring)
	switch {
	case !open:
	case m == nil:
		r.Withdraw()
	case m.Offer == nil:
		r.Await(m.ID)
	default:
		r.Offer(*m.Offer)
	}
}

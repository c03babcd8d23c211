package daemon

import (
	"cmp"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// live is what the operator has set live of a domain's guest. It holds until the
// guest ends: whoever may edit a domain of libvirt's can only lower it by what they
// write after that. The policy of one of Xen's is the operator's word, too: it holds
// until there is another.
type live struct {
	patch  control.GuestPatch // all that was set; nothing: the policy alone counts
	policy config.Guest       // what the policy came to then
}

// set adds what is set now of a guest.
func (l *live) set(p control.GuestPatch, g *guest) {
	switch {
	case p.Class != nil:
		l.patch = control.GuestPatch{}
	case l.patch != control.GuestPatch{} && !sameLimits(l.policy, g.entry):
		is := g.class // what the policy has lowered since stays so
		l.patch = control.GuestPatch{Class: &is.Name, Rate: &is.Rate, Burst: &is.Burst, Weight: &is.Weight}
	}
	l.patch = control.GuestPatch{
		Class: cmp.Or(p.Class, l.patch.Class), Rate: cmp.Or(p.Rate, l.patch.Rate),
		Burst: cmp.Or(p.Burst, l.patch.Burst), Weight: cmp.Or(p.Weight, l.patch.Weight),
	}
	l.policy = g.entry
}

// over gives the limits that come of a policy and of what was set: while the policy
// is what it was then, as they were set, else no more than either gives.
func (l *live) over(c *config.Config, policy config.Guest) config.Guest {
	patch := l.patch
	if patch.Class != nil {
		if _, known := c.Class(*patch.Class); !known {
			patch.Class = nil
		}
	}
	limited := patched(policy, patch)
	if patch == (control.GuestPatch{}) || sameLimits(l.policy, policy) {
		return limited
	}
	own, _ := c.Class(limited.Class)
	its, _ := c.Class(policy.Class)
	own, its = limited.Under(own), policy.Under(its)
	limited.Rate, limited.Burst, limited.Weight = min(own.Rate, its.Rate), min(own.Burst, its.Burst), min(own.Weight, its.Weight)
	return limited
}

// patched is a guest with what is set over it.
func patched(g config.Guest, p control.GuestPatch) config.Guest {
	if p.Class != nil {
		g.Class, g.Rate, g.Burst, g.Weight = *p.Class, 0, 0, 0
	}
	if p.Rate != nil {
		g.Rate = *p.Rate
	}
	if p.Burst != nil {
		g.Burst = *p.Burst
	}
	if p.Weight != nil {
		g.Weight = *p.Weight
	}
	return g
}

func sameLimits(a, b config.Guest) bool {
	return a.Class == b.Class && a.Rate == b.Rate && a.Burst == b.Burst && a.Weight == b.Weight
}

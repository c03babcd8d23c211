package daemon

import (
	"slices"
	"strconv"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/xen"
)

// xenDomain is a domain of Xen's as xenstore last had it.
type xenDomain struct {
	xen.Domain
	offered  bool              // it has, since it came
	rung     bool              // it was asked to show whether it would
	problems []control.Problem // all that is wrong, as it was last said

	guest  *guest  // that gets its ring; nil: none
	outlet *outlet // of guest, that does
	alone  bool    // no other domain has its identity, so that what it offers is nobody else's matter
}

// take notes what a domain is like now. Another of the same number is another domain.
func (x *xenSide) take(d xen.Domain) {
	d.Name = settled(d.Name)
	m := x.domains[d.ID]
	if m == nil || m.UUID != d.UUID && m.UUID != "" {
		m = &xenDomain{}
		x.domains[d.ID] = m
	}
	m.Domain = d
	m.offered = m.offered || d.Offer != nil
}

// settled is the name of a domain without what xl adds to it while it migrates
// (tools/xl/xl_migrate.c, xl_vmcontrol.c): both ends of a migration within a host are
// the same domain.
func settled(name string) string {
	for _, passing := range []string{"--incoming", "--migratedaway"} {
		if rest, ok := strings.CutSuffix(name, passing); ok {
			name = rest
		}
	}
	if config.CheckDomainName(name) != nil {
		return ""
	}
	return name
}

// renews says whether the domain offers something else than before, and nothing else
// of it has changed: a guest may do so often.
func (m *xenDomain) renews(d xen.Domain) bool {
	return m != nil && m.alone && m.offered && m.UUID == d.UUID && m.Name == settled(d.Name) && samePolicy(m.Policy, d.Policy)
}

func samePolicy(p, q *xen.Policy) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Class == q.Class && p.Rate == q.Rate && p.Weight == q.Weight && slices.Equal(p.Unknown, q.Unknown)
}

// key is what names the domain in the pipe of a guest of its own; "": nothing can.
func (m *xenDomain) key() string {
	if m.UUID != "" {
		return m.UUID
	}
	return config.DomainGuest(m.named(), "")
}

// named is the domain's name where it names no other domain: digits are a number to
// xl, and what looks like a UUID is one.
func (m *xenDomain) named() string {
	if _, err := strconv.ParseUint(m.Name, 10, 64); err == nil || config.IsUUID(strings.ToLower(m.Name)) {
		return ""
	}
	return m.Name
}

// keys are all that a pipe may name the domain by.
func (m *xenDomain) keys() []string {
	keys := []string{strconv.Itoa(int(m.ID))}
	for _, k := range []string{m.UUID, m.named()} {
		if k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// wanted says whether the domain is to be a guest of its own. One that has no policy
// is once it has shown that it wants to be; it then stays one, so that it gains nothing
// by going and coming.
func (m *xenDomain) wanted(c config.Xen) bool {
	return m.Policy != nil || c.Unlisted && m.offered
}

// entry is what the domain's policy comes to, and what is wrong with it.
func (m *xenDomain) entry(c *config.Config) (config.Guest, []control.Problem) {
	p := config.Policy{Operator: true}
	if w := m.Policy; w != nil {
		p.Class, p.Rate, p.Weight, p.Unknown = w.Class, w.Rate, w.Weight, w.Unknown
	}
	entry, mistakes := c.Policy(m.String(), p)
	var problems []control.Problem
	for _, mistake := range mistakes {
		problems = append(problems, control.Problem{Kind: control.DomainPolicy, Text: mistake.Error()})
	}
	return entry, problems
}

// present is the one of several domains with one identity that is it now: the newest
// that has offered a ring, else the newest. One that is still coming has not yet, and
// what one that was saved in the middle of a session offers nobody will take back.
func present(domains []*xenDomain) (best *xenDomain) {
	for _, m := range domains {
		if best == nil || m.offered && !best.offered || m.offered == best.offered && m.ID > best.ID {
			best = m
		}
	}
	return best
}

func (m *xenDomain) status() *control.DomainStatus {
	return &control.DomainStatus{Name: m.Name, UUID: m.UUID, ID: int(m.ID), Problems: slices.Clone(m.problems)}
}

// String is a name for the event log and for people.
func (m *xenDomain) String() string {
	switch {
	case m.Name != "":
		return m.Name
	case m.UUID != "":
		return m.UUID
	}
	return "domain " + strconv.Itoa(int(m.ID))
}

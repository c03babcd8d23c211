package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/doctor"
	"headgate/xen"
	"headgate/xen/xenstore"
)

// xenRow is what list and status tell of a domain.
type xenRow struct {
	ID       int                  `json:"id,omitempty"` // 0: it is not there, and has a policy
	Domain   string               `json:"domain"`
	UUID     string               `json:"uuid"`
	Ring     bool                 `json:"ring"`  // its guestd offers one now
	Rests    bool                 `json:"rests"` // it is fed through rings, and is between two of them
	Channels []doctor.Channel     `json:"channels,omitempty"`
	Policy   *xenPolicy           `json:"policy,omitempty"`
	Pipe     string               `json:"pipe"`            // that of the guest which leads to it; "": none does
	Guest    *control.GuestStatus `json:"guest,omitempty"` // nil: hostd has none for it
	Problems []control.Problem    `json:"problems,omitempty"`

	connected bool
}

// xenPolicy is a policy as it is written in dom0's tree.
type xenPolicy struct {
	Class   string   `json:"class,omitempty"`
	Rate    string   `json:"rate,omitempty"`
	Weight  string   `json:"weight,omitempty"`
	Unknown []string `json:"unknown,omitempty"`
}

// xenRows joins what xenstore and hostd know: those that are there by their names,
// then those that only have a policy.
func (a *App) xenRows(ctx context.Context) (rows []xenRow, s control.Status, absent, err error) {
	conn, err := a.xenstore()
	if err != nil {
		return nil, s, nil, err
	}
	defer conn.Close()
	s, absent = a.daemonStatus(ctx)
	domains, err := xen.Domains(conn)
	if err != nil {
		return nil, s, absent, err
	}
	slices.SortFunc(domains, byName)
	policies, err := xen.Policies(conn)
	if err != nil {
		return nil, s, absent, err
	}
	others := orphans(policies, domains)
	rows = make([]xenRow, 0, len(domains)+len(others))
	for _, d := range append(domains, others...) {
		rows = append(rows, rowOf(conn, d, s))
	}
	return rows, s, absent, nil
}

// byName sorts dom0's own domains as people look for them.
func byName(a, b xen.Domain) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return int(a.ID) - int(b.ID)
}

// orphans are the domains that have a policy and are not here, by their UUIDs.
func orphans(policies map[string]*xen.Policy, here []xen.Domain) (found []xen.Domain) {
	for _, d := range here {
		delete(policies, d.UUID)
	}
	for _, uuid := range slices.Sorted(maps.Keys(policies)) {
		found = append(found, xen.Domain{UUID: uuid, Policy: policies[uuid]})
	}
	return found
}

func rowOf(conn *xenstore.Conn, d xen.Domain, s control.Status) xenRow {
	row := xenRow{ID: int(d.ID), Domain: d.Name, UUID: d.UUID, Ring: d.Offer != nil}
	if p := d.Policy; p != nil {
		row.Policy = &xenPolicy{Class: p.Class, Rate: p.Rate, Weight: p.Weight, Unknown: p.Unknown}
	}
	if d.ID == 0 {
		return row
	}
	row.Channels, _ = doctor.Channels(conn, d.ID) // it may have gone meanwhile
	g, pipe := doctor.GuestOf(d, row.Channels, s.Guests)
	if g != nil {
		row.Guest, row.Pipe, row.connected = g, pipe.Pipe().String(), pipe.Connected
		row.Rests = pipe.Connected && pipe.Kind == config.Vchan && !row.Ring
	}
	row.Problems = doctor.XenProblems(d, g, s)
	return row
}

// name is the row's first field.
func (r xenRow) name() cell { return left(orDash(printable(r.Domain))) }

func (r xenRow) id() cell {
	if r.ID == 0 {
		return right("-")
	}
	return numbered("%d", r.ID)
}

// kind is that of the guest's pipe that leads to the domain.
func (r xenRow) kind() string {
	kind, _, _ := strings.Cut(r.Pipe, ":")
	return orDash(kind)
}

// ring is what there is of one. guestd has one for the moments in which it asks.
func (r xenRow) ring() cell {
	switch {
	case r.Ring:
		return left("offered")
	case r.Rests:
		return left("rests")
	}
	return left("-")
}

// state sums the domain up in a word, as that of guests does.
func (r xenRow) state(l look, unknown bool) cell {
	switch {
	case r.ID == 0:
		return styled("not there", l.dim)
	case r.Guest != nil && !r.connected && r.kind() == config.Vchan && !r.Ring:
		return styled("no ring", l.warn)
	case r.Guest != nil && !r.connected && r.kind() == config.Vchan:
		return styled("cut off", l.bad)
	case r.Guest != nil:
		return guestState(l, *r.Guest)
	case r.Policy != nil && unknown:
		return styled("unknown", l.warn)
	case r.Policy != nil: // hostd has a guest for each, with a ring or not
		return styled("none", l.bad)
	}
	return left("-")
}

// class is the guest's, or the one that the policy asks for.
func (r xenRow) class(l look) cell {
	switch {
	case r.Guest != nil:
		return left(r.Guest.Class)
	case r.Policy != nil:
		return styled(orDash(printable(r.Policy.Class)), l.dim)
	}
	return left("-")
}

// policy writes the policy for people.
func (r xenRow) policy() string {
	if r.Policy == nil {
		return "-"
	}
	text := policyText(config.Policy{Class: r.Policy.Class, Rate: r.Policy.Rate, Weight: r.Policy.Weight})
	if text == "" {
		text = "empty"
	}
	return text
}

// printXen prints the rows with these columns, over them what keeps all from being
// fed, below them what is wrong with single ones.
func (a *App) printXen(rows []xenRow, s control.Status, absent error, heads []string, cells func(l look, r xenRow, unknown bool) []cell) {
	l := lookOf(a.Out)
	why := s.Xen.Error
	if !s.Xen.Follow {
		why = "follow = false under [xen] in its configuration"
	}
	a.noteUnseen(l, absent, !s.Xen.Connected, "Xen", why)
	if len(rows) == 0 {
		fmt.Fprintln(a.Out, "Xen has no domain but dom0.")
		return
	}
	var body [][]cell
	for _, r := range rows {
		body = append(body, cells(l, r, absent != nil))
	}
	table(a.Out, l, heads, body)
	for _, r := range rows {
		for _, p := range r.Problems {
			fmt.Fprintln(a.Out, l.warn.Render(fmt.Sprintf("  %s: %s", printable(r.Domain), printable(strings.TrimPrefix(p.Text, "domain "+r.Domain+": ")))))
		}
	}
}

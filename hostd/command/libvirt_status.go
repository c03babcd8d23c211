package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

func (a *App) libvirtStatus() *cobra.Command {
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show every domain with its rng device, and how it is fed",
		Example: "  hostd libvirt status\n  hostd libvirt status --json | jq '.[] | select(.pipe == \"\") | .domain'",
		Args:    exactly(),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, stop := context.WithTimeout(c.Context(), libvirtPatience)
		defer stop()
		conn, err := a.libvirtd(ctx, true)
		if err != nil {
			return err
		}
		defer conn.Close()
		status, absent := a.daemonStatus(ctx)
		rows, err := domainRows(ctx, conn, status)
		if err != nil {
			return err
		}
		if *asJSON {
			if absent != nil {
				fmt.Fprintf(a.Err, "note: %v\n", absent)
			}
			return printJSON(a.Out, rows)
		}
		a.domainTable(rows, status, absent)
		return nil
	}
	return c
}

// domainRow is what status tells of a domain.
type domainRow struct {
	Domain  string `json:"domain"`
	UUID    string `json:"uuid"`
	Running bool   `json:"running"`
	// RNGs are the domain's devices, Pipe the socket of the one that hostd is at;
	// "" if it is at none.
	RNGs     []libvirt.RNG        `json:"rngs"`
	Ports    []libvirt.Channel    `json:"ports,omitempty"`
	Vhosts   []libvirt.Vhost      `json:"vhosts,omitempty"`
	Policy   *libvirt.Policy      `json:"policy,omitempty"`
	Pipe     string               `json:"pipe"`
	Guest    *control.GuestStatus `json:"guest,omitempty"` // nil: hostd has none for it
	Problems []control.Problem    `json:"problems,omitempty"`
	Error    string               `json:"error,omitempty"` // why libvirt does not say what it has
}

// domainRows joins what libvirt and hostd know, in the order of the names.
func domainRows(ctx context.Context, conn libvirtd, s control.Status) ([]domainRow, error) {
	domains, err := conn.Domains(ctx, true)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(domains, func(a, b libvirt.Info) int { return strings.Compare(a.Name, b.Name) })
	rows := make([]domainRow, 0, len(domains))
	for _, info := range domains {
		row := domainRow{Domain: info.Name, UUID: info.UUID, Running: info.Active, RNGs: []libvirt.RNG{}}
		d, err := define(ctx, conn, info, info.Active)
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil { // it may be gone since
			row.Error = err.Error()
			rows = append(rows, row)
			continue
		}
		row.RNGs, row.Ports, row.Vhosts, row.Policy = append(row.RNGs, d.RNGs...), d.Channels, d.Vhosts, d.Policy
		row.Guest, row.Pipe = guestOf(d, s.Guests)
		row.Problems = s.DomainProblems(info.Name, info.UUID)
		rows = append(rows, row)
	}
	return rows, nil
}

// guestOf finds the guest of a domain that runs, and the socket through which it
// gets something: hostd says which guest it is, or has a guest of its own where one
// of the domain's devices connects. Another domain's it is not.
func guestOf(d definition, guests []control.GuestStatus) (found *control.GuestStatus, socket string) {
	if !d.live {
		return nil, ""
	}
	for i, g := range guests {
		if g.Domain != nil && g.Domain.UUID != d.info.UUID {
			continue
		}
		for _, p := range g.Pipes {
			if slices.ContainsFunc(d.devices, func(o device) bool { return o.socket() == p.Path }) {
				return &guests[i], p.Path
			}
		}
		if g.Domain != nil {
			found = &guests[i]
		}
	}
	return found, ""
}

func (a *App) domainTable(domains []domainRow, s control.Status, absent error) {
	l := lookOf(a.Out)
	a.noteUnseen(l, absent, s.Libvirt.Follow && !s.Libvirt.Connected, "libvirt", s.Libvirt.Error)
	if len(domains) == 0 {
		fmt.Fprintln(a.Out, "libvirt has no domain.")
		return
	}
	var rows [][]cell
	for _, d := range domains {
		rows = append(rows, d.cells(l, absent != nil))
	}
	table(a.Out, l, []string{"DOMAIN", "STATE", "RNG", "PIPE", "CLASS", "RATE", "WEIGHT", "BYTES", "FIRST"}, rows)
	for _, d := range domains {
		wrong := []string{}
		if d.Error != "" {
			wrong = append(wrong, d.Error)
		}
		for _, p := range d.Problems {
			wrong = append(wrong, strings.TrimPrefix(p.Text, "domain "+d.Domain+": "))
		}
		for _, text := range wrong {
			fmt.Fprintln(a.Out, l.warn.Render(fmt.Sprintf("  %s: %s", printable(d.Domain), printable(text))))
		}
	}
}

func (d domainRow) cells(l look, unknown bool) []cell {
	state := styled("shut off", l.dim)
	if d.Running {
		state = left("running")
	}
	var rngs []string
	for _, r := range d.RNGs {
		text := r.Backend
		if r.Path != "" && r.Backend != "egd" {
			text += ":" + r.Path
		}
		rngs = append(rngs, printable(text))
	}
	for range d.Vhosts {
		rngs = append(rngs, "vhost-user")
	}
	row := []cell{left(printable(d.Domain)), state, left(orDash(strings.Join(rngs, " ")))}
	g := d.Guest
	if g == nil {
		pipe, class := left("-"), "-"
		switch {
		case d.Running && unknown && d.wired():
			pipe = styled("unknown", l.warn)
		case d.Running && d.wired():
			pipe = styled("none", l.bad)
		}
		if d.Policy != nil {
			class = orDash(printable(d.Policy.Class))
		}
		return append(row, pipe, styled(class, l.dim), right("-"), right("-"), right("-"), right("-"))
	}
	pipe := guestState(l, *g)
	if d.Pipe == "" {
		pipe = styled("none", l.bad)
	}
	return append(row, pipe, left(g.Class), right(g.Rate.String()), numbered("%d", g.Weight),
		right(amount(g.Bytes)), right(seconds(g.FirstBytes)))
}

// wired tells whether the domain has anything that hostd could feed.
func (d domainRow) wired() bool {
	return wired(libvirt.Domain{RNGs: d.RNGs, Channels: d.Ports, Vhosts: d.Vhosts})
}

// noteUnseen says over a table of domains why hostd does not see them, if it does
// not.
func (a *App) noteUnseen(l look, absent error, unseen bool, of, why string) {
	switch {
	case absent != nil:
		fmt.Fprintln(a.Out, l.warn.Render(fmt.Sprintf("note: %v: nobody is fed meanwhile", absent)))
	case unseen && why != "":
		fmt.Fprintln(a.Out, l.warn.Render("note: hostd does not follow "+of+": "+printable(why)))
	}
}

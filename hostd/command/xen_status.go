package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"headgate/hostd/control"
)

func (a *App) xenStatus() *cobra.Command {
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show every domain, how it is fed, and what its guestd says",
		Example: "  hostd xen status\n  hostd xen status --json | jq '.[] | select(.guest.seeded | not) | .domain'",
		Args:    exactly(),
	}
	a.tellsXen(c, []string{"DOMAIN", "ID", "PIPE", "STATE", "CLASS", "RATE", "WEIGHT", "BYTES", "FIRST", "REPORT"},
		func(l look, r xenRow, unknown bool) []cell {
			row := []cell{r.name(), r.id(), left(r.kind()), r.state(l, unknown), r.class(l)}
			g := r.Guest
			if g == nil {
				return append(row, right("-"), right("-"), right("-"), right("-"), left("-"))
			}
			return append(row, right(g.Rate.String()), numbered("%d", g.Weight), right(amount(g.Bytes)),
				right(seconds(g.FirstBytes)), left(a.report(g.LastReport)))
		})
	return c
}

// report says what guestd last said, and when. Its words are the guest's.
func (a *App) report(r *control.Report) string {
	if r == nil {
		return "-"
	}
	return printable(fmt.Sprintf("%s ago: %s, %d bits", span(a.Now().Sub(r.Received)), orDash(r.Reason), r.CreditedBits))
}

// xenLine says in the status of hostd how it follows Xen; nothing where there is
// none.
func xenLine(w io.Writer, l look, x control.XenStatus) {
	switch {
	case x.Connected:
		text := fmt.Sprintf("follows the domains at %s; fed or to be: %d", printable(x.Socket), x.Domains)
		if x.ProblemCount > 0 {
			text += "; " + count(x.ProblemCount, "problem") + ": hostd xen doctor"
		}
		fmt.Fprintf(w, "\n%s  %s\n", l.head.Render("XEN"), text)
	case x.Dom0 && !x.Follow:
		fmt.Fprintf(w, "\n%s  %s\n", l.head.Render("XEN"), "the domains are not followed: the configuration says follow = false")
	case x.Dom0:
		fmt.Fprintf(w, "\n%s  %s\n", l.head.Render("XEN"), l.bad.Render("does not see the domains: "+printable(orDash(x.Error))))
	}
}

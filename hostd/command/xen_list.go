package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *App) xenList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the domains, what they offer and what they may have",
		Long: "List the domains of this host: whether guestd in them offers a ring, which policy they\n" +
			"have, and which guest of hostd's each is, if hostd runs. guestd offers one for the moment\n" +
			"in which it asks, and rests between two. A policy whose domain is not there is listed too,\n" +
			"until it is detached.",
		Example: "  hostd xen list\n  hostd xen list --json | jq '.[] | select(.ring and .policy == null) | .domain'",
		Args:    exactly(),
	}
	a.tellsXen(c, []string{"DOMAIN", "ID", "UUID", "RING", "POLICY", "GUEST", "STATE", "BYTES"},
		func(l look, r xenRow, unknown bool) []cell {
			guest, bytes := "-", right("-")
			if r.Guest != nil {
				guest, bytes = r.Guest.Name, right(amount(r.Guest.Bytes))
			}
			return []cell{r.name(), r.id(), left(orDash(printable(r.UUID))), r.ring(), left(r.policy()), left(guest),
				r.state(l, unknown), bytes}
		})
	return c
}

// tellsXen has a command print the domains, with these columns or for programs; to
// those it is said beside the rows that hostd is away.
func (a *App) tellsXen(c *cobra.Command, heads []string, cells func(l look, r xenRow, unknown bool) []cell) {
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		rows, s, absent, err := a.xenRows(c.Context())
		switch {
		case err != nil:
			return err
		case !*asJSON:
			a.printXen(rows, s, absent, heads, cells)
			return nil
		case absent != nil:
			fmt.Fprintf(a.Err, "note: %v\n", absent)
		}
		return printJSON(a.Out, rows)
	}
}

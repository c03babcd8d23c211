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
			"have, and which guest of hostd's each is, if hostd runs. A policy whose domain is not there\n" +
			"is listed too, until it is detached.",
		Example: "  hostd xen list\n  hostd xen list --json | jq '.[] | select(.ring and .policy == null) | .domain'",
		Args:    exactly(),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		rows, s, absent, err := a.xenRows(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return a.xenJSON(rows, absent)
		}
		a.printXen(rows, s, absent, []string{"DOMAIN", "ID", "UUID", "RING", "POLICY", "GUEST", "STATE", "BYTES"},
			func(l look, r xenRow) []cell {
				ring, guest, bytes := left("-"), "-", right("-")
				if r.Ring {
					ring = left("offered")
				}
				if r.Guest != nil {
					guest, bytes = r.Guest.Name, right(amount(r.Guest.Bytes))
				}
				return []cell{r.name(), r.id(), left(orDash(printable(r.UUID))), ring, left(r.policy()), left(guest),
					r.state(l, absent != nil), bytes}
			})
		return nil
	}
	return c
}

// xenJSON prints the rows for programs; that hostd is away is said beside them.
func (a *App) xenJSON(rows []xenRow, absent error) error {
	if absent != nil {
		fmt.Fprintf(a.Err, "note: %v\n", absent)
	}
	return printJSON(a.Out, rows)
}

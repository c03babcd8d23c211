package command

import (
	"fmt"
	"io"
	"time"

	"headgate/hostd/control"
	"headgate/wire/feed"
)

// reportTable shows what guestd of each guest last said; nothing where none has.
func reportTable(w io.Writer, l look, guests []control.GuestStatus, now time.Time) {
	var rows [][]cell
	for _, g := range guests {
		r := g.LastReport
		if r == nil {
			continue
		}
		var reseeds uint64
		for _, n := range g.Reseeds {
			reseeds += n
		}
		boot := orDash(r.BootID[:min(len(r.BootID), 8)])
		if !r.Rebooted.IsZero() {
			boot += ", new " + span(now.Sub(r.Rebooted)) + " ago"
		}
		rows = append(rows, []cell{
			left(g.Name), left(printable(orDash(r.Version))), right(span(now.Sub(r.Received)) + " ago"), reasonCell(l, r.Reason),
			right(fmt.Sprintf("%d bits", r.CreditedBits)), right(seconds(g.SeededSeconds)), numbered("%d", reseeds), left(boot),
		})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, l, []string{"GUESTD OF", "VERSION", "REPORTED", "REASON", "CREDITED", "SEEDED IN", "REPORTS", "BOOT"}, rows)
	}
}

// reasonCell is why guestd reported, in the guest's own word.
func reasonCell(l look, reason string) cell {
	if reason == feed.ReasonHealth {
		return styled("failed a health test", l.bad)
	}
	return left(printable(orDash(reason)))
}

package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"

	"headgate/hostd/control"
)

func (a *App) status() *cobra.Command {
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show sources, reservoir and guests of the running hostd",
		Example: "  hostd status\n  hostd status --json | jq '.guests[] | {name, bytes}'",
		Args:    exactly(),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := a.client().Status(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.Out, s)
		}
		return a.printStatus(s)
	}
	return c
}

func (a *App) printStatus(s control.Status) error {
	var b strings.Builder
	l := lookOf(a.Out)
	file := s.Config
	if file == "" {
		file = "no configuration file"
	}
	fmt.Fprintf(&b, "%s %s\n", l.title.Render("hostd "+s.Version),
		l.dim.Render(fmt.Sprintf("· pid %d · up %s · %s", s.PID, span(a.Now().Sub(s.Started)), file)))
	for _, w := range s.Warnings {
		fmt.Fprintln(&b, l.warn.Render("warning: "+printable(w)))
	}
	fmt.Fprintln(&b)
	r := s.Reservoir
	share := float64(r.Level) / float64(max(r.Capacity, 1))
	fmt.Fprintf(&b, "%s  %s %3.0f%%  %s of %s\n", l.head.Render("RESERVOIR"), levelStyle(l, r).Render(bar(share, 20)),
		share*100, amount(uint64(r.Level)), amount(uint64(r.Capacity)))
	fmt.Fprintf(&b, "           %s conditioned, %s kept for new guests, %s up, %d needed for each block\n",
		amount(r.ConditionedBytes), amount(uint64(r.BootReserve)), count(r.OriginsUp, "origin"), r.MinSources)
	if r.Waiting != "" {
		fmt.Fprintln(&b, "           "+l.bad.Render("waiting: "+printable(r.Waiting)))
	}
	fmt.Fprintln(&b)
	sourceTable(&b, l, s.Sources, a.Now())
	fmt.Fprintln(&b)
	guestTable(&b, l, s.Guests, a.Now())
	reportTable(&b, l, s.Guests, a.Now())
	hostLine(&b, l, s.Host, a.Now())
	xenLine(&b, l, s.Xen)
	guardLine(&b, l, s.Guard)
	meterLine(&b, l, s.Meter)
	_, err := io.WriteString(a.Out, b.String())
	return err
}

func levelStyle(l look, r control.ReservoirStatus) lipgloss.Style {
	switch {
	case r.Level == 0:
		return l.bad
	case r.Level <= r.BootReserve:
		return l.warn
	}
	return l.good
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

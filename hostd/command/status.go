package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"

	"headgate/backends"
	"headgate/hostd/config"
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
	fmt.Fprintf(&b, "           %s conditioned, %s kept for new guests, %s needed for each block\n\n",
		amount(r.ConditionedBytes), amount(uint64(r.BootReserve)), count(r.MinSources, "source"))
	sourceTable(&b, l, s.Sources, a.Now())
	fmt.Fprintln(&b)
	guestTable(&b, l, s.Guests)
	reportTable(&b, l, s.Guests, a.Now())
	xenLine(&b, l, s.Xen)
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

func sourceTable(w io.Writer, l look, sources []control.SourceStatus, now time.Time) {
	if len(sources) == 0 {
		fmt.Fprintln(w, l.bad.Render("No source. Every guest waits."))
		return
	}
	var rows [][]cell
	for _, s := range sources {
		style := l.warn
		switch s.State {
		case backends.Up:
			style = l.good
		case backends.Failed, backends.Ended:
			style = l.bad
		}
		claim := fmt.Sprintf("%.3g bits", s.MinEntropy)
		if s.Assumed {
			claim += " assumed"
		}
		var failures uint64
		for _, n := range s.Failures {
			failures += n
		}
		device := strings.TrimSpace(s.Path + " " + s.Driver)
		if s.Kind == "hwrng" && s.State == backends.Up && !s.Physical {
			device += ", not physical" // of a file's source only the operator knows
		}
		rows = append(rows, []cell{
			left(s.Name), left(s.Kind), styled(s.State, style), right(span(now.Sub(s.Since))), left(claim),
			right(amount(s.RawBytes)), right(amount(s.EntropyBits / 8)), numbered("%d", failures),
			left(printable(orDash(device))),
		})
	}
	table(w, l, []string{"SOURCE", "TYPE", "STATE", "FOR", "CLAIM", "RAW", "ENTROPY", "FAILURES", "DEVICE"}, rows)
	for _, s := range sources {
		if s.Error != "" {
			fmt.Fprintln(w, l.warn.Render("  "+s.Name+": "+printable(s.Error)))
		}
	}
}

func guestTable(w io.Writer, l look, guests []control.GuestStatus) {
	if len(guests) == 0 {
		fmt.Fprintln(w, `No guest. Add one: hostd guest add NAME --pipe qemu:/run/headgate/guests/NAME.sock`)
		return
	}
	var rows [][]cell
	for _, g := range guests {
		var kinds []string
		for _, p := range g.Pipes {
			kinds = append(kinds, p.Kind)
		}
		rows = append(rows, []cell{
			left(g.Name), left(g.Class), guestState(l, g), left(orDash(strings.Join(kinds, " "))), right(g.Rate.String()),
			right(g.Burst.String()), numbered("%d", g.Weight), right(amount(g.Bytes)), numbered("%d", g.Requests),
			right(seconds(g.FirstBytes)), right(seconds(g.ThrottledRate)), right(seconds(g.ThrottledSupply)),
		})
	}
	table(w, l, []string{"GUEST", "CLASS", "STATE", "PIPES", "RATE", "BURST", "WEIGHT", "BYTES", "REQUESTS",
		"FIRST", "HELD:RATE", "HELD:SUPPLY"}, rows)
	for _, g := range guests {
		for _, p := range g.Pipes {
			if p.Error != "" {
				pipe := config.Pipe{Kind: p.Kind, Path: p.Path}
				fmt.Fprintln(w, l.bad.Render(fmt.Sprintf("  %s: %v: %s", g.Name, pipe, printable(p.Error))))
			}
		}
	}
}

// guestState sums a guest up in a word.
func guestState(l look, g control.GuestStatus) cell {
	connected := false
	for _, p := range g.Pipes {
		connected = connected || p.Connected
		// Of a ring or a channel it is the other end that is to be there.
		if p.Error != "" && (config.Pipe{Kind: p.Kind}).Listens() {
			return styled("broken", l.bad)
		}
	}
	switch {
	case !connected:
		return styled("away", l.dim)
	case !g.Seeded:
		return styled("unseeded", l.warn)
	case g.Waiting:
		return styled("waiting", l.warn)
	}
	return styled("fed", l.good)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

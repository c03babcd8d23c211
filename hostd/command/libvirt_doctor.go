package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/doctor"
)

// errFaults ends the command where the doctor found a fault; they are printed by
// then.
var errFaults = errors.New("see above")

func (a *App) libvirtDoctor() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what keeps libvirt's domains from being fed, and how to mend it",
		Long: "Look at the hook, hostd, libvirt, AppArmor, SELinux and each domain's devices and sockets,\n" +
			"and say of what is not well how to mend it. It changes nothing and connects to no guest's\n" +
			"socket. A fault keeps a guest from being fed as it should be, a note does not; a fault\n" +
			"makes it exit with 1. As root it sees most.",
		Example: "  hostd libvirt doctor\n  hostd libvirt doctor --json | jq '.[] | select(.level == \"fault\")'",
		Args:    exactly(),
	}
	asJSON := jsonFlag(c)
	hooks := hooksFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, stop := context.WithTimeout(c.Context(), libvirtPatience)
		defer stop()
		return a.doctor(ctx, doctor.Host{Hooks: *hooks, Guests: a.guestsFolder()}, *asJSON)
	}
	return c
}

// guestsFolder is where hostd would have the domains' sockets, if it ran.
func (a *App) guestsFolder() string {
	if c, err := config.Load(a.Config); err == nil {
		return c.Libvirt.Guests
	}
	return config.Default().Libvirt.Guests
}

func (a *App) doctor(ctx context.Context, h doctor.Host, asJSON bool) error {
	h.Control, h.Status = a.control, a.daemonStatus
	conn, err := a.libvirtd(ctx, true)
	if err != nil {
		h.LibvirtErr = err
	} else {
		defer conn.Close()
		h.Libvirt = conn
	}
	found := doctor.Examine(doctor.Gather(ctx, h))
	if asJSON {
		err = printJSON(a.Out, found)
	} else {
		err = a.printFindings(found)
	}
	if faults := doctor.Count(found, doctor.Fault); err == nil && faults > 0 {
		return fmt.Errorf("%s: %w", count(faults, "fault"), errFaults)
	}
	return err
}

func (a *App) printFindings(found []doctor.Finding) error {
	var b strings.Builder
	l := lookOf(a.Out)
	for _, f := range found {
		about := f.About
		if f.Domain != "" {
			about += " " + f.Domain
		}
		level := l.dim
		switch f.Level {
		case doctor.OK:
			level = l.good
		case doctor.Note:
			level = l.warn
		case doctor.Fault:
			level = l.bad
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", level.Render(fmt.Sprintf("%-5s", f.Level)), l.title.Render(printable(about)), printable(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "       %s\n", l.dim.Render(printable(f.Remedy)))
		}
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}

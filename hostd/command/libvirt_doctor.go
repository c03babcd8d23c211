package command

import (
	"context"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/doctor"
)

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
	return a.tellFindings(doctor.Examine(doctor.Gather(ctx, h)), asJSON)
}

package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"headgate/hostd/doctor"
)

func (a *App) xenDoctor() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor [DOMAIN]",
		Short: "Find what keeps Xen's domains from being fed, and how to mend it",
		Long: "Look at Xen's devices, xenstore, hostd and each domain's ring, channel and policy, and say\n" +
			"of what is not well how to mend it; with DOMAIN (name, domid or UUID) of that one alone. It\n" +
			"changes nothing and connects to no guest. A fault keeps a guest from being fed as it should\n" +
			"be, a note does not; a fault makes it exit with 1. As root it sees most.",
		Example: "  hostd xen doctor\n  hostd xen doctor web1\n  hostd xen doctor --json | jq '.[] | select(.level == \"fault\")'",
		Args:    atMost("DOMAIN"),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		h := doctor.XenHost{Control: a.control, Now: a.Now, Status: a.daemonStatus, Dom0: a.dom0, Where: a.xenstorePath}
		if len(args) > 0 {
			h.Only = args[0]
		}
		s, err := a.xenstore()
		if err != nil {
			h.StoreErr = err
		} else {
			defer s.Close()
			h.Store = s
		}
		return a.tellFindings(doctor.ExamineXen(doctor.GatherXen(c.Context(), h)), *asJSON)
	}
	return c
}

// atMost takes this argument, or none.
func atMost(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return &usageError{c.CommandPath(), fmt.Errorf("%s: %q is too much", c.CommandPath(), args[1])}
		}
		if len(args) == 1 && args[0] == "" {
			return &usageError{c.CommandPath(), fmt.Errorf("%s: %s is empty", c.CommandPath(), name)}
		}
		return nil
	}
}

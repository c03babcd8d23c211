package command

import (
	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/meter"
)

// meter is what hostd starts beside itself. It is not for users, and not shown.
func (a *App) meter() *cobra.Command {
	c := &cobra.Command{
		Use:     meter.Command,
		Short:   "Be the process that counts who reads the kernel's randomness, for the hostd that starts it",
		Example: "  hostd meter    # hostd serve starts it; hostd rng top shows what it counts",
		Args:    exactly(),
		Hidden:  true,
	}
	pids := c.Flags().String("pids", "", "`FOLDER` of libvirt's pid files")
	kprobe := c.Flags().Bool("kprobe", false, "never fentry")
	c.RunE = func(*cobra.Command, []string) error {
		return meter.Serve(meter.Options{Kprobe: *kprobe, PIDFile: config.Libvirt{PIDs: *pids}.PIDFile})
	}
	return c
}

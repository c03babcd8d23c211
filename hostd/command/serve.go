package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
)

func (a *App) serve() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: "Run the daemon until SIGTERM. SIGHUP reads the configuration again and changes only\n" +
			"what changed. Without a configuration file every usable physical source is found and\n" +
			"guests are added live.",
		Example: "  hostd serve\n  hostd serve --config ./hostd.toml",
		Args:    exactly(),
	}
	file := c.Flags().StringP("config", "c", "", "configuration `FILE` (default "+a.Config+", if there is one)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.Run(c.Context(), a.configFile(*file))
	}
	return c
}

// configFile is the file asked for, or the usual one if it is there.
func (a *App) configFile(asked string) string {
	if asked != "" {
		return asked
	}
	if _, err := os.Stat(a.Config); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return a.Config
}

func (a *App) check() *cobra.Command {
	c := &cobra.Command{
		Use:     "check",
		Short:   "Say what is wrong with a configuration file, by line and key",
		Example: "  hostd check --config /etc/headgate/hostd.toml",
		Args:    exactly(),
	}
	file := c.Flags().StringP("config", "c", a.Config, "configuration `FILE`")
	c.RunE = func(*cobra.Command, []string) error {
		cfg, err := config.Load(*file)
		if err != nil {
			return err
		}
		sources := "every source that is found"
		if n := len(cfg.Sources); n > 0 {
			sources = count(n, "source")
		}
		fmt.Fprintf(a.Out, "%s: right: %s, %s, %s\n", *file, sources,
			count(len(cfg.Classes), "class"), count(len(cfg.Guests), "guest"))
		return nil
	}
	return c
}

func (a *App) version() *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: "  hostd version --json",
		Args:    exactly(),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		if *asJSON {
			return printJSON(a.Out, map[string]string{
				"version": a.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
			})
		}
		_, err := fmt.Fprintf(a.Out, "hostd %s (%s, %s/%s)\n", a.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
	return c
}

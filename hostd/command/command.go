package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/xen"
)

// App is what the commands work with. Run must be given; New gives the rest.
type App struct {
	// Run serves until ctx is done. An empty path stands for the embedded default.
	Run     func(ctx context.Context, configPath string) error
	Version string
	In      io.Reader
	Out     io.Writer         // what was asked for
	Err     io.Writer         // errors and progress
	Log     func(line string) // for what is run where nobody reads Err
	Now     func() time.Time
	Config  string // where the configuration is when no --config is given

	control       string
	xenstorePath  string
	dom0          func() error // says why this system is no dom0
	libvirtSocket string
	dialLibvirt   func(ctx context.Context, sockets []string) (libvirtd, error)
	hookPatience  time.Duration
	hookLastWord  time.Duration
}

// New is an App on the process's own streams.
func New(version string, run func(ctx context.Context, configPath string) error) *App {
	return &App{
		Run: run, Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Log: syslogLine, Now: time.Now,
		Config: "/etc/headgate/hostd.toml", dialLibvirt: dialLibvirt, dom0: xen.Dom0,
		hookPatience: hookPatience, hookLastWord: hookLastWord,
	}
}

// Exit codes.
const (
	ok     = 0
	failed = 1
	misuse = 2
)

// usageError is a command that was asked for wrongly.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%v; see %q", e.err, e.command+" --help")
}
func (e *usageError) Unwrap() error { return e.err }

// Main runs the command that args ask for, without the program's name, and gives
// the exit code.
func (a *App) Main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ok
	}
	if mistakes := config.Errors(err); mistakes != nil {
		for _, m := range mistakes { // one line each, as a compiler tells them
			fmt.Fprintln(a.Err, m)
		}
		return failed
	}
	// The daemon may tell several mistakes of a guest, each on a line.
	fmt.Fprintf(a.Err, "hostd: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return misuse
	}
	return failed
}

func (a *App) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "hostd",
		Short: "Share out this host's physical randomness to its virtual machines",
		Long: "hostd reads the physical noise sources of this host, tests and conditions what they\n" +
			"give, and shares it out, measured, to the virtual machines on it.",
		Example:       "  hostd serve --config /etc/headgate/hostd.toml\n  hostd guest add web1 --pipe qemu:/run/headgate/guests/web1.sock\n  hostd status",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // for needsSubcommand to refuse
		RunE:          needsSubcommand,
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{c.CommandPath(), err}
	})
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	path := os.Getenv("HEADGATE_CONTROL")
	if path == "" {
		path = config.Default().Control
	}
	root.PersistentFlags().StringVar(&a.control, "control", path, "control socket `PATH` of the running hostd (or HEADGATE_CONTROL)")
	root.AddCommand(a.serve(), a.check(), a.status(), a.events(), a.guest(), a.source(), a.seed(), a.rng(), a.meter(), a.trace(), a.libvirt(), a.xen(), a.version())
	return root
}

// client asks the running daemon.
func (a *App) client() *control.Client { return control.Dial(a.control) }

// group is a command that only has others under it.
func group(c *cobra.Command, under ...*cobra.Command) *cobra.Command {
	c.RunE = needsSubcommand
	c.AddCommand(under...)
	return c
}

// needsSubcommand shows what there is, or says that what was asked for is not.
func needsSubcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		err := fmt.Errorf("%s has no command %q", c.CommandPath(), args[0])
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			err = fmt.Errorf("%w: did you mean %q", err, near[0])
		}
		return &usageError{c.CommandPath(), err}
	}
	if err := c.Help(); err != nil {
		return err
	}
	return &usageError{c.CommandPath(), fmt.Errorf("%s needs a command", c.CommandPath())}
}

// exactly wants these arguments, and says which when there are others.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return &usageError{c.CommandPath(), fmt.Errorf("%s: %s is missing", c.CommandPath(), names[len(args)])}
		case len(args) > len(names):
			return &usageError{c.CommandPath(), fmt.Errorf("%s: %q is too much", c.CommandPath(), args[len(names)])}
		}
		return nil
	}
}

func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON for programs")
}

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"headgate/hostd/control"
)

func (a *App) rng() *cobra.Command {
	return group(&cobra.Command{
		Use:     "rng",
		Short:   "See who reads the randomness of this host's kernel",
		Example: "  hostd rng top",
	}, a.rngTop())
}

// maxFor bounds how long the readings of one table may be apart.
const maxFor = time.Hour

func (a *App) rngTop() *cobra.Command {
	c := &cobra.Command{
		Use:   "top",
		Short: "Show who reads /dev/hwrng, /dev/random, /dev/urandom and getrandom, and how much a second",
		Long: "Show which processes of this host read /dev/hwrng, /dev/random, /dev/urandom and getrandom:\n" +
			"bytes and calls a second, and bytes since hostd was started. QEMU processes are shown with\n" +
			"the name of their domain; one with a ? is what the process calls itself, and libvirt does\n" +
			"not say so. On a terminal it goes on until q: b sorts by bytes, c by calls, p by process.\n" +
			"Elsewhere, or with --once, it prints one table of who read anything within --for.",
		Example: "  hostd rng top\n  hostd rng top --once --for 10s\n" +
			"  hostd rng top --json | jq '.users[] | select(.way == \"hwrng\")'",
		Args: exactly(),
	}
	asJSON := jsonFlag(c)
	once := c.Flags().Bool("once", false, "print one table, on a terminal too")
	apart := c.Flags().Duration("for", time.Second, "count for this `TIME`, where it prints one table")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *apart <= 0 || *apart > maxFor {
			return &usageError{c.CommandPath(), fmt.Errorf("--for %v is out of bounds; allowed: more than 0 to %v", *apart, maxFor)}
		}
		client := a.client()
		defer client.Close()
		look := func(ctx context.Context) (sight, error) { return a.sight(ctx, client) }
		before, err := look(c.Context())
		if err != nil {
			return err
		}
		if !*once && !*asJSON && !c.Flags().Changed("for") && a.onTerminal() {
			return a.live(c.Context(), before, look)
		}
		select {
		case <-c.Context().Done():
			return c.Context().Err()
		case <-time.After(*apart):
		}
		after, err := look(c.Context())
		if err != nil {
			return err
		}
		t := tallied(before, after)
		if *asJSON {
			return printJSON(a.Out, t)
		}
		return a.printTally(t)
	}
	return c
}

// sight is what there was to be seen at one time.
type sight struct {
	at time.Time
	control.RNG
}

// sight asks the daemon, and says what to do where it cannot tell.
func (a *App) sight(ctx context.Context, client *control.Client) (sight, error) {
	r, err := client.RNG(ctx)
	refused := (*control.Error)(nil)
	switch {
	case err == nil:
		return sight{time.Now(), r}, nil
	case errors.Is(err, control.ErrNotFound):
		return sight{}, fmt.Errorf("hostd at %s is older than this command and has no meter: restart it", a.control)
	case errors.As(err, &refused):
		why := strings.TrimPrefix(refused.Message, control.ErrInvalid.Error()+": ")
		return sight{}, fmt.Errorf("who reads the kernel's randomness is not seen: %s", why)
	}
	return sight{}, err
}

// onTerminal tells whether somebody looks, and can press keys.
func (a *App) onTerminal() bool {
	in, readable := a.In.(*os.File)
	out, shown := a.Out.(*os.File)
	return readable && shown && isatty.IsTerminal(in.Fd()) && isatty.IsTerminal(out.Fd()) && os.Getenv("TERM") != "dumb"
}

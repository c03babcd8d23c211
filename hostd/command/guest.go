package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

func (a *App) guest() *cobra.Command {
	return group(&cobra.Command{
		Use:     "guest",
		Short:   "List, add, remove, change and push to guests, live",
		Example: "  hostd guest add web1 --class default --pipe qemu:/run/headgate/guests/web1.sock\n  hostd guest set web1 --rate 4KiB/s",
	}, a.guestList(), a.guestAdd(), a.guestRemove(), a.guestSet(), a.guestPush())
}

func (a *App) guestList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the guests with their pipes", Example: "  hostd guest list",
		Args: exactly(),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		guests, err := a.client().Guests(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.Out, guests)
		}
		l := lookOf(a.Out)
		if len(guests) == 0 {
			guestTable(a.Out, l, nil, a.Now())
			return nil
		}
		var rows [][]cell
		for _, g := range guests {
			var pipes []string
			for _, p := range g.Pipes {
				pipes = append(pipes, p.Pipe().String())
			}
			from := g.Origin
			if g.Transient {
				from += ", transient"
			}
			rows = append(rows, []cell{
				left(g.Name), left(g.Class), left(g.Quality), guestState(l, g), left(from), right(g.Rate.String()),
				right(g.Burst.String()), numbered("%d", g.Weight), left(orDash(strings.Join(pipes, " "))),
			})
		}
		table(a.Out, l, []string{"GUEST", "CLASS", "QUALITY", "STATE", "FROM", "RATE", "BURST", "WEIGHT", "PIPES"}, rows)
		return nil
	}
	return c
}

func (a *App) guestAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME --pipe KIND:PATH",
		Short: "Add a guest and make its sockets",
		Long: "Add a guest and make its sockets. It is kept across restarts of hostd, unless it is\n" +
			"transient, as one with vchan:DOMID always is: that number is another domain's after the\n" +
			"next start of the host. What is not given comes from its class.",
		Example: "  hostd guest add web1 --pipe qemu:/run/headgate/guests/web1.sock --socket-owner libvirt-qemu:kvm --socket-mode 0660",
		Args:    exactly("NAME"),
	}
	spec := control.GuestSpec{}
	class := c.Flags().String("class", config.DefaultClass, "`CLASS` that gives its limits")
	pipes := c.Flags().StringArray("pipe", nil, "`PIPE` as qemu:PATH, egd:PATH, vhost-user:PATH[,server=on], port:PATH, vchan:DOMAIN or channel:PATH; may be given again")
	rate, burst, weight := limitFlags(c.Flags())
	owner := c.Flags().String("socket-owner", "", "`USER:GROUP` that gets the sockets")
	mode := c.Flags().String("socket-mode", "", "`MODE` of the sockets, as \"0660\"")
	c.Flags().BoolVar(&spec.Transient, "transient", false, "forget it when hostd stops: whoever adds it adds it again")
	c.RunE = func(c *cobra.Command, args []string) error {
		spec.Name, spec.Class, spec.SocketOwner = args[0], *class, config.Owner(*owner)
		spec.Rate, spec.Burst, spec.Weight = *rate, *burst, *weight
		if len(*pipes) == 0 {
			return &usageError{c.CommandPath(), fmt.Errorf("guest %s: --pipe is missing", args[0])}
		}
		for _, s := range *pipes {
			p, err := config.ParsePipe(s)
			if err != nil {
				return &usageError{c.CommandPath(), fmt.Errorf("--pipe: %w", err)}
			}
			spec.Pipes = append(spec.Pipes, p)
		}
		if *mode != "" {
			if err := spec.SocketMode.UnmarshalText([]byte(*mode)); err != nil {
				return &usageError{c.CommandPath(), fmt.Errorf("--socket-mode: %w", err)}
			}
		}
		g, err := a.client().AddGuest(c.Context(), spec)
		return a.tell(g, "added", err, args[0])
	}
	return c
}

func (a *App) guestSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a guest's class or limits",
		Long: "Change a guest's class or limits while it runs. With --class its own rate, burst and\n" +
			"weight go back to the class's, unless they are given too, and its quality is the\n" +
			"class's from then on; it stays connected. What is set of a libvirt domain holds until it\n" +
			"stops, and its policy can only lower it.",
		Example: "  hostd guest set web1 --rate 4KiB/s --weight 2\n  hostd guest set web1 --class bulk",
		Args:    exactly("NAME"),
	}
	class := c.Flags().String("class", "", "`CLASS` that gives its limits")
	rate, burst, weight := limitFlags(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		var patch control.GuestPatch
		given := c.Flags().Changed
		if given("class") {
			patch.Class = class
		}
		if given("rate") {
			patch.Rate = rate
		}
		if given("burst") {
			patch.Burst = burst
		}
		if given("weight") {
			patch.Weight = weight
		}
		if patch == (control.GuestPatch{}) {
			return &usageError{c.CommandPath(), fmt.Errorf("guest %s: nothing to change is given", args[0])}
		}
		g, err := a.client().SetGuest(c.Context(), args[0], patch)
		return a.tell(g, "set", err, args[0])
	}
	return c
}

func (a *App) guestRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a guest and its sockets",
		Example: "  hostd guest remove web1", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.client().RemoveGuest(c.Context(), args[0]); err != nil {
				return fmt.Errorf("guest %s: %w", args[0], err)
			}
			_, err := fmt.Fprintf(a.Out, "guest %s removed\n", args[0])
			return err
		},
	}
}

// tell says how a guest is after a change, or why there was none.
func (a *App) tell(g control.GuestStatus, done string, err error, name string) error {
	if err != nil {
		return fmt.Errorf("guest %s: %w", name, err)
	}
	_, err = fmt.Fprintf(a.Out, "guest %s %s: class %s, quality %s, rate %v, burst %v, weight %d\n",
		g.Name, done, g.Class, g.Quality, g.Rate, g.Burst, g.Weight)
	return err
}

func limitFlags(f *pflag.FlagSet) (*config.Rate, *config.Size, *int) {
	var rate config.Rate
	var burst config.Size
	f.TextVar(&rate, "rate", config.Rate(0), "long-term `RATE`, as \"4KiB/s\" or \"unlimited\" (default: the class's)")
	f.TextVar(&burst, "burst", config.Size(0), "`SIZE` that it may take at once, as \"8KiB\" (default: the class's)")
	f.Lookup("rate").DefValue, f.Lookup("burst").DefValue = "", "" // the help would show 0B
	weight := f.Int("weight", 0, "`SHARE` when the supply is short, 1 to 1000 (default: the class's)")
	return &rate, &burst, weight
}

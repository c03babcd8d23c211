package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

func (a *App) guestPush() *cobra.Command {
	c := &cobra.Command{
		Use:   "push NAME",
		Short: "Push fresh bytes to a guest's guestd",
		Long: "Push fresh bytes to a guest's guestd, which reseeds the guest's kernel with them at once.\n" +
			"Of domains that libvirt restores, reverts, migrates or resumes hostd does so by itself.\n" +
			"What else clones or restores a guest calls this right after it, best while the guest is\n" +
			"still paused: the bytes wait at its port, and come when it goes on. They are charged\n" +
			"to the guest as its first bytes are. That fails where no pipe of the guest reaches guestd.",
		Example: "  hostd guest push web1\n  hostd guest push web1 --json | jq -r '.pipes[] | .kind + \" \" + .result'",
		Args:    exactly("NAME"),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.client().PushGuest(c.Context(), args[0])
		if err != nil {
			return fmt.Errorf("guest %s: %w", args[0], err)
		}
		if *asJSON {
			return printJSON(a.Out, p)
		}
		var b strings.Builder
		for _, pipe := range p.Pipes {
			fmt.Fprintf(&b, "guest %s: %v: %s\n", p.Guest, config.Pipe{Kind: pipe.Kind, Path: pipe.Path}, pushResult(pipe.Result))
		}
		_, err = fmt.Fprint(a.Out, b.String())
		return err
	}
	return c
}

// pushResult says what became of a push.
func pushResult(r control.PushResult) string {
	switch r {
	case control.PushSent:
		return "sent"
	case control.PushRung:
		return "its guestd is rung for, and fetches it"
	case control.PushLater:
		return "nobody is connected; its next connection begins with it"
	case control.PushNever:
		return "not for this pipe, which does not reach guestd"
	}
	return printable(string(r))
}

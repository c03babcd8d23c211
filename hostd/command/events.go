package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/events"
)

func (a *App) events() *cobra.Command {
	c := &cobra.Command{
		Use:     "events",
		Short:   "Show what happened to sources and guests",
		Example: "  hostd events\n  hostd events --follow\n  hostd events --json | jq 'select(.kind == \"source_failed\")'",
		Args:    exactly(),
	}
	asJSON := jsonFlag(c)
	follow := c.Flags().BoolP("follow", "f", false, "go on with the events that come")
	since := c.Flags().Uint64("since", 0, "only those after the event of this number")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l := lookOf(a.Out)
		lines := json.NewEncoder(a.Out)
		err := a.client().Events(c.Context(), *since, *follow, func(e events.Event) error {
			if *asJSON {
				return lines.Encode(e)
			}
			return printEvent(a.Out, l, e)
		})
		switch {
		case c.Context().Err() != nil:
			return nil // told to stop
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("events: hostd at %s has stopped", a.control)
		}
		return err
	}
	return c
}

func printEvent(w io.Writer, l look, e events.Event) error {
	style := l.dim
	switch {
	case e.Level >= slog.LevelError:
		style = l.bad
	case e.Level >= slog.LevelWarn:
		style = l.warn
	case e.Level >= slog.LevelInfo:
		style = l.good
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s", l.dim.Render(e.Time.Format("2006-01-02 15:04:05.000")),
		style.Render(fmt.Sprintf("%-5s", e.Level)), l.title.Render(e.Kind))
	if e.Subject != "" {
		b.WriteString("  " + printable(e.Subject))
	}
	b.WriteString("  " + printable(e.Message))
	for _, k := range slices.Sorted(maps.Keys(e.Fields)) {
		b.WriteString(l.dim.Render("  " + k + "=" + printable(e.Fields[k])))
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

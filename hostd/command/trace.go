package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"headgate/hostd/early"
)

func (a *App) trace() *cobra.Command {
	return group(&cobra.Command{
		Use:     "trace",
		Short:   "In a guest: see what its kernel is asked for",
		Example: "  hostd trace early",
	}, a.traceEarly())
}

func (a *App) traceEarly() *cobra.Command {
	c := &cobra.Command{
		Use:   "early",
		Short: "Who asks for randomness before the kernel's generator is ready",
		Long: "In a guest, as early in its boot as a unit can be started: see which processes ask for\n" +
			"randomness before the kernel's generator is ready, how much, how, and how long they\n" +
			"wait. It ends when the generator is ready and those who waited have been served, and\n" +
			"needs no daemon and no configuration. examples/guest has the unit,\n" +
			"headgate-trace-early.service. What was before it began is not seen, but for what the\n" +
			"kernel's log tells and who is found waiting; the output says from when on it saw.\n" +
			"Exit 0 where it could look, whatever it saw: the verdict is in the output.",
		Example: "  hostd trace early\n" +
			"  hostd trace early --for 5m --json -o /run/headgate/trace-early.json",
		Args: exactly(),
	}
	asJSON := jsonFlag(c)
	limit := c.Flags().Duration("for", 2*time.Minute, "give up after this long without a generator that is ready")
	file := c.Flags().StringP("output", "o", "", "also write the report as JSON to `FILE`, in one step")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *limit <= 0 {
			return &usageError{c.CommandPath(), fmt.Errorf("--for %v is not above 0", *limit)}
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop() // a report of what there is
		r, err := early.Trace(ctx, early.Options{For: *limit, Attached: func() {
			_, _ = systemd.SdNotify(false, systemd.SdNotifyReady) // a manager that is away cannot be told so
		}})
		if err != nil {
			return fmt.Errorf("trace early: %w", err)
		}
		if *file != "" {
			if err := writeReport(*file, r); err != nil {
				return fmt.Errorf("trace early: %w", err)
			}
		}
		if *asJSON {
			return printJSON(a.Out, r)
		}
		printEarly(a.Out, r)
		return nil
	}
	return c
}

func printEarly(w io.Writer, r early.Report) {
	l := lookOf(w)
	verdict := l.warn
	if r.ReadyBefore || r.Ready && len(r.Askers) == 0 {
		verdict = l.good
	}
	fmt.Fprintln(w, verdict.Render(printable(r.Verdict)))
	by := ""
	if r.How != "" {
		by = ", by " + r.How
	}
	fmt.Fprintf(w, "Seen from %s after the kernel's start on%s; what was before is not seen.\n", r.From, by)
	for _, b := range r.Logged {
		fmt.Fprintf(w, "Before, by the kernel's log: %s was given %s of /dev/urandom at %s.\n", printable(b.Process), amount(b.Bytes), b.At)
	}
	if len(r.Askers) > 0 {
		fmt.Fprintln(w)
		var rows [][]cell
		for _, asker := range r.Askers {
			rows = append(rows, askerRow(asker, r.Ready))
		}
		table(w, l, []string{"PROCESS", "PID", "WAY", "CALLS", "ASKED", "WAITED", "AT", "WHAT CAME"}, rows)
	}
	if r.Lost > 0 {
		fmt.Fprintln(w, l.warn.Render(fmt.Sprintf("Not seen: %s, more than there was room for.", count(int(r.Lost), "call"))))
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, l.dim.Render("Note: "+printable(note)))
	}
}

func askerRow(a early.Asker, ready bool) []cell {
	way := string(a.Way)
	if a.Flags != "" {
		way += " (" + a.Flags + ")"
	}
	asked, waited, at := amount(a.Asked), a.Waited.String(), a.At.String()
	if a.Uncounted {
		asked = "?"
	}
	if a.AtLeast {
		at = "before"
	}
	if a.AtLeast || a.Unended {
		waited = "> " + waited
	}
	return []cell{left(printable(a.Process)), numbered("%d", a.PID), left(printable(way)), numbered("%d", a.Calls),
		right(asked), right(waited), right(at), left(whatCame(a, ready))}
}

// whatCame says what became of what was asked for.
func whatCame(a early.Asker, ready bool) string {
	var all []string
	if a.Early > 0 {
		all = append(all, amount(a.Early)+" before it was ready")
	}
	if late := a.Given - a.Early; late > 0 {
		all = append(all, amount(late)+" when it was ready")
	}
	if a.Refused > 0 {
		all = append(all, count(a.Refused, "refusal")+" (would wait)")
	}
	switch {
	case a.Unended || a.AtLeast && !ready:
		all = append(all, "waits still")
	case a.AtLeast:
		all = append(all, "waited already when this began")
	}
	if all == nil {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// writeReport writes it in one step. So early in a boot its folder may not be there.
func writeReport(path string, r early.Report) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".trace-early-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

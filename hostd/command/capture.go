package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

func (a *App) sourceCapture() *cobra.Command {
	c := &cobra.Command{
		Use:   "capture NAME -o FILE",
		Short: "Write raw samples of a running source to a file, for an outside assessment",
		Long: "Write raw samples of a running source to a file, one byte each. They are what the device\n" +
			"gave, before conditioning, and no guest ever gets them. A 90B assessment wants a million\n" +
			"(-n 1MiB), and a second file of a million after restarts (--restarts 1000 -n 1000): the\n" +
			"source is opened anew for each row, and rows follow one another, as ea_restart reads them\n" +
			"(SP 800-90B section 3.1.4.1). It gives guests nothing until that has ended. Where opening\n" +
			"does not restart the noise itself, as behind a kernel driver, docs/entropy.md says more.",
		Example: "  hostd source capture hwrng -n 1MiB -o raw.bin\n  ea_non_iid -v raw.bin 8\n" +
			"  hostd source capture jitter --restarts 1000 -n 1000 -o restart.bin\n  ea_restart -v restart.bin 8 H_I",
		Args: exactly("NAME"),
	}
	samples := sizeFlag(c, control.DefCapture, 1, control.MaxCapture)
	restarts := c.Flags().Int("restarts", 0, fmt.Sprintf("capture `R` restarts, 1 to %d, of -n samples each (%d unless given)", control.MaxRestarts, control.DefRow))
	file := c.Flags().StringP("output", "o", "", "`FILE` to write, mode 0600")
	force := c.Flags().Bool("force", false, "overwrite the file if there is one")
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := samples()
		if err != nil {
			return err
		}
		what := capture{source: args[0], samples: n}
		if c.Flags().Changed("restarts") {
			if what.restarts = *restarts; !c.Flags().Changed("samples") {
				what.samples = control.DefRow
			}
			err = what.check()
		}
		if err == nil && *file == "" {
			err = errors.New("-o FILE is missing")
		}
		if err != nil {
			return &usageError{c.CommandPath(), err}
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop() // so that an interrupted capture cleans up
		if err := a.capture(ctx, what, *file, *force); err != nil {
			return fmt.Errorf("capture of source %s: %w", args[0], err)
		}
		_, err = fmt.Fprintf(a.Out, "%s: %s\n", *file, what)
		return err
	}
	return c
}

// capture is what is to be captured: with restarts, so many samples of each.
type capture struct {
	source            string
	restarts, samples int
}

func (c capture) check() error {
	switch {
	case c.restarts < 1 || c.restarts > control.MaxRestarts:
		return fmt.Errorf("--restarts %d is out of bounds; allowed: 1 to %d", c.restarts, control.MaxRestarts)
	case c.samples > control.MaxRow || c.samples > control.MaxCapture/c.restarts:
		return fmt.Errorf("-n %d is out of bounds; allowed for %s: 1 to %d", c.samples, count(c.restarts, "restart"), min(control.MaxRow, control.MaxCapture/c.restarts))
	}
	return nil
}

func (c capture) String() string {
	if c.restarts > 0 {
		return fmt.Sprintf("%s of source %s, %s each", count(c.restarts, "restart"), c.source, count(c.samples, "sample"))
	}
	return fmt.Sprintf("%v of source %s", config.Size(c.samples), c.source)
}

// take writes the samples to w and draws how far it is.
func (a *App) take(ctx context.Context, c capture, w io.Writer) error {
	p := &progress{w: io.Discard, look: lookOf(a.Err), total: c.samples, now: a.Now, started: a.Now()}
	if c.restarts > 0 {
		p.row, p.total = c.samples, c.restarts*c.samples
	}
	if f, ok := a.Err.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		p.w = a.Err
	}
	defer p.end()
	w = io.MultiWriter(w, p)
	if c.restarts > 0 {
		return a.client().CaptureRestarts(ctx, c.source, c.restarts, c.samples, w)
	}
	return a.client().CaptureSource(ctx, c.source, c.samples, w)
}

func (a *App) capture(ctx context.Context, c capture, path string, force bool) error {
	out, err := create(path, force)
	if err != nil {
		return err
	}
	err = a.take(ctx, c, out)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil && !force {
		os.Remove(path) // it is ours, and not what was asked for
	}
	return err
}

// create makes a file that only its owner can read, and leaves one that is
// there alone unless it is forced.
func create(path string, force bool) (*os.File, error) {
	if !force {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%s exists: choose another file, or overwrite it with --force", path)
		}
		return f, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// progress draws how far a capture is, on one line that it writes again.
type progress struct {
	w           io.Writer
	look        look
	done, total int
	row         int // bytes of a restart; 0: there are none
	now         func() time.Time
	started     time.Time
	drawn       time.Time
}

// redraw is how often the line is written again at most.
const redraw = 100 * time.Millisecond

func (p *progress) Write(b []byte) (int, error) {
	p.done += len(b)
	if now := p.now(); now.Sub(p.drawn) >= redraw || p.done == p.total {
		p.drawn = now
		p.draw(now)
	}
	return len(b), nil
}

func (p *progress) draw(now time.Time) {
	share := float64(p.done) / float64(p.total)
	line := fmt.Sprintf("%s %3.0f%%  ", p.look.good.Render(bar(share, 30)), share*100)
	if p.row > 0 {
		line += fmt.Sprintf("%d of %s", p.done/p.row, count(p.total/p.row, "restart"))
	} else {
		line += fmt.Sprintf("%s of %s", amount(uint64(p.done)), amount(uint64(p.total)))
	}
	if took := now.Sub(p.started); took > 0 && p.done > 0 {
		line += fmt.Sprintf("  %s/s  %s left", amount(uint64(float64(p.done)/took.Seconds())),
			span(time.Duration(float64(took)*(1/share-1))))
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", line)
}

func (p *progress) end() {
	if p.done > 0 {
		fmt.Fprintln(p.w)
	}
}

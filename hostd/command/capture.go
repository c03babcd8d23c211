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
		Long: "Write raw samples of a running source to a file. They are what the device gave, before\n" +
			"conditioning, and no guest ever gets them. A 90B assessment wants a million (-n 1MiB).",
		Example: "  hostd source capture hwrng -n 1MiB -o raw.bin\n  ea_non_iid -v raw.bin 8",
		Args:    exactly("NAME"),
	}
	samples := sizeFlag(c, control.DefCapture, 1, control.MaxCapture)
	file := c.Flags().StringP("output", "o", "", "`FILE` to write, mode 0600")
	force := c.Flags().Bool("force", false, "overwrite the file if there is one")
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := samples()
		if err != nil {
			return err
		}
		if *file == "" {
			return &usageError{c.CommandPath(), errors.New("-o FILE is missing")}
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop() // so that an interrupted capture cleans up
		if err := a.capture(ctx, args[0], n, *file, *force); err != nil {
			return fmt.Errorf("capture of source %s: %w", args[0], err)
		}
		_, err = fmt.Fprintf(a.Out, "%s: %v of source %s\n", *file, config.Size(n), args[0])
		return err
	}
	return c
}

func (a *App) capture(ctx context.Context, source string, n int, path string, force bool) error {
	out, err := create(path, force)
	if err != nil {
		return err
	}
	p := &progress{w: io.Discard, look: lookOf(a.Err), total: n, now: a.Now, started: a.Now()}
	if f, ok := a.Err.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		p.w = a.Err
	}
	err = a.client().CaptureSource(ctx, source, n, io.MultiWriter(out, p))
	p.end()
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
	line := fmt.Sprintf("%s %3.0f%%  %s of %s", p.look.good.Render(bar(share, 30)), share*100,
		amount(uint64(p.done)), amount(uint64(p.total)))
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

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// seedPatience is how long a seed is waited for before it is said why.
const seedPatience = time.Second

func (a *App) seed() *cobra.Command {
	c := &cobra.Command{
		Use:   "seed --for NAME (-o FILE | --cloud-init FILE | --root DIR)",
		Short: "Draw a seed for one machine's first boot, which nobody else ever gets",
		Long: "Draw 512 bytes from the running hostd's reservoir, for one machine's first boot. No guest\n" +
			"and no other seed ever gets them: what is cloned with them afterwards shares them, so give\n" +
			"each clone a seed of its own. They come as\n" +
			"  -o FILE            the file that systemd keeps at /var/lib/systemd/random-seed\n" +
			"  --cloud-init FILE  NoCloud user data that has cloud-init write them to /dev/urandom\n" +
			"                     (- for the standard output, unless that is a terminal)\n" +
			"  --root DIR         that file of systemd's, inside an unpacked image; it is said what\n" +
			"                     else clones of the image would share, and what mends it\n" +
			"Files have mode 0600, and the first and the last are marked so that systemd may count them\n" +
			"as entropy (user.random-seed-creditable): it does where SYSTEMD_RANDOM_SEED_CREDIT=1 is\n" +
			"set for systemd-random-seed.service. A copy keeps that mark with cp --preserve=xattr.\n" +
			"cloud-init mixes them in and counts nothing.\n" +
			"While there is too little entropy it waits its turn among the guests.",
		Example: "  hostd seed --for web1 --root /mnt/web1\n" +
			"  hostd seed --for web1 --cloud-init user-data && cloud-localds seed.img user-data",
		Args: exactly(),
	}
	name := c.Flags().String("for", "", "whose seed it is: `NAME` as a guest's, for the event log")
	file := c.Flags().StringP("output", "o", "", "`FILE` to write: 512 bytes, as systemd-random-seed(8) reads them")
	userData := c.Flags().String("cloud-init", "", "`FILE` to write as user data; - for the standard output")
	root := c.Flags().String("root", "", "`DIR` of an unpacked image to put it into")
	force := c.Flags().Bool("force", false, "replace the file if there is one")
	timeout := c.Flags().Duration("timeout", time.Minute, "give up after this long without enough entropy; 0: never")
	c.RunE = func(c *cobra.Command, _ []string) error {
		given := 0
		for _, f := range []string{"output", "cloud-init", "root"} {
			if c.Flags().Changed(f) {
				given++
			}
		}
		var err error
		switch bad := config.CheckName(*name); {
		case !c.Flags().Changed("for"):
			err = errors.New("--for NAME is missing")
		case bad != nil:
			err = fmt.Errorf("--for: %w", bad)
		case given != 1:
			err = errors.New("give one of -o FILE, --cloud-init FILE and --root DIR")
		case *timeout < 0:
			err = fmt.Errorf("--timeout %v is below 0", *timeout)
		}
		if err != nil {
			return &usageError{c.CommandPath(), err}
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop() // so that no empty file is left
		var to seedTarget
		switch {
		case *root != "":
			to, err = a.intoImage(*root, *force)
		case *userData == "-":
			to, err = a.onStandardOutput()
		case *userData != "":
			to, err = asUserData(*userData, *force)
		default:
			to, err = asFile(*file, *force)
		}
		if err == nil {
			err = a.drawInto(ctx, to, *name, *timeout)
		}
		if err != nil {
			return fmt.Errorf("seed for %s: %w", *name, err)
		}
		return nil
	}
	return c
}

// seedTarget is what a seed is put into. It is ready before one is drawn, so that none
// is lost to a mistake.
type seedTarget interface {
	as() string // what that is: one of package control's
	// put writes the seed for good, or nothing, and says what has become of it.
	put(name string, seed []byte) (done string, err error)
	discard() // in place of put, or after it has failed
}

func (a *App) drawInto(ctx context.Context, to seedTarget, name string, timeout time.Duration) error {
	// As far as a process that is soon over can keep it off the disk.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	var seed [control.SeedSize]byte
	_ = syscall.Mlock(seed[:])
	defer clear(seed[:])
	count, err := a.draw(ctx, control.SeedRequest{For: name, As: to.as()}, &seed, timeout)
	if err != nil {
		to.discard()
		return err
	}
	done, err := to.put(name, seed[:])
	if err != nil {
		to.discard()
		return fmt.Errorf("%w: the seed that was drawn is lost, and nobody gets it; mend that and draw another", err)
	}
	nth := ""
	if count > 1 {
		nth = fmt.Sprintf(" (number %d of that name since hostd started, each another)", count)
	}
	out := a.Out
	if to.as() == control.SeedCloudInit {
		out = a.Err // the standard output may be the user data
	}
	_, err = fmt.Fprintf(out, "%s, for %s alone%s\n", done, name, nth)
	return err
}

var errInterrupted = errors.New("interrupted: nothing was written")

// draw waits for a seed, and says why when it takes long.
func (a *App) draw(told context.Context, r control.SeedRequest, seed *[control.SeedSize]byte, timeout time.Duration) (uint64, error) {
	ctx, cancel := context.WithCancelCause(told)
	defer cancel(nil)
	type answer struct {
		count uint64
		err   error
	}
	came := make(chan answer, 1)
	go func() {
		count, err := a.client().Seed(ctx, r, seed)
		came <- answer{count, err}
	}()
	long := time.NewTimer(seedPatience)
	defer long.Stop()
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	for {
		select {
		case got := <-came:
			if got.err != nil && told.Err() != nil {
				got.err = errInterrupted
			}
			return got.count, got.err
		case <-long.C:
			fmt.Fprintf(a.Err, "hostd: waiting for the seed: %s\n", a.whyWaiting(ctx))
		case <-late:
			cancel(fmt.Errorf("none within %v: %s; nothing was written", timeout, a.whyWaiting(ctx)))
		}
	}
}

// whyWaiting says what hostd lacks.
func (a *App) whyWaiting(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := a.client().Status(ctx)
	switch {
	case err != nil:
		return printable(err.Error())
	case s.Reservoir.Waiting != "":
		return printable(s.Reservoir.Waiting)
	}
	return fmt.Sprintf("the reservoir holds %s, of which %s are kept for new guests, and others wait too; see hostd status",
		amount(uint64(s.Reservoir.Level)), amount(uint64(s.Reservoir.BootReserve)))
}

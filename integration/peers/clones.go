//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	twins "headgate/integration/clones"
	"headgate/integration/peers/trace"
	"headgate/integration/rig"

	"golang.org/x/sync/errgroup"
)

const (
	// A kernel that has been up for two minutes reseeds once a minute, before that
	// as often as after half of its age (crng_reseed_interval, drivers/char/random.c).
	adult     = 122 * time.Second
	watchAged = 66 * time.Second

	// Of those whose clones ought to differ at once; shorter than half of the age.
	watchYoung = 3 * time.Second
	pairs      = 5

	// The spinner asks the kernel this often, and remembers so many calls: more
	// than it makes while it is watched.
	spinMicros  = 2000
	spinRecords = 1 << 16

	settle = 8 * time.Second // for a peer to do what it does when it starts
)

// original is a guest with a spinner in it, whose state others go on from.
type original struct {
	guest   *rig.Guest
	spinner *rig.Program
	booted  time.Time
	state   string
}

func (b *bench) boot(ctx context.Context, c rig.Config) (*original, error) {
	g, err := rig.Boot(ctx, c)
	if err != nil {
		return nil, err
	}
	o := &original{guest: g, booted: time.Now(), state: filepath.Join(b.dir, c.Name+".state")}
	o.spinner, err = g.StartOnto(ctx, "spinner", strconv.Itoa(spinRecords), strconv.Itoa(spinMicros))
	if err != nil {
		g.Close()
	}
	return o, err
}

// save waits until the guest is an adult and saves it.
func (o *original) save(ctx context.Context) error {
	if err := rig.Sleep(ctx, time.Until(o.booted.Add(adult))); err != nil {
		return err
	}
	return o.guest.Save(ctx, o.state)
}

// clones is what pairs of clones of one guest with a peer did.
type clones struct {
	pairs []twins.Twins
	watch time.Duration
	trace trace.Summary // what the peer did in the last of them, from the save on
	said  string        // why guestd reported from there
}

// equal is for how long the clones of the pair that differed last were the same, and
// how many outputs both had.
func (c clones) equal() (time.Duration, int) {
	last := slices.MaxFunc(c.pairs, func(x, y twins.Twins) int { return int(x.Differ() - y.Differ()) })
	return last.Differ(), last.Equal
}

func (c clones) String() string {
	text := ""
	for _, t := range c.pairs {
		text += fmt.Sprintf("%d of %d outputs equal, until %v; ", t.Equal, t.Calls[0], t.Differ().Round(10*time.Microsecond))
	}
	if c.said != "" {
		return text + "guestd reported: " + c.said
	}
	return text + fmt.Sprintf("%d RNDADDENTROPY, of them %d with %d bits, %d RNDRESEEDCRNG in %v",
		c.trace.Adds, c.trace.Credits, c.trace.Bits, c.trace.Reseeds, c.watch)
}

// cloneAged runs a peer in a guest that goes on from the aged one's state, and
// compares a pair of clones of that.
func (b *bench) cloneAged(ctx context.Context, i int, p peer, aged *original) (clones, error) {
	g, err := rig.Resume(ctx, b.config(i, p, asOriginal), aged.state, false)
	if err != nil {
		return clones{}, err
	}
	defer g.Close()
	o := &original{guest: g, spinner: aged.spinner, state: filepath.Join(b.dir, g.Name+".state")}
	defer os.Remove(o.state)
	before, err := b.seal(ctx, p, o, true)
	if err != nil {
		return clones{}, err
	}
	c := clones{watch: watchAged}
	err = b.pair(ctx, i, p, o, &c, func(clone *rig.Guest) error {
		after, err := traced(ctx, clone.Init, p)
		c.trace = after.Since(before)
		return err
	})
	return c, err
}

// cloneYoung runs a peer in a new guest, and compares pairs of clones of that.
func (b *bench) cloneYoung(ctx context.Context, i int, p peer) (clones, error) {
	o, err := b.boot(ctx, b.config(i, p, asOriginal))
	if err != nil {
		return clones{}, err
	}
	defer o.guest.Close()
	defer os.Remove(o.state)
	if _, err := b.seal(ctx, p, o, false); err != nil {
		return clones{}, err
	}
	c := clones{watch: watchYoung}
	for range pairs {
		err := b.pair(ctx, i, p, o, &c, func(clone *rig.Guest) error {
			if !p.port {
				return nil
			}
			var err error
			c.said, err = b.reported(ctx, clone.Name)
			return err
		})
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// seal starts the peer, has the kernel reseed, so that its own next reseed is far, and
// saves the guest. It returns what the peer had done by then.
func (b *bench) seal(ctx context.Context, p peer, o *original, watched bool) (before trace.Summary, err error) {
	if err := begin(ctx, o.guest, p, watched); err != nil {
		return before, err
	}
	if err := rig.Sleep(ctx, settle); err != nil {
		return before, err
	}
	if _, err := ran(o.guest.Run(ctx, 10*time.Second, "inside", "reseed")); err != nil {
		return before, fmt.Errorf("have the kernel reseed: %w", err)
	}
	if err := rig.Sleep(ctx, time.Second); err != nil {
		return before, err
	}
	if watched {
		if before, err = traced(ctx, o.guest.Init, p); err != nil {
			return before, err
		}
	}
	return before, o.guest.Save(ctx, o.state)
}

// pair has two clones go on from a state and compares them. At the end it asks the
// first what it wants to know.
func (b *bench) pair(ctx context.Context, i int, p peer, o *original, c *clones, ask func(*rig.Guest) error) error {
	var calls [2][][]twins.Call
	g, ctx := errgroup.WithContext(ctx)
	for k, as := range []string{asClone1, asClone2} {
		g.Go(func() error {
			config := b.config(i, p, as)
			clone, err := rig.Resume(ctx, config, o.state, false)
			if err != nil {
				return err
			}
			defer clone.Close()
			if err := rig.Sleep(ctx, c.watch); err != nil {
				return err
			}
			if _, err := o.spinner.In(clone.Init).Stop(ctx); err != nil {
				return fmt.Errorf("stop the spinner: %w", err)
			}
			if k == 0 {
				if err := ask(clone); err != nil {
					return err
				}
			}
			clone.Close()
			data, err := os.ReadFile(config.Output)
			if err != nil {
				return err
			}
			calls[k], err = twins.Parse(data)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	t, err := twins.Compare(calls[0], calls[1])
	c.pairs = append(c.pairs, t)
	return err
}

// reported are the reasons of the reports of a guest's guestd, in all its lives.
func (b *bench) reported(ctx context.Context, name string) (string, error) {
	s, err := b.hostd.Status(ctx)
	if err != nil {
		return "", err
	}
	guest, _ := rig.GuestOf(s, name)
	return strings.Join(slices.Sorted(maps.Keys(guest.Reseeds)), ", "), nil
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"headgate/integration/rig"
	"headgate/integration/rig/job"

	"golang.org/x/sync/errgroup"
)

// The two guests.
const (
	greedy = "greedy"
	normal = "normal"

	greedyRate = 4 << 10 // bytes/s, "4KiB/s" below
	normalRate = 1 << 10 // bytes/s, "1KiB/s" below
	burst      = 4 << 10 // bytes, "4KiB" below
)

// configuration is what a user would write; %s are the paths of two sockets.
const configuration = `
[[class]]
name = "default"
rate = "1KiB/s"
burst = "4KiB"

[[class]]
name = "heavy"
rate = "4KiB/s"
burst = "4KiB"

[[guest]]
name = "greedy"
class = "heavy"
pipes = ["qemu:%s"]

[[guest]]
name = "normal"
pipes = ["port:%s"]
`

// play goes through the demonstration. What happens is written into the scene.
func play(ctx context.Context, s *scene, dir string, measure time.Duration) error {
	s.note("building hostd, guestd and the guests' initramfs")
	programs, err := rig.BuildPrograms(ctx, dir)
	if err != nil {
		return err
	}
	image, err := rig.NewImage(ctx, dir, map[string]string{"guestd": programs.Guestd})
	if err != nil {
		return err
	}

	qemu, port := filepath.Join(dir, "greedy.sock"), filepath.Join(dir, "normal.sock")
	hostd, err := rig.NewDaemon(dir, programs.Hostd, fmt.Sprintf(configuration, qemu, port))
	if err != nil {
		return err
	}
	defer hostd.Close()
	begun := time.Now()
	if err := hostd.Start(ctx); err != nil {
		return err
	}
	s.note("hostd serves, %s after its start", took(time.Since(begun)))
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	defer func() { stopWatching(); <-watched }()
	go func() {
		defer close(watched)
		watch(watching, s, hostd)
	}()
	if err := awaitSource(ctx, s); err != nil {
		return err
	}

	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		return playGreedy(ctx, s, rig.Config{Name: greedy, Image: image, Dir: dir, RNG: qemu}, measure)
	})
	both.Go(func() error {
		// It comes while the greedy one is at it already.
		select {
		case <-s.actor(greedy).reads:
		case <-ctx.Done():
			return ctx.Err()
		}
		return playNormal(ctx, s, rig.Config{Name: normal, Image: image, Dir: dir, Port: port}, s.actor(greedy).done)
	})
	if err := both.Wait(); err != nil {
		return err
	}
	stopped, err := hostd.Terminate(5 * time.Second)
	if err != nil {
		return err
	}
	s.note("hostd stopped, %s after SIGTERM", took(stopped))
	return nil
}

// awaitSource waits until a source has passed its start-up test. Without one
// there is nothing to show.
func awaitSource(ctx context.Context, s *scene) error {
	const patience = 20 * time.Second
	over := time.After(patience)
	for {
		if s.sourcesUp() > 0 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return errors.New("no physical source of this machine is up after " + patience.String() + ": " + s.sourceTrouble())
		}
	}
}

// playGreedy boots the guest that reads /dev/hwrng without pause, and measures
// what it gets once its burst is spent.
func playGreedy(ctx context.Context, s *scene, c rig.Config, measure time.Duration) error {
	defer close(s.actor(greedy).done)
	g, err := boot(ctx, s, c)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Insmod(ctx, rig.ModuleRNG); err != nil {
		return err
	}
	if err := ready(ctx, s, g, job.Marker+"insert "+rig.ModuleRNG, "virtio-rng came"); err != nil {
		return err
	}
	reader, err := g.Read(ctx, rig.Reading{Path: "/dev/hwrng"})
	if err != nil {
		return err
	}
	s.note("%s reads /dev/hwrng without pause", greedy)
	close(s.actor(greedy).reads)
	var first rig.Progress
	for {
		p, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if first.Total == 0 {
			if p.Total >= 2*burst {
				first = p
				s.note("%s has spent its burst; measuring for %s", greedy, measure)
			}
			continue
		}
		over := p.Guest - first.Guest
		s.measured(float64(p.Total-first.Total), over)
		if over >= measure {
			break
		}
	}
	beat, err := g.Heartbeat(ctx)
	if err != nil {
		return err
	}
	s.note("%s has read enough", greedy)
	s.change(greedy, func(a *actor) { a.latest = beat.Longest })
	return nil
}

// playNormal boots the guest whose guestd asks through its port now and then.
func playNormal(ctx context.Context, s *scene, c rig.Config, until <-chan struct{}) error {
	g, err := boot(ctx, s, c)
	if err != nil {
		return err
	}
	defer g.Close()
	program, err := g.Start(ctx, "guestd", "--interval", "3s")
	if err != nil {
		return err
	}
	if err := ready(ctx, s, g, job.Marker+"start guestd", "guestd started"); err != nil {
		return err
	}
	memory, err := program.Memory(ctx)
	if err != nil {
		return err
	}
	s.change(normal, func(a *actor) { a.peakKiB = memory.PeakKiB })
	select {
	case <-until:
	case <-ctx.Done():
		return ctx.Err()
	}
	exit, err := program.Stop(ctx)
	if err != nil {
		return err
	}
	if !exit.Stopped() {
		return fmt.Errorf("guestd ended with exit code %d %s: %s", exit.Code, exit.Signal, exit.Stderr)
	}
	return nil
}

// boot boots a guest, which starts out with a generator that nobody has seeded.
func boot(ctx context.Context, s *scene, c rig.Config) (*rig.Guest, error) {
	s.note("%s boots in QEMU", c.Name)
	c.Limit = limit
	g, err := rig.Boot(ctx, c)
	if err != nil {
		return nil, err
	}
	s.change(c.Name, func(a *actor) { a.booted = g.Booted })
	s.note("%s is up, %s after the start of QEMU; its generator is not seeded", c.Name, took(g.Booted))
	return g, nil
}

// ready waits until the guest's kernel says that its generator is ready, and
// tells how long after a marked event that was, by the clock of its log.
func ready(ctx context.Context, s *scene, g *rig.Guest, marker, what string) error {
	record, err := g.AwaitLog(ctx, job.CRNGReady, 15*time.Second)
	if err != nil {
		return err
	}
	since, err := g.KernelLog(ctx, marker)
	if err != nil {
		return err
	}
	if len(since) == 0 {
		return fmt.Errorf("%s: its kernel's log has no %q", g.Name, marker)
	}
	after := record.At - since[0].At
	s.change(g.Name, func(a *actor) { a.ready, a.readyAfter = after, what })
	s.note("%s: crng init done, %s after %s", g.Name, took(after), what)
	return nil
}

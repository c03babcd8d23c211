//go:build linux

package integration

import (
	"context"
	"testing"
	"time"

	"headgate/integration/rig"
)

// greedyGuest is one guest that reads /dev/hwrng without pause through
// virtio-rng and rng-egd, with hostd and another client beside it.
type greedyGuest struct {
	hostd *rig.Daemon
	guest *rig.Guest
	read  *rig.Following
	seen  *rig.Blocks
}

// TestVirtioRNG boots a greedy guest once, and shows what the names of the
// parts say.
func TestVirtioRNG(t *testing.T) {
	t.Parallel() // it waits for most of its time
	image := image(t)
	ctx := rig.Within(t, 4*time.Minute)
	dir := rig.Dir(t)
	blocked, socket := guest("greedy", "metered", "qemu", dir)
	other, otherSocket := guest("other", "metered", "egd", dir)
	g := greedyGuest{seen: rig.NewBlocks()}
	g.hostd = rig.Hostd(t, programs(t).Hostd, dir, rig.Sound+rates+blocked+other)
	g.guest = rig.BootGuest(t, rig.Config{Name: "greedy", Image: image, Dir: dir, RNG: socket, Limit: 4 * time.Minute})
	if err := g.guest.Insmod(ctx, rig.ModuleRNG); err != nil {
		t.Fatal(err)
	}
	drain(ctx, t, otherSocket, g.seen)
	g.read = rig.Follow(ctx, t, g.guest.Init, g.seen)

	t.Run("rate", func(t *testing.T) { g.rate(ctx, t) })
	t.Run("kill", func(t *testing.T) { g.kill(ctx, t) })
	t.Run("stop", func(t *testing.T) { g.stop(t) })
	g.seen.Check(t)
}

// rate: with rate = "4KiB/s" the guest gets 4 KiB/s ± 2% over 20 s after its
// burst, and does not stall meanwhile.
func (g greedyGuest) rate(ctx context.Context, t *testing.T) {
	const (
		rate  = 4096.0 // bytes/s, of the class metered
		burst = 4096
		over  = 20 * time.Second
		tol   = 0.02
	)
	if _, err := g.guest.Heartbeat(ctx); err != nil {
		t.Fatal(err)
	}
	// The burst is over when twice as much was read.
	got := g.read.Rate(t, 2*burst, over)
	beat, err := g.guest.Heartbeat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f bytes/s over %s, asked for %.0f", got, over, rate)
	t.Logf("%d heartbeats, the latest %s late", beat.Beats, beat.Longest)
	if got < rate*(1-tol) || got > rate*(1+tol) {
		t.Errorf("%.1f bytes/s, want %.0f ± %.0f%%", got, rate, tol*100)
	}
	if beat.Late > 0 {
		t.Errorf("%d heartbeats of %d came more than 1 s late, the latest %s: the guest stalled", beat.Late, beat.Beats, beat.Longest)
	}
	if want := int(over/time.Second) * 5; beat.Beats < want {
		t.Errorf("%d heartbeats in %s, at least %d wanted", beat.Beats, over, want)
	}
}

// kill: when hostd is killed (-9) while the guest is blocked, and is started
// again after 1 s and after 10 s, the guest's read goes on within 2 s.
func (g greedyGuest) kill(ctx context.Context, t *testing.T) {
	const (
		goesOn = 2 * time.Second
		enough = 192 // bytes: more than the push after accept, so requests flow again
	)
	for _, away := range []time.Duration{time.Second, 10 * time.Second} {
		// Past the burst the guest waits for the rate, and so is blocked.
		g.read.Await(t, g.read.Latest().Total+12<<10, time.Minute)
		g.hostd.Kill()
		rig.Pause(ctx, t, away)
		before := g.read.Latest().Total
		begun := time.Now()
		if err := g.hostd.Start(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
		p := g.read.Await(t, before+enough, 30*time.Second)
		took := p.Host.Sub(begun)
		t.Logf("away for %s: the read went on %s after the restart", away, took.Round(time.Millisecond))
		if took > goesOn {
			t.Errorf("away for %s: the read went on after %s, want at most %s", away, took, goesOn)
		}
	}
}

// stop: SIGTERM ends hostd within 1 s although the guest is blocked.
func (g greedyGuest) stop(t *testing.T) {
	took, err := g.hostd.Terminate(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("hostd ended %s after SIGTERM", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("hostd ended %s after SIGTERM, want at most 1 s", took)
	}
}

//go:build linux

package integration

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/load"
	"headgate/integration/rig"
)

// TestSourceTurnsToZeros shows, with the real daemon and a source behind a
// FIFO, that a source that turns to zeros is stopped, that nothing of it is
// credited any more, and that it comes back by a new start-up test alone.
func TestSourceTurnsToZeros(t *testing.T) {
	const (
		up     = "up"
		failed = "failed"
	)
	ctx := rig.Within(t, 2*time.Minute)
	dir := rig.Dir(t)
	// So slow that what is in the FIFO when it turns is soon read.
	noise, err := load.StartNoise(ctx, filepath.Join(dir, "noise"), 57_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(noise.Close)
	// Somebody has to draw, or a full reservoir would stop the reading.
	text, socket := guest("drawing", "open", "egd", dir)
	hostd := rig.Hostd(t, programs(t).Hostd, dir, fmt.Sprintf(`
[[source]]
name = "noise"
type = "file"
path = %q
min_entropy = 6.0
`, noise.Path)+rates+text)
	drain(ctx, t, socket, rig.NewBlocks())

	good := hostd.Await(ctx, t, "the source is up and credited", func(s control.Status) bool {
		return s.Sources[0].State == up && s.Reservoir.ConditionedBytes > 4096
	})
	if n := good.Sources[0].Startups; n != 1 {
		t.Errorf("%d start-up tests passed, want 1", n)
	}

	noise.Stuck.Store(true)
	stopped := hostd.Await(ctx, t, "the source is stopped", func(s control.Status) bool {
		return s.Sources[0].State == failed
	})
	if n := failures(stopped); n == 0 {
		t.Errorf("the source is stopped, but no failure was counted: %+v", stopped.Sources[0])
	}
	t.Logf("stopped: %s", stopped.Sources[0].Error)
	rig.Pause(ctx, t, 1500*time.Millisecond)
	later, err := hostd.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if later.Sources[0].State == up {
		t.Errorf("a source that gives zeros is up")
	}
	if before, now := stopped.Reservoir.ConditionedBytes, later.Reservoir.ConditionedBytes; now != before {
		t.Errorf("%d bytes were conditioned of zeros", now-before)
	}
	if before, now := stopped.Sources[0].EntropyBits, later.Sources[0].EntropyBits; now != before {
		t.Errorf("%v bits were credited for zeros", now-before)
	}

	noise.Stuck.Store(false)
	back := hostd.Await(ctx, t, "the source is back", func(s control.Status) bool {
		return s.Sources[0].State == up && s.Reservoir.ConditionedBytes > later.Reservoir.ConditionedBytes
	})
	if before, now := good.Sources[0].Startups, back.Sources[0].Startups; now != before+1 {
		t.Errorf("%d start-up tests passed by now, want one more than %d", now, before)
	}
}

func failures(s control.Status) (n uint64) {
	for _, count := range s.Sources[0].Failures {
		n += count
	}
	return n
}

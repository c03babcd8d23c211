//go:build linux

package sources

import (
	"path/filepath"
	"testing"
	"time"

	"headgate/backends"
	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestGeneratedCountsNothing shows that a reservoir is not filled by what is the
// output of a generator, unless the operator says what it is worth.
func TestGeneratedCountsNothing(t *testing.T) {
	t.Parallel() // while others wait for a slow source
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	chip := newChip(t, dir)
	text, socket := guest("full", "open", dir)
	// One has to count, or hostd refuses the configuration: it is not there yet.
	fifo := filepath.Join(dir, "fifo")
	d := rig.Hostd(t, hostd(t), dir, source("tpm", "tpm", path(chip.socket))+source("trng", "file", path(fifo))+open+text)
	full := draw(ctx, t, socket, nil)
	tpm := awaitSource(ctx, t, d, "tpm", "up", state(backends.Up))
	if tpm.Credited || tpm.Noise != backends.Generated {
		t.Errorf("credited %v, noise %q", tpm.Credited, tpm.Noise)
	}
	s := d.Await(ctx, t, "the guest waits, and it is said why", func(s control.Status) bool {
		return s.Guests[0].Waiting && s.Reservoir.Waiting != ""
	})
	t.Log("it waits because: ", s.Reservoir.Waiting)
	rig.Pause(ctx, t, time.Second)
	if s, err := d.Status(ctx); err != nil || s.Reservoir.ConditionedBytes > 0 || s.Sources[0].EntropyBits > 0 || full.bytes.Load() > 0 {
		t.Errorf("conditioned %d bytes of %d bits, the guest got %d, %v",
			s.Reservoir.ConditionedBytes, s.Sources[0].EntropyBits, full.bytes.Load(), err)
	}
	startNoise(ctx, t, dir, "fifo", trickle)
	d.AwaitGuest(ctx, t, "full", "it is served by what counts", func(g control.GuestStatus) bool { return g.Bytes > 0 })
}

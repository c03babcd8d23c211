//go:build linux

package libvirt

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"headgate/integration/rig"
)

// restored: a guest goes on from a saved state, twice from the same, and from a
// snapshot, twice from the same. Each time its first 64 bytes are new, and come
// ahead of a hundred greedy guests on a short supply.
func (r *running) restored(ctx context.Context, t *testing.T) {
	crowd := r.letLoose(ctx, t)
	r.supply(t, 0)
	// With nothing to be had the guest is blocked in its read. One that was fed has
	// 64 bytes in its memory that Linux asked for ahead (virtio_read,
	// drivers/char/hw_random/virtio-rng.c): each copy of it reads them first.
	for crowd.idle() < time.Second || time.Since(r.read.Latest().Host) < time.Second {
		rig.Pause(ctx, t, 100*time.Millisecond)
	}
	if err := r.guest.Snapshot(ctx, "kept"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(rig.Private, "db1.save")
	if err := r.guest.Save(ctx, file); err != nil {
		t.Fatal(err)
	}
	r.supply(t, short)
	r.drained(ctx, t)
	crowd.forget()
	rig.Pause(ctx, t, 7*time.Second) // two turns of everybody

	restore := func() error { return r.guest.Restore(ctx, file) }
	revert := func() error { return r.guest.Revert(ctx, "kept") }
	var firsts [][]byte
	for _, way := range []struct {
		name string
		goOn func() error
	}{
		{"restored", restore}, {"restored again", restore}, {"reverted", revert}, {"reverted again", revert},
	} {
		if way.name == "restored again" {
			r.destroy(ctx, t, r.guest, "db1")
		}
		begun := time.Now()
		if err := way.goOn(); err != nil {
			t.Fatal(err)
		}
		runs, attached := time.Now(), r.guest.Attached()
		p := r.read.AwaitThat(t, 20*time.Second, func(p rig.Progress) bool { return p.Host.After(attached) && len(p.Data) > 0 })
		g := r.fed(ctx, t, "db1")
		waited := max(p.Host.Sub(runs), 0)
		t.Logf("%s: it ran %s after virsh was called, and had its first %d bytes %s after that; hostd gave them %s after its QEMU had connected",
			way.name, runs.Sub(begun).Round(time.Millisecond), len(p.Data), waited.Round(time.Millisecond), inSeconds(g.FirstBytes))
		if len(p.Data) < 64 {
			t.Errorf("%s: %d bytes came, want 64", way.name, len(p.Data))
		}
		for _, other := range firsts {
			if bytes.Equal(other, p.Data) {
				t.Errorf("%s: its first bytes are those of before", way.name)
			}
		}
		firsts = append(firsts, p.Data)
		turn := crowd.turn(t)
		if waited > turn/4 || inSeconds(g.FirstBytes) > turn/20 {
			t.Errorf("%s: it waited %s, and for hostd %s; a greedy guest's turn takes %s", way.name, waited, inSeconds(g.FirstBytes), turn)
		}
	}
	t.Logf("a turn of the crowd takes %s, the median", crowd.turn(t).Round(time.Millisecond))
	r.seen.Check(t)
}

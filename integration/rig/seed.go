//go:build linux

package rig

import (
	"context"
	"testing"
	"time"

	"headgate/integration/rig/job"
)

// Seed runs guestd seed with these flags in a guest that nobody has seeded, and
// returns when that began and when the generator was ready, by the kernel's clock.
func Seed(ctx context.Context, t testing.TB, g *Init, flags ...string) (begun, ready time.Duration) {
	t.Helper()
	const guestd = "guestd"
	exit, err := g.Run(ctx, 20*time.Second, append([]string{guestd, "seed"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	if exit.Code != 0 {
		t.Fatalf("guestd seed: exit %d\n%s%s", exit.Code, exit.Stdout, exit.Stderr)
	}
	records, err := g.KernelLog(ctx, job.Marker+"run "+guestd, job.CRNGReady)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		switch {
		case r.Text == job.CRNGReady:
			ready = r.At
		case ready == 0, begun == 0: // the kernel's own thread may be ready before guestd has begun
			begun = r.At
		}
	}
	if ready == 0 {
		t.Fatalf("guestd seed was content, but the kernel is not ready: %v", records)
	}
	return begun, ready
}

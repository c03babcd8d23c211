//go:build linux

package feeder

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headgate/guestd/kernelpool"
	"headgate/guestd/pipe"
)

func TestSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newFake(pipe.PortKind, true))
		if err := b.Seed(time.Second); err != nil || b.pool.bits != 512 || b.pool.reseeds != 1 {
			t.Errorf("%v, pool %+v", err, &b.pool)
		}
		b = newBench(newFake(pipe.PortKind, true))
		b.pool.addErr = kernelpool.ErrPermission
		if err := b.Seed(time.Second); !errors.Is(err, kernelpool.ErrPermission) {
			t.Error(err)
		}
	})
}

// A boot waits for the seed: no longer than there is hope, and never longer than it
// was told.
func TestSeedGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		pipes func() []*fakePipe
		after time.Duration
		err   string
	}{
		"no pipe":         {func() []*fakePipe { return nil }, early, "virtio"},
		"the host's away": {func() []*fakePipe { return []*fakePipe{absent(pipe.PortKind)} }, early, "/dev/port: nobody listens"},
		"silent":          {func() []*fakePipe { return []*fakePipe{newFake(pipe.HWRNGKind, false)} }, 5 * time.Second, "/dev/hwrng: no fresh bytes came in time"},
		"one of two is away": {func() []*fakePipe { return []*fakePipe{absent(pipe.PortKind), newFake(pipe.HWRNGKind, false)} },
			5 * time.Second, "/dev/port: nobody listens"},
		"a ring's host does not come": {func() []*fakePipe {
			p := newFake(pipe.VchanKind, false)
			p.soon.Store(true)
			time.AfterFunc(time.Second, func() { p.broken <- pipe.ErrAway })
			return []*fakePipe{p}
		}, time.Second, "/dev/vchan: nobody listens"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, start := newBench(c.pipes()...), time.Now()
				err := b.Seed(5 * time.Second)
				if err == nil || !strings.Contains(err.Error(), c.err) || time.Since(start) != c.after {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// A host that comes within the grace is waited for, though it was away when it was asked.
func TestSeedWaitsForTheHostToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := absent(pipe.PortKind)
		time.AfterFunc(early/2, func() { p.away.Store(false) })
		time.AfterFunc(2*time.Second, func() { p.batches <- fresh(random(64)) })
		start := time.Now()
		if err := newBench(p).Seed(5 * time.Second); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func absent(k pipe.Kind) *fakePipe {
	p := newFake(k, false)
	p.away.Store(true)
	return p
}

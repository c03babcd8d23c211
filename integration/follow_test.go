//go:build linux

package integration

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"
)

// following collects the progress of a guest's reader as it comes.
type following struct {
	mu       sync.Mutex
	progress []rig.Progress
	err      error
	more     chan struct{}
	done     chan struct{}
}

// follow makes a guest read /dev/hwrng without pause until the test ends. The
// bytes that come are added to seen.
func follow(ctx context.Context, t *testing.T, g *rig.Guest, seen *blocks) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	reader, err := g.Read(ctx, rig.Reading{Path: "/dev/hwrng", Keep: seen != nil})
	if err != nil {
		t.Fatal(err)
	}
	f := &following{more: make(chan struct{}, 1), done: make(chan struct{})}
	t.Cleanup(func() { cancel(); <-f.done })
	go func() {
		defer close(f.done)
		stream := seen.stream(g.Name)
		for {
			p, err := reader.Next(ctx)
			stream.add(p.Data)
			p.Data = nil
			f.mu.Lock()
			f.err = err
			if err == nil {
				f.progress = append(f.progress, p)
			}
			f.mu.Unlock()
			select {
			case f.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return f
}

// await waits until the reader has got at least total bytes, and returns the
// first progress of which that is true.
func (f *following) await(t *testing.T, total int64, patience time.Duration) rig.Progress {
	t.Helper()
	return f.awaitThat(t, patience, func(p rig.Progress) bool { return p.Total >= total })
}

func (f *following) awaitThat(t *testing.T, patience time.Duration, is func(rig.Progress) bool) rig.Progress {
	t.Helper()
	over := time.After(patience)
	for {
		if p, ok := f.first(is); ok {
			return p
		}
		if err := f.failure(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.more:
		case <-over:
			t.Fatalf("not seen within %s; the guest has read %d bytes by now", patience, f.latest().Total)
		}
	}
}

func (f *following) first(is func(rig.Progress) bool) (rig.Progress, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.progress {
		if is(p) {
			return p, true
		}
	}
	return rig.Progress{}, false
}

func (f *following) latest() rig.Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.progress) == 0 {
		return rig.Progress{}
	}
	return f.progress[len(f.progress)-1]
}

func (f *following) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(f.err, context.Canceled) {
		return nil
	}
	return f.err
}

// awaitClock waits for the first progress at or after a time of the guest's
// clock.
func (f *following) awaitClock(t *testing.T, at, patience time.Duration) rig.Progress {
	t.Helper()
	return f.awaitThat(t, patience, func(p rig.Progress) bool { return p.Guest >= at })
}

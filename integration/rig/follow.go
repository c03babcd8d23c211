//go:build linux

package rig

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// firstBytes is how many bytes of one progress are kept: what makes a guest a
// seeded one.
const firstBytes = 64

// Following collects the progress of a guest's reader as it comes.
type Following struct {
	mu       sync.Mutex
	progress []Progress
	err      error
	more     chan struct{}
	done     chan struct{}
}

// Follow makes a guest read /dev/hwrng without pause until the test ends. The
// bytes that come are added to seen, unless that is nil; of those of one progress
// the first are kept in it.
func Follow(ctx context.Context, t testing.TB, g *Init, seen *Blocks) *Following {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	reader, err := g.Read(ctx, Reading{Path: "/dev/hwrng", Keep: seen != nil})
	if err != nil {
		t.Fatal(err)
	}
	f := &Following{more: make(chan struct{}, 1), done: make(chan struct{})}
	t.Cleanup(func() { cancel(); <-f.done })
	go func() {
		defer close(f.done)
		stream := seen.Stream(g.Name)
		for {
			p, err := reader.Next(ctx)
			stream.Add(p.Data)
			p.Data = bytes.Clone(p.Data[:min(len(p.Data), firstBytes)])
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

// Await waits until the reader has got at least total bytes, and returns the
// first progress of which that is true.
func (f *Following) Await(t testing.TB, total int64, patience time.Duration) Progress {
	t.Helper()
	return f.AwaitThat(t, patience, func(p Progress) bool { return p.Total >= total })
}

// AwaitThat waits for the first progress that is as wanted.
func (f *Following) AwaitThat(t testing.TB, patience time.Duration, is func(Progress) bool) Progress {
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
			t.Fatalf("not seen within %s; the guest has read %d bytes by now", patience, f.Latest().Total)
		}
	}
}

func (f *Following) first(is func(Progress) bool) (Progress, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.progress {
		if is(p) {
			return p, true
		}
	}
	return Progress{}, false
}

// Latest is the last progress so far.
func (f *Following) Latest() Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.progress) == 0 {
		return Progress{}
	}
	return f.progress[len(f.progress)-1]
}

func (f *Following) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(f.err, context.Canceled) {
		return nil
	}
	return f.err
}

// AwaitClock waits for the first progress at or after a time of the guest's
// clock.
func (f *Following) AwaitClock(t testing.TB, at, patience time.Duration) Progress {
	t.Helper()
	return f.AwaitThat(t, patience, func(p Progress) bool { return p.Guest >= at })
}

// Rate is how many bytes came a second of the guest's clock, over so long, once the
// reader had got after bytes: the slope of the line that fits best what was told
// meanwhile, for which a guest that stands still for a moment, and may catch up as far as
// its burst allows, counts for less than for a difference of two totals.
func (f *Following) Rate(t testing.TB, after int64, over time.Duration) float64 {
	t.Helper()
	start := f.Await(t, after, over+10*time.Second)
	end := f.AwaitClock(t, start.Guest+over, over+5*time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	var n, x, y, xx, xy float64
	for _, p := range f.progress {
		if p.Guest < start.Guest || p.Guest > end.Guest {
			continue
		}
		seconds, bytes := (p.Guest - start.Guest).Seconds(), float64(p.Total-start.Total)
		n, x, y, xx, xy = n+1, x+seconds, y+bytes, xx+seconds*seconds, xy+seconds*bytes
	}
	t.Logf("a difference of totals would say %.1f bytes/s", float64(end.Total-start.Total)/(end.Guest-start.Guest).Seconds())
	return (n*xy - x*y) / (n*xx - x*x)
}

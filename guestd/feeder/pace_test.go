//go:build linux

package feeder

import (
	"testing"
	"testing/synctest"
	"time"

	"headgate/guestd/pipe"
	"headgate/wire/feed"
)

// A host that pushes without end gets a burst and then one turn a second.
func TestEndlessPushIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, false)
		b := newBench(p)
		b.during(t, func() {
			for range 100 {
				push := fresh(random(64))
				push.Pushed = true
				p.batches <- push
			}
			time.Sleep(10*time.Second + time.Millisecond)
		})
		if n := b.pool.reseeds; n < paceBurst+10 || n > paceBurst+11 {
			t.Errorf("%d reseeds in 10 s", n)
		}
	})
}

// Of a host that sends much at a time each turn counts as two.
func TestMuchAtATimeIsPaced(t *testing.T) {
	for name, c := range map[string]struct {
		batch feed.Batch
		turns int
	}{
		"a frame":           {feed.Batch{Read: feed.MaxFrame}, paceBurst + 50},
		"more than a frame": {feed.Batch{Read: feed.MaxFrame + 1}, paceBurst/2 + 25},
		"more than is read": {feed.Batch{Read: feed.MaxFrame, More: true}, paceBurst/2 + 25},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newFake(pipe.PortKind, false)
				b := newBench(p)
				b.during(t, func() {
					for range 100 {
						push := fresh(random(64))
						push.Pushed, push.Read, push.More = true, c.batch.Read, c.batch.More
						p.batches <- push
					}
					time.Sleep(50*time.Second + time.Millisecond)
				})
				if n := b.pool.reseeds; n < c.turns || n > c.turns+1 {
					t.Errorf("%d turns in 50 s, want %d", n, c.turns)
				}
			})
		})
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	for range paceBurst {
		if d := p.take(now); d != 0 {
			t.Fatalf("within the burst: %v", d)
		}
	}
	if d := p.take(now); d != paceEvery {
		t.Errorf("after the burst: %v", d)
	}
	if d := p.take(now.Add(-time.Hour)); d != 0 {
		t.Errorf("after the clock jumped back: %v", d)
	}
}

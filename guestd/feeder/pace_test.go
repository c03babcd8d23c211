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

// A host that sends much, and what is dear to take, gets a burst and then its share of
// the processor; one that sends a frame at a time is not held up by what else is done.
func TestDearTurnsArePaced(t *testing.T) {
	const cost, long = 80 * time.Millisecond, 10 * time.Minute
	for name, c := range map[string]struct{ read, least, most int }{
		"much at a time":  {64 << 10, int(long / budgetShare / cost), int((long/budgetShare+budgetBurst)/cost) + 1},
		"frame by frame":  {feed.MaxFrame, 90, 90},
		"hardly a thing":  {88, 90, 90},
		"more than frame": {feed.MaxFrame + 1, int(long / budgetShare / cost), int((long/budgetShare+budgetBurst)/cost) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newFake(pipe.PortKind, false)
				b := newBench(p)
				b.Cycles = func() uint64 { b.spent.Add(int64(cost)); return 1 } // once a turn
				b.during(t, func() {
					for range 90 {
						push := fresh(random(64))
						push.Pushed, push.Read = true, c.read
						p.batches <- push
					}
					time.Sleep(long)
				})
				if n := b.pool.reseeds; n < c.least || n > c.most {
					t.Errorf("%d turns in %v, want %d to %d", n, long, c.least, c.most)
				}
			})
		})
	}
}

func TestBudget(t *testing.T) {
	var b budget
	const much = 64 << 10
	now := time.Unix(1000, 0)
	used := time.Hour
	b.take(now, used, 0) // what was used before counts for nothing
	for _, step := range []struct {
		name  string
		later time.Duration
		used  time.Duration
		bytes int
		want  time.Duration
	}{
		{"within the burst", 0, budgetBurst, much, 0},
		{"a millisecond more", 0, time.Millisecond, much, budgetShare * time.Millisecond},
		{"a frame", 0, time.Millisecond, feed.MaxFrame, 0},
		{"an hour more", 0, time.Hour, much, budgetWait},
		{"after the wait", budgetWait, 0, much, 0},
		{"the clock jumped back", -time.Hour, time.Millisecond, much, budgetShare * time.Millisecond},
	} {
		now, used = now.Add(step.later), used+step.used
		if d := b.take(now, used, step.bytes); d != step.want {
			t.Errorf("%s: %v, want %v", step.name, d, step.want)
		}
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

//go:build linux

package integration

import (
	"fmt"
	"testing"
	"time"

	"headgate/integration/load"
	"headgate/integration/rig"
)

// A short supply is shared fairly, wholly, and with newcomers first, whatever the guests
// come by. `make bench` runs the same for a minute, with 1,000 EGD clients.
func TestShortSupplyIsShared(t *testing.T) {
	clients := load.Fairness{Clients: 210, Supply: 20_000, Newcomers: 40, Time: 12 * time.Second}
	devices := load.Fairness{Clients: 50, Devices: true, Supply: 40_000, Newcomers: 20, Time: 8 * time.Second}
	for _, f := range []load.Fairness{clients, devices} {
		what := fmt.Sprintf("%d EGD clients", f.Clients)
		if f.Devices {
			what = fmt.Sprintf("%d vhost-user devices", f.Clients)
		}
		t.Run(what, func(t *testing.T) {
			for _, weights := range [][]int{{1}, {1, 2, 4}} {
				crowd := f
				crowd.Weights = weights
				t.Run(fmt.Sprint(weights), func(t *testing.T) {
					t.Parallel() // a twentieth of a processor each
					isShared(t, crowd)
				})
			}
		})
	}
}

func isShared(t *testing.T, f load.Fairness) {
	s, err := f.Measure(rig.Within(t, time.Minute), programs(t).Hostd)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Jain %.5f, classes %.4v, delivered %.4f, restless %.3f, newcomers' median %v, 99th %v (floor %v, %v)",
		s.Jain, s.Classes, s.Delivered, s.Restless, s.Newcomers.Percentile(0.5), s.Newcomers.Percentile(0.99), s.Floor.Percentile(0.5), s.Floor.Percentile(0.99))
	if len(f.Weights) == 1 && s.Jain < 0.999 { // of different weights, some get too few requests to be told apart
		t.Errorf("Jain's index is %.5f, want 0.999", s.Jain)
	}
	for w, share := range s.Classes {
		if share < 0.99 || share > 1.01 {
			t.Errorf("the class of weight %d got %.4f of its share", w, share)
		}
	}
	if s.Delivered < 0.99 || s.Delivered > 1.01 {
		t.Errorf("%.4f of what was conditioned was delivered", s.Delivered)
	}
	// One request more is as exact as requests can be.
	if request := 64 * float64(f.Clients) / (f.Supply * f.Time.Seconds()); s.Restless > 1+2*request {
		t.Errorf("a guest that reconnects all the time got %.3f of its share", s.Restless)
	}
}

// hostd killed under guests that are blocked: all go on, and nothing is given
// twice.
func TestKilledUnderBlockedGuests(t *testing.T) {
	r, err := load.Restart{Guests: 100, Supply: 20_000, Away: time.Second}.Measure(rig.Within(t, time.Minute), programs(t).Hostd)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("reads went on: first %v, median %v, last %v after the new daemon was started", r.First, r.Median, r.Last)
	if r.Twice > 0 {
		t.Errorf("%d of %d blocks of 16 bytes were delivered twice", r.Twice, r.Blocks)
	}
	if r.Last > 3*time.Second {
		t.Errorf("the last guest went on after %v", r.Last)
	}
}

// Guests that ask for nothing cost next to nothing.
func TestIdleGuests(t *testing.T) {
	c, err := load.Idle(rig.Within(t, time.Minute), programs(t).Hostd, 2000, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d guests, %d connected: %.1f KiB each, %.3f%% of a core, ready after %v", c.Guests, c.Connected, float64(c.RSS)/1024, 100*c.CPU, c.Start)
	if c.RSS > 20<<10 {
		t.Errorf("%.1f KiB of RSS a guest, want at most 20", float64(c.RSS)/1024)
	}
	if c.Unanswered != nil {
		t.Errorf("an idle guest was not answered when it asked: %v", c.Unanswered)
	}
}

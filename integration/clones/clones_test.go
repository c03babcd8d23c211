//go:build linux

package clones

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	tight = 0                // a spinner without a pause
	slow  = time.Millisecond // one with

	soon   = 500 * time.Millisecond // for how long clones are watched that differ soon
	minute = 75 * time.Second       // Linux reseeds by itself after at most 60 s

	// Clones with guestd differ within differWithin. Where few are looked at, on a machine
	// that may be busy, one may take a second.
	differWithin = 200 * time.Millisecond
	differAtMost = time.Second
)

// alone are the ways of a guest without guestd: until Linux reseeds by itself, or by
// its driver for vmgenid.
func alone(kernel string, watch time.Duration, runs int) []way {
	ways := []way{{name: "nothing", watch: watch, runs: 1}}
	if kernel == generic {
		ways = append(ways, way{name: "vmgenid alone", id: true, watch: soon, runs: runs})
	}
	return ways
}

// fed are the ways of a guest with guestd.
func fed(kernel string, runs int) []way {
	ways := []way{
		{name: "guestd", watch: soon, runs: runs},
		{name: "guestd, pushed to before it went on", paused: true, watch: soon, runs: runs},
	}
	if kernel == generic {
		ways = append(ways,
			way{name: "guestd and vmgenid", id: true, watch: soon, runs: runs},
			way{name: "guestd and vmgenid, pushed to before it went on", id: true, paused: true, watch: soon, runs: runs})
	}
	return ways
}

// state is a guest to be saved, and how its clones go on.
type state struct {
	guest
	ways []way
}

// states are all configurations, or those that are done within a minute.
func states() (all []state) {
	if !*whole {
		return []state{
			{guest{kernel: cloud, cpus: 1, every: slow}, alone(cloud, 2*time.Second, 1)},
			{guest{kernel: generic, cpus: 1, every: tight, guestd: true}, fed(generic, 2)[:2]},
			{guest{kernel: cloud, cpus: 2, every: slow, guestd: true}, fed(cloud, 2)},
		}
	}
	for _, kernel := range []string{cloud, generic} {
		for cpus := 1; cpus <= 2; cpus++ {
			for _, every := range []time.Duration{tight, slow} {
				all = append(all, state{guest{kernel: kernel, cpus: cpus, every: every, guestd: true}, fed(kernel, 10)})
			}
			if kernel == generic {
				all = append(all, state{guest{kernel: kernel, cpus: cpus, every: tight}, alone(kernel, soon, 10)[1:]})
			}
			all = append(all, state{guest{kernel: kernel, cpus: cpus, every: slow}, alone(kernel, minute, 10)})
		}
	}
	return all
}

// TestClones shows for how long two clones of one saved state give equal random
// numbers, in how many calls.
func TestClones(t *testing.T) {
	var rows table
	t.Cleanup(func() { t.Logf("clones of one saved state:\n%s", rows.text()) })
	for _, s := range states() {
		t.Run(s.String(), func(t *testing.T) {
			if *whole && !s.guestd && s.every > 0 {
				t.Parallel() // it waits, and costs next to nothing
			}
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			saved := save(ctx, t, s.guest)
			for _, w := range s.ways {
				runs := make([]Twins, 0, w.runs)
				for range w.runs {
					runs = append(runs, saved.twins(ctx, t, w))
				}
				rows.add(s.guest, w, runs)
				check(t, s.guest, w, runs)
			}
		})
	}
}

// check holds what guestd promises.
func check(t *testing.T, g guest, w way, runs []Twins) {
	t.Helper()
	limit := differWithin
	if !*whole {
		limit = differAtMost
	}
	var differ []time.Duration
	for i, r := range runs {
		differ = append(differ, r.Differ())
		switch {
		case !g.guestd && !w.id && !*whole:
			if !r.Still() {
				t.Errorf("%s, %s: the clones differ after %s, which nothing explains", g, w.name, r.Differ())
			}
		case g.guestd && r.Differ() > limit:
			t.Errorf("%s, %s, run %d: the clones differ after %s, want at most %s", g, w.name, i+1, r.Differ(), limit)
		case g.guestd && w.paused && g.cpus == 1 && r.Equal > 0:
			// With more than one, none is promised: QEMU gives the push to a guest that
			// runs, and its interrupt comes to one processor. Until it has reached the
			// others from there, under emulation for milliseconds, they go on.
			t.Errorf("%s, %s, run %d: %d equal outputs, the last after %s, want none", g, w.name, i+1, r.Equal, r.Differ())
		}
	}
	if m := median(differ); g.guestd && m > differWithin {
		t.Errorf("%s, %s: the clones differ after %s in the median, want at most %s", g, w.name, m, differWithin)
	}
}

// table collects what is printed in the end.
type table struct {
	mu   sync.Mutex
	rows []string
}

func (r *table) add(g guest, w way, runs []Twins) {
	clean, flight, repeated, rate := 0, 0, 0, 0.0
	var equal []int
	var differ []time.Duration
	still := false
	for _, run := range runs {
		if run.Equal == 0 {
			clean++
		}
		equal, differ = append(equal, run.Equal), append(differ, run.Differ())
		flight, repeated = flight+run.Flight, repeated+run.Repeated
		rate += run.Rate(g.cpus) / float64(len(runs))
		still = still || run.Still()
	}
	slices.Sort(equal)
	slices.Sort(differ)
	more := ""
	if still {
		more = ">"
	}
	n := len(runs)
	row := fmt.Sprintf("%s\t%d\t%s\t%s\t%d of %d\t%d\t%d\t%.1f\t%s%.1f\t%.0f\t%d of %d\n", g.kernel, g.cpus, w.name, g.pace(),
		clean, n, equal[n/2], equal[n-1], ms(differ[n/2]), more, ms(differ[n-1]), rate, repeated, flight)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
	fmt.Print(strings.ReplaceAll(row, "\t", "  "))
}

func (r *table) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.rows)
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	fmt.Fprint(w, "kernel\tvCPU\twith\tspinner\tno equal output\tmedian\tmost\tms until they differ, median\tmost\tcalls/s a vCPU\tin flight, equal\n")
	for _, row := range r.rows {
		fmt.Fprint(w, row)
	}
	w.Flush()
	return out.String()
}

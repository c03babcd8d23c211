//go:build linux

package clones

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

const (
	seedRuns     = 20
	seededWithin = 60 * time.Millisecond // from the start of guestd seed, the median
	peakKiB      = 4 << 10               // VmHWM
	wakeUps      = 6                     // context switches of all threads, for each look at the signs
	looksEvery   = time.Second           // as guestd documents it
)

// TestResources shows what guestd takes from a guest: how long a seed takes beside a
// program that does nothing, how much memory, and how often it wakes while there is
// nothing to do.
func TestResources(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := rig.Dir(t)
	s := &saved{guest: guest{kernel: cloud, cpus: 1, guestd: true}, dir: dir, image: image(t, cloud)}
	rig.Hostd(t, builds(t).Hostd, dir, s.hosts())
	vm := rig.BootGuest(t, s.config(original))

	var seeds, ends, floors []time.Duration
	for range seedRuns {
		floors = append(floors, run(ctx, t, vm, "nothing").Took)
		exit := run(ctx, t, vm, "guestd", "seed", "--timeout", "2s")
		seeds, ends = append(seeds, seededAt(ctx, t, vm)-exit.Began), append(ends, exit.Took)
	}
	seed, floor := median(seeds), median(floors)
	t.Logf("guestd seed, the median of %d: seeded %.0f ms after its start (%.0f to %.0f), ended after %.1f ms; a program that does nothing ends after %.1f ms",
		seedRuns, ms(seed), ms(slices.Min(seeds)), ms(slices.Max(seeds)), ms(median(ends)), ms(floor))
	// On a busy host both are slow.
	if limit := max(seededWithin, 3*floor); seed > limit {
		t.Errorf("guestd seed had seeded after %s, the median of %d, want at most %s", seed, seedRuns, limit)
	}

	guestd, err := vm.Start(ctx, "guestd", "--interval", "10m")
	if err != nil {
		t.Fatal(err)
	}
	rig.Pause(ctx, t, 4*time.Second) // it seeds, and what the runtime does in the end is over
	idle := 10 * time.Second
	if *whole {
		idle = time.Minute
	}
	before := look(ctx, t, guestd)
	rig.Pause(ctx, t, idle)
	after := look(ctx, t, guestd)
	n, most := after.Switches-before.Switches, int(wakeUps*idle/looksEvery)
	t.Logf("guestd: VmHWM %d KiB, VmRSS %d KiB, %d threads, %d context switches in %s", after.PeakKiB, after.NowKiB, after.Threads, n, idle)
	if after.PeakKiB > peakKiB {
		t.Errorf("guestd peaked at %d KiB, want at most %d", after.PeakKiB, peakKiB)
	}
	if n > most {
		t.Errorf("guestd was switched to %d times in %s with nothing to do, want at most %d: it looks once in %s", n, idle, most, looksEvery)
	}
	if *whole {
		rig.Tool(t, "strace", "strace")
		tracer, err := vm.Start(ctx, "strace", "-f", "-c", "-p", strconv.Itoa(guestd.PID))
		if err != nil {
			t.Fatal(err)
		}
		rig.Pause(ctx, t, idle)
		exit, err := tracer.Stop(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("its system calls in another %s:\n%s", idle, exit.Stderr)
	}
}

func run(ctx context.Context, t *testing.T, vm *rig.Guest, args ...string) job.Exit {
	t.Helper()
	exit, err := vm.Run(ctx, 10*time.Second, args...)
	if err != nil || exit.Code != 0 {
		t.Fatalf("%v: %+v, %v", args, exit, err)
	}
	return exit
}

// seededAt is when the kernel had reseeded, as guestd recorded it: to the millisecond
// below, by CLOCK_BOOTTIME.
func seededAt(ctx context.Context, t *testing.T, vm *rig.Guest) time.Duration {
	t.Helper()
	var record struct {
		Uptime int64 `json:"seeded_uptime_ms"`
	}
	text := run(ctx, t, vm, "guestd", "status", "--json").Stdout
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		t.Fatalf("guestd status: %v\n%s", err, text)
	}
	return time.Duration(record.Uptime) * time.Millisecond
}

func look(ctx context.Context, t *testing.T, p *rig.Program) job.Memory {
	t.Helper()
	m, err := p.Memory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

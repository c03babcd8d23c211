//go:build linux

// Command bench puts a real hostd under load and prints what the README says of
// it, with what is wanted in brackets. It takes about five minutes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"headgate/integration/load"
	"headgate/integration/rig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := rig.BuildPrograms(ctx, dir)
	if err != nil {
		return err
	}
	for _, f := range []func(context.Context, string) error{fairness, restarts, idle} {
		if err := f(ctx, programs.Hostd); err != nil {
			return err
		}
	}
	return nil
}

const (
	crowd   = 1000
	devices = 50
	supply  = 20_000 // conditioned bytes a second
)

func fairness(ctx context.Context, hostd string) error {
	for _, f := range []load.Fairness{{Clients: crowd}, {Clients: devices, Devices: true}} {
		for _, weights := range [][]int{{1}, {1, 2, 4}} {
			f.Weights, f.Supply, f.Newcomers, f.Time = weights, supply, 200, time.Minute
			if err := shares(ctx, hostd, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func shares(ctx context.Context, hostd string, f load.Fairness) error {
	what := "EGD clients"
	if f.Devices {
		what = "vhost-user devices, their rings driven by this program"
	}
	fmt.Printf("\n%d greedy %s, 64-byte requests, %d kB/s, weights %v, %.0f s\n", f.Clients, what, supply/1000, f.Weights, f.Time.Seconds())
	s, err := f.Measure(ctx, hostd)
	if err != nil {
		return err
	}
	fmt.Printf("  Jain's index, bytes for weight        %.5f (wanted: 0.999 where all weights are one)\n", s.Jain)
	for _, w := range f.Weights {
		fmt.Printf("  class of weight %d got of its share    %.4f (0.99 to 1.01)\n", w, s.Classes[w])
	}
	fmt.Printf("  conditioned                           %d bytes\n", s.Conditioned)
	fmt.Printf("  of those delivered                    %.4f (0.99)\n", s.Delivered)
	fmt.Printf("  one that reconnects all the time got  %.3f of its share (1, and a request of about %.0f more or less)\n",
		s.Restless, supply*f.Time.Seconds()/64/float64(f.Clients))
	fmt.Printf("  200 newcomers' first 32 bytes         %s (99th percentile 10ms)\n", times(s.Newcomers))
	fmt.Printf("  the same from a fixed buffer          %s\n", times(s.Floor))
	return nil
}

func times(t load.Times) string {
	return fmt.Sprintf("median %v, 99th percentile %v, last %v", t.Percentile(0.5).Round(time.Microsecond),
		t.Percentile(0.99).Round(time.Microsecond), t.Percentile(1).Round(time.Microsecond))
}

func restarts(ctx context.Context, hostd string) error {
	for _, away := range []time.Duration{time.Second, 10 * time.Second} {
		r, err := load.Restart{Guests: crowd, Supply: supply, Away: away}.Measure(ctx, hostd)
		if err != nil {
			return err
		}
		fmt.Printf("\nkill -9 under %d blocked guests on %d kB/s, started again after %v\n", crowd, supply/1000, away)
		fmt.Printf("  reads went on: first %v, median %v, last %v after the new daemon was started\n",
			r.First.Round(time.Millisecond), r.Median.Round(time.Millisecond), r.Last.Round(time.Millisecond))
		fmt.Printf("  16-byte blocks delivered twice: %d (0) of %d\n", r.Twice, r.Blocks)
	}
	return nil
}

func idle(ctx context.Context, hostd string) error {
	c, err := load.Idle(ctx, hostd, 10_000, 20*time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d idle guests, %d of them connected (as far as the limit on open files goes)\n", c.Guests, c.Connected)
	fmt.Printf("  RSS a guest      %.1f KiB (at most 20)\n", float64(c.RSS)/1024)
	fmt.Printf("  CPU over %v     %.3f%% of a core (under 0.2)\n", c.Time, 100*c.CPU)
	fmt.Printf("  ready after      %v\n", c.Start.Round(time.Millisecond))
	return c.Unanswered
}

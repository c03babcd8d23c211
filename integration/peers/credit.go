//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"headgate/integration/peers/trace"
	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

// credit is what a peer did in a guest that nobody had seeded.
type credit struct {
	trace trace.Summary
	ready time.Duration // from the peer's start until the generator was ready; 0: not
}

// readyPatience is how long a fresh guest is watched. With nothing at all its kernel
// is not ready by then.
const readyPatience = 12 * time.Second

// afterReady is for what a peer does when the generator is ready.
const afterReady = time.Second

func (c credit) String() string {
	ready := fmt.Sprintf("not ready after %v", readyPatience)
	if c.ready > 0 {
		ready = fmt.Sprintf("ready after %v", c.ready.Round(10*time.Millisecond))
	}
	return fmt.Sprintf("%s, %d RNDADDENTROPY, of them %d with %d bits, %d RNDRESEEDCRNG, of them %d too early",
		ready, c.trace.Adds, c.trace.Credits, c.trace.Bits, c.trace.Reseeds, c.trace.Refused)
}

// credit boots a guest and runs the peer in it.
func (b *bench) credit(ctx context.Context, i int, p peer) (credit, error) {
	g, err := rig.Boot(ctx, b.config(i, p, asFresh))
	if err != nil {
		return credit{}, err
	}
	defer g.Close()
	if err := begin(ctx, g, p, true); err != nil {
		return credit{}, err
	}
	var c credit
	if _, err := g.AwaitLog(ctx, job.CRNGReady, readyPatience); err == nil {
		if err := rig.Sleep(ctx, afterReady); err != nil {
			return credit{}, err
		}
		if c.ready, err = readyAfter(ctx, g.Init); err != nil {
			return credit{}, err
		}
	}
	c.trace, err = traced(ctx, g.Init, p)
	return c, err
}

// readyAfter is from the start of strace until the generator was ready, by the
// kernel's clock.
func readyAfter(ctx context.Context, g *rig.Init) (time.Duration, error) {
	records, err := g.KernelLog(ctx, job.Marker+"start strace", job.CRNGReady)
	if err != nil {
		return 0, err
	}
	var started, ready time.Duration
	for _, r := range records {
		if strings.Contains(r.Text, job.CRNGReady) {
			ready = r.At
		} else {
			started = r.At
		}
	}
	if ready <= started {
		return 0, fmt.Errorf("%s: the generator was ready before the peer was started", g.Name)
	}
	return ready - started, nil
}

// traced is what the peer did until now.
func traced(ctx context.Context, g *rig.Init, p peer) (trace.Summary, error) {
	var s trace.Summary
	if p.command == nil {
		return s, nil
	}
	out, err := ran(g.Run(ctx, 20*time.Second, "inside", "trace", traceFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

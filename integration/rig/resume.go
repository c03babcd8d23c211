//go:build linux

package rig

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// savePatience bounds a save, and how long a saved state may take to be taken up: it
// takes less than a second on a quiet machine.
const savePatience = 20 * time.Second

// Save writes the running guest's state into a file and ends its QEMU.
func (g *Guest) Save(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	if err := g.save(ctx, file); err != nil {
		return fmt.Errorf("save %s: %w", g.Name, err)
	}
	return nil
}

func (g *Guest) save(ctx context.Context, file string) error {
	// A guest that was paused before would be resumed paused. As fast as it can:
	// QEMU's default is 128 MiB/s.
	if err := g.monitor.execute(ctx, "migrate-set-parameters", map[string]any{"max-bandwidth": 4 << 30}, nil); err != nil {
		return err
	}
	if err := g.monitor.execute(ctx, "migrate", map[string]any{"uri": "exec:cat > " + quoted(file)}, nil); err != nil {
		return err
	}
	if err := g.monitor.migrated(ctx); err != nil {
		return err
	}
	_ = g.monitor.execute(ctx, "quit", nil, nil) // it may go before it has answered
	return g.qemu.wait(offPatience)
}

// Continue lets a guest go on that was resumed paused.
func (g *Guest) Continue(ctx context.Context) error {
	return g.monitor.execute(ctx, "cont", nil, nil)
}

// Resume goes on from a file of Save's, in a new QEMU, with the configuration that the
// saved guest had but for names and paths. It returns when the guest runs or, where
// it shall stay paused, could run. Any number of guests can go on from one file. What
// the saved guest was doing goes on: Program.In is a program that was started before.
func Resume(ctx context.Context, c Config, file string, paused bool) (*Guest, error) {
	begun := time.Now()
	more := []string{"-incoming", "exec:cat " + quoted(file)}
	if paused {
		more = append(more, "-S")
	}
	g, err := start(ctx, c, more)
	if err != nil {
		return nil, fmt.Errorf("resume %s: %w", c.Name, err)
	}
	within, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	err = g.monitor.await(within, "query-status", func(status string) (bool, error) {
		return status == "running" || status == "paused" && paused, nil
	})
	if err != nil {
		g.end()
		return nil, fmt.Errorf("resume %s: %w; QEMU said:\n%s", c.Name, err, Tail(g.qemu.log, 10))
	}
	g.Booted = time.Since(begun)
	return g, nil
}

// quoted is a word for the shell that QEMU's exec: runs.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

//go:build linux

package rig

import (
	"context"
	"fmt"
	"time"
)

// Ask runs one command of QEMU's machine protocol; into, unless it is nil, gets what it
// returns.
func (g *Guest) Ask(ctx context.Context, command string, arguments map[string]any, into any) error {
	ctx, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	if err := g.monitor.execute(ctx, command, arguments, into); err != nil {
		return fmt.Errorf("%s: %w", g.Name, err)
	}
	return nil
}

// Reset is the reset button: the machine boots again in the same QEMU. It returns when
// its init answers. What ran in it has ended without a word.
func (g *Guest) Reset(ctx context.Context) error {
	begun := time.Now()
	// Otherwise -no-reboot would have QEMU end.
	if err := g.Ask(ctx, "set-action", map[string]any{"reboot": "reset"}, nil); err != nil {
		return err
	}
	g.link.register(0)
	if err := g.Ask(ctx, "system_reset", nil, nil); err != nil {
		return err
	}
	if err := hello(ctx, g.link, bootPatience); err != nil {
		return fmt.Errorf("reset %s: %w; the console:\n%s", g.Name, err, Tail(g.Log, 20))
	}
	g.Booted = time.Since(begun)
	return nil
}

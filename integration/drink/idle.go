//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

const (
	settled  = 3 * time.Second  // until a hostd is done with what it does at its start
	patience = 20 * time.Second // for its meter to be attached
)

// modes are the values of "meter" that are compared.
var modes = []string{"on", "off"}

// settings is where the guest has the configuration of one.
func settings(mode string) string { return "/etc/headgate/" + mode + ".toml" }

func controlOf(mode string) string { return "/run/" + mode + ".sock" }

func configuration(mode string) string {
	return fmt.Sprintf("control = %q\nstate = %q\nmeter = %q\n%s\n[libvirt]\nfollow = false\n",
		controlOf(mode), "/run/"+mode+".json", mode, rig.Sound)
}

// idles prints what a hostd uses of the processor that nobody asks anything, with its meter
// and without, both at the same time. The meter's own process waits in a read(2) until hostd
// asks it, and is not looked at.
func idles(ctx context.Context, g *rig.Guest, over time.Duration) error {
	daemons := make([]*rig.Program, len(modes))
	for i, mode := range modes {
		var err error
		if daemons[i], err = g.Start(ctx, "hostd", "serve", "--config", settings(mode)); err != nil {
			return err
		}
		if err := up(ctx, g, mode); err != nil {
			return err
		}
	}
	wait(ctx, settled)
	before, err := looks(ctx, daemons)
	if err != nil {
		return err
	}
	wait(ctx, over)
	after, err := looks(ctx, daemons)
	if err != nil {
		return err
	}
	fmt.Printf("\na hostd that nobody asks, both at the same time in the emulated guest, over %v\n", over)
	for i, mode := range modes {
		a, b := before[i], after[i]
		fmt.Printf("  meter = %-7s %.3f%% of a core, %d context switches, of all its threads; not its meter's process\n", "\""+mode+"\"",
			100*(b.Spent-a.Spent).Seconds()/(b.Uptime-a.Uptime).Seconds(), b.Switches-a.Switches)
	}
	return ctx.Err()
}

// up waits until a hostd's meter is as it is to be.
func up(ctx context.Context, g *rig.Guest, mode string) error {
	for over := time.Now().Add(patience); ; {
		exit, err := g.Run(ctx, patience, "hostd", "status", "--json", "--control", controlOf(mode))
		if err != nil {
			return err
		}
		var s control.Status
		// Until it listens there is nothing to read.
		if err := json.Unmarshal([]byte(exit.Stdout), &s); err == nil && s.Meter.Mode == mode && s.Meter.Up == (mode == "on") {
			return nil
		}
		if time.Now().After(over) || ctx.Err() != nil {
			return fmt.Errorf("a hostd with meter = %q: %+v, %s", mode, s.Meter, exit.Stderr)
		}
	}
}

// looks looks at each.
func looks(ctx context.Context, daemons []*rig.Program) ([]job.Memory, error) {
	all := make([]job.Memory, len(daemons))
	for i, d := range daemons {
		var err error
		if all[i], err = d.Memory(ctx); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

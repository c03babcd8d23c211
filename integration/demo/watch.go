//go:build linux

package main

import (
	"context"
	"time"

	"headgate/integration/rig"
)

// lookEvery is how often hostd is asked for its status.
const lookEvery = 250 * time.Millisecond

// watch brings hostd's status into the scene until ctx ends.
func watch(ctx context.Context, s *scene, d *rig.Daemon) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if status, err := d.Status(ctx); err == nil {
			s.saw(status, time.Now())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

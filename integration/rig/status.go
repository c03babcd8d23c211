//go:build linux

package rig

import (
	"context"
	"fmt"

	"headgate/hostd/control"
)

// Status asks the daemon for its status, over its control socket.
func (d *Daemon) Status(ctx context.Context) (control.Status, error) {
	client := control.Dial(d.Control)
	defer client.Close() // the daemon may be killed before the next call
	s, err := client.Status(ctx)
	if err != nil {
		return s, fmt.Errorf("status of hostd: %w", err)
	}
	return s, nil
}

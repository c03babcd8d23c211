//go:build linux

package integration

import (
	"context"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// lookEvery is how often a test looks at the status while it waits.
const lookEvery = 20 * time.Millisecond

// awaitStatus looks at hostd's status until it is as wanted.
func awaitStatus(ctx context.Context, t *testing.T, d *rig.Daemon, what string, is func(control.Status) bool) control.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var last control.Status
	for {
		s, err := d.Status(ctx)
		if err == nil {
			if is(s) {
				return s
			}
			last = s
		}
		if sleep(ctx, lookEvery) != nil {
			t.Fatalf("not seen in 30 s: %s; the last status: %+v, %v", what, last, err)
		}
	}
}

// awaitGuest waits until a guest's status is as wanted.
func awaitGuest(ctx context.Context, t *testing.T, d *rig.Daemon, name, what string, is func(control.GuestStatus) bool) control.GuestStatus {
	t.Helper()
	s := awaitStatus(ctx, t, d, what, func(s control.Status) bool {
		g, ok := guestOf(s, name)
		return ok && is(g)
	})
	g, _ := guestOf(s, name)
	return g
}

func guestOf(s control.Status, name string) (control.GuestStatus, bool) {
	for _, g := range s.Guests {
		if g.Name == name {
			return g, true
		}
	}
	return control.GuestStatus{}, false
}

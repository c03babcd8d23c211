//go:build linux

package rig

import (
	"context"
	"testing"
	"time"

	"headgate/hostd/control"
)

// lookEvery is how often Await looks, statusPatience for how long.
const (
	lookEvery      = 20 * time.Millisecond
	statusPatience = 30 * time.Second
)

// Await looks at the daemon's status until it is as wanted.
func (d *Daemon) Await(ctx context.Context, t testing.TB, what string, is func(control.Status) bool) control.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
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
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			t.Fatalf("not seen in %s: %s; the last status: %+v, %v", statusPatience, what, last, err)
		}
	}
}

// AwaitGuest waits until a guest's status is as wanted.
func (d *Daemon) AwaitGuest(ctx context.Context, t testing.TB, name, what string, is func(control.GuestStatus) bool) control.GuestStatus {
	t.Helper()
	s := d.Await(ctx, t, what, func(s control.Status) bool {
		g, ok := GuestOf(s, name)
		return ok && is(g)
	})
	g, _ := GuestOf(s, name)
	return g
}

// GuestOf finds a guest in a status.
func GuestOf(s control.Status, name string) (control.GuestStatus, bool) {
	for _, g := range s.Guests {
		if g.Name == name {
			return g, true
		}
	}
	return control.GuestStatus{}, false
}

// Given is what each of these guests has been given, and what was conditioned, in bytes.
func Given(s control.Status, names ...string) (given []float64, conditioned float64) {
	for _, name := range names {
		g, _ := GuestOf(s, name)
		given = append(given, float64(g.Bytes))
	}
	return given, float64(s.Reservoir.ConditionedBytes)
}

//go:build linux

package sources

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"headgate/backends"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/integration/rig"
)

// sourceOf finds a source in a status.
func sourceOf(s control.Status, name string) backends.Status {
	for _, source := range s.Sources {
		if source.Name == name {
			return source
		}
	}
	return backends.Status{}
}

// awaitSource waits until a source's status is as wanted.
func awaitSource(ctx context.Context, t *testing.T, d *rig.Daemon, name, what string, is func(backends.Status) bool) backends.Status {
	t.Helper()
	s := d.Await(ctx, t, name+": "+what, func(s control.Status) bool { return is(sourceOf(s, name)) })
	return sourceOf(s, name)
}

// state is that a source is in one of these.
func state(states ...string) func(backends.Status) bool {
	return func(s backends.Status) bool {
		for _, state := range states {
			if s.State == state {
				return true
			}
		}
		return false
	}
}

// ask runs a client command of the daemon's and returns what it prints.
func ask(ctx context.Context, t *testing.T, d *rig.Daemon, args ...string) string {
	t.Helper()
	args = append(args, "--control", d.Control)
	out, err := exec.CommandContext(ctx, hostd(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("hostd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// wantEvent fails the test unless such an event is among those.
func wantEvent(t *testing.T, list []events.Event, kind, subject string) {
	t.Helper()
	for _, e := range list {
		if e.Kind == kind && e.Subject == subject {
			t.Logf("logged: %s %s: %s", e.Kind, e.Subject, e.Message)
			return
		}
	}
	t.Errorf("no event %s of %s among %+v", kind, subject, list)
}

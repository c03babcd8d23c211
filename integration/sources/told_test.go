//go:build linux

package sources

import (
	"context"
	"io"
	"net"
	"net/http"
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

// eventsSince returns what was logged after the event numbered since, and the number
// of the last.
func eventsSince(ctx context.Context, t *testing.T, d *rig.Daemon, since uint64) (list []events.Event, last uint64) {
	t.Helper()
	client := control.Dial(d.Control)
	defer client.Close()
	last = since
	err := client.Events(ctx, since, false, func(e events.Event) error {
		list, last = append(list, e), e.Seq
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, last
}

// metrics are the lines that begin so.
func metrics(ctx context.Context, t *testing.T, d *rig.Daemon, prefix string) (lines []string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.Control)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hostd/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
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

// lastEvent is the number of the last event.
func lastEvent(ctx context.Context, t *testing.T, d *rig.Daemon) uint64 {
	t.Helper()
	_, last := eventsSince(ctx, t, d, 0)
	return last
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

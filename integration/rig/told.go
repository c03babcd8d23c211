//go:build linux

package rig

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/hostd/events"
)

// Events are the daemon's after the one numbered since, oldest first.
func (d *Daemon) Events(ctx context.Context, t testing.TB, since uint64) (all []events.Event) {
	t.Helper()
	client := control.Dial(d.Control)
	defer client.Close()
	err := client.Events(ctx, since, false, func(e events.Event) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// EventsOf are those of one kind.
func (d *Daemon) EventsOf(ctx context.Context, t testing.TB, kind string) (all []events.Event) {
	t.Helper()
	for _, e := range d.Events(ctx, t, 0) {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// LastEvent is the number of the daemon's last event.
func (d *Daemon) LastEvent(ctx context.Context, t testing.TB) (last uint64) {
	t.Helper()
	for _, e := range d.Events(ctx, t, 0) {
		last = e.Seq
	}
	return last
}

// Metrics are the daemon's that begin so: what is before the value, and the value.
func (d *Daemon) Metrics(ctx context.Context, t testing.TB, prefix string) map[string]string {
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
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, prefix) && !strings.HasPrefix(line, "#") {
			values[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return values
}

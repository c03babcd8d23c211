//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"headgate/hostd/control"
)

// Status asks the daemon for its status, over its control socket and as any
// other program would.
func (d *Daemon) Status(ctx context.Context) (control.Status, error) {
	var s control.Status
	body, err := d.get(ctx, "/v1/status")
	if err != nil {
		return s, fmt.Errorf("status of hostd: %w", err)
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("status of hostd: %w", err)
	}
	return s, nil
}

// get fetches a path of the control socket's HTTP.
func (d *Daemon) get(ctx context.Context, path string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", d.Control)
		},
	}}
	// The host in the address is only what HTTP wants one to say.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hostd"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.200s", path, answer.Status, body)
	}
	return body, nil
}

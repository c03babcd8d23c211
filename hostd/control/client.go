package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"headgate/kvm/libvirt"
)

// maxAnswer bounds what a client takes, in bytes: a status with ten thousand
// guests has about a tenth of it.
const maxAnswer = 64 << 20

// Client asks a running daemon. It may be used from many goroutines.
type Client struct {
	path string
	http *http.Client
}

// Dial makes a client for the socket at path. It connects with the first request.
func Dial(path string) *Client {
	var d net.Dialer
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
	}}}
}

// Close gives up the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is the daemon's refusal. It is ErrNotFound, ErrExists or ErrInvalid to
// errors.Is where its status is theirs.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Is lets errors.Is find the reason.
func (e *Error) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusConflict:
		return target == ErrExists
	case http.StatusBadRequest:
		return target == ErrInvalid
	}
	return false
}

// Status asks for the whole status.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Guests asks for all guests, by name.
func (c *Client) Guests(ctx context.Context) (g []GuestStatus, err error) {
	return g, c.call(ctx, http.MethodGet, "/v1/guests", nil, &g)
}

// Sources asks for all sources.
func (c *Client) Sources(ctx context.Context) (s []SourceStatus, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/sources", nil, &s)
}

// Guest asks for one guest.
func (c *Client) Guest(ctx context.Context, name string) (g GuestStatus, err error) {
	return g, c.call(ctx, http.MethodGet, guestPath(name), nil, &g)
}

// AddGuest adds a guest and gives it as it is then.
func (c *Client) AddGuest(ctx context.Context, spec GuestSpec) (g GuestStatus, err error) {
	return g, c.call(ctx, http.MethodPost, "/v1/guests", spec, &g)
}

// SetGuest changes a guest and gives it as it is then.
func (c *Client) SetGuest(ctx context.Context, name string, patch GuestPatch) (g GuestStatus, err error) {
	return g, c.call(ctx, http.MethodPatch, guestPath(name), patch, &g)
}

// RemoveGuest removes a guest and its sockets.
func (c *Client) RemoveGuest(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, guestPath(name), nil, nil)
}

// TestSource has n raw samples of a source judged; n is MinTest to MaxTest.
func (c *Client) TestSource(ctx context.Context, name string, n int) (t SourceTest, err error) {
	p := fmt.Sprintf("/v1/sources/%s/test?n=%d", url.PathEscape(name), n)
	return t, c.call(ctx, http.MethodPost, p, nil, &t)
}

// Reload has the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/reload", nil, nil)
}

// Hook tells what happens to a domain, as libvirt.ParseDomain gives it. Devices that
// are not ours are left out.
func (c *Client) Hook(ctx context.Context, call HookCall) error {
	call = call.bounded()
	if call.At == 0 {
		call.At = libvirt.Clock()
	}
	return c.call(ctx, http.MethodPost, "/v1/libvirt/hook", call, nil)
}

func guestPath(name string) string { return "/v1/guests/" + url.PathEscape(name) }

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var sent io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(data)
	}
	r, err := c.send(ctx, method, path, sent)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("answer of hostd at %s: %w", c.path, err)
	}
	return nil
}

// send gives an answer of success, whose body the caller must close.
func (c *Client) send(ctx context.Context, method, path string, sent io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://hostd"+path, sent)
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if r.StatusCode < 300 {
		return r, nil
	}
	defer r.Body.Close()
	return nil, refused(r)
}

// refused reads what the daemon says against a request.
func refused(r *http.Response) *Error {
	said := failure{Error: r.Status}
	_ = json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&said) // else its status must do
	return &Error{Status: r.StatusCode, Message: said.Error}
}

// unreachable says what to do about a daemon that does not answer.
func (c *Client) unreachable(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no hostd answers at %s: start it with \"hostd serve\" or \"systemctl start hostd\", or name its socket with --control", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control socket %s: permission denied: ask as root, or as the user that runs hostd", c.path)
	}
	return fmt.Errorf("control socket %s: %w", c.path, err)
}

// oneLine puts an error on one line, as a header field must be.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"headgate/hostd/events"
)

// Events calls f for each event after the one numbered since, and if follow is
// set goes on with those that come, until ctx is done, f returns an error or
// hostd stops (io.ErrUnexpectedEOF).
func (c *Client) Events(ctx context.Context, since uint64, follow bool, f func(events.Event) error) error {
	p := fmt.Sprintf("/v1/events?since=%d", since)
	if follow {
		p += "&follow=1"
	}
	r, err := c.send(ctx, http.MethodGet, p, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	for lines := json.NewDecoder(r.Body); ; {
		var e events.Event
		switch err := lines.Decode(&e); {
		case errors.Is(err, io.EOF) && follow:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// CaptureSource writes n raw samples of a source to w as they come. They are
// the source's own output, before conditioning, and never reach a guest.
func (c *Client) CaptureSource(ctx context.Context, name string, n int, w io.Writer) error {
	return c.capture(ctx, fmt.Sprintf("/v1/sources/%s/capture?n=%d", url.PathEscape(name), n), n, w)
}

// CaptureRestarts writes the first raw samples of each of many restarts of a source to
// w, row after row. The source gives nothing else meanwhile.
func (c *Client) CaptureRestarts(ctx context.Context, name string, restarts, samples int, w io.Writer) error {
	p := fmt.Sprintf("/v1/sources/%s/capture?restarts=%d&n=%d", url.PathEscape(name), restarts, samples)
	return c.capture(ctx, p, restarts*samples, w)
}

func (c *Client) capture(ctx context.Context, path string, n int, w io.Writer) error {
	r, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	got, err := io.Copy(w, io.LimitReader(r.Body, int64(n)+1))
	if err != nil {
		return err
	}
	if why := r.Trailer.Get(errorTrailer); why != "" {
		return errors.New(why)
	}
	if got != int64(n) {
		return fmt.Errorf("hostd gave %d bytes instead of %d", got, n)
	}
	return nil
}

package control

import (
	"context"
	"net/http"
	"slices"
)

// Push is what became of fresh bytes for a guest, pipe by pipe.
type Push struct {
	Guest string     `json:"guest"`
	Pipes []PipePush `json:"pipes"`
}

// PipePush is what became of them on one pipe.
type PipePush struct {
	Kind   string     `json:"kind"`
	Path   string     `json:"path"`
	Result PushResult `json:"result"`
}

// PushResult is what became of a push.
type PushResult string

// What can become of a push.
const (
	PushSent  PushResult = "sent"            // it is on its way to guestd, or waits in the port of a paused guest
	PushRung  PushResult = "rung"            // guestd, which is not always connected, is told to fetch it
	PushLater PushResult = "next_connection" // nobody is connected: the next connection begins with one
	PushNever PushResult = "not_guestd"      // guestd is not at the end of such a pipe
)

// Sent says whether guestd is on any pipe about to have it.
func (p Push) Sent() bool {
	return slices.ContainsFunc(p.Pipes, func(p PipePush) bool { return p.Result == PushSent || p.Result == PushRung })
}

// PushGuest has fresh bytes pushed to a guest's guestd.
func (c *Client) PushGuest(ctx context.Context, name string) (p Push, err error) {
	return p, c.call(ctx, http.MethodPost, guestPath(name)+"/push", nil, &p)
}

func (a api) pushGuest(w http.ResponseWriter, r *http.Request) {
	p, err := a.daemon.PushGuest(r.PathValue("name"))
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, p)
}

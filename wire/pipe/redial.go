package pipe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Pauses before the next try to connect. Each is twice as long as the one before.
const (
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// Redial connects to a unix socket where somebody else listens, again and again.
type Redial struct {
	Path   string
	Dial   func(ctx context.Context, path string) (net.Conn, error) // nil: as net.Dialer does
	Cure   func(error) string                                       // what to do about not being able to connect; "": nothing is known
	Failed func(err error, why string)                              // told each time that it cannot, and what Trouble says of it; nil: nobody is

	trouble atomic.Pointer[string] // nil: it is connected, or Run has not begun
}

// Trouble says why it is not connected; "": it is.
func (r *Redial) Trouble() string {
	if why := r.trouble.Load(); why != nil {
		return *why
	}
	return ""
}

// Run connects until ctx is done, and has serve serve each connection, one at a time.
// serve closes it, ends with ctx, and says why it is not connected now. What was not
// served for long is not connected to again as fast as it can be: neither one that
// hangs up at once, nor one that has to be hung up on.
func (r *Redial) Run(ctx context.Context, serve func(*net.UnixConn) string) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		began := time.Now()
		if conn := r.dial(ctx); conn != nil {
			r.say(serve(conn))
			if time.Since(began) > maxPause {
				pause = minPause
			}
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// dial connects; nil: Trouble says why not.
func (r *Redial) dial(ctx context.Context) *net.UnixConn {
	dial := r.Dial
	if dial == nil {
		dial = func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{Timeout: maxPause}).DialContext(ctx, "unix", path)
		}
	}
	conn, err := dial(ctx, r.Path)
	if err == nil {
		r.trouble.Store(nil)
		return conn.(*net.UnixConn)
	}
	why := r.explain(err)
	r.say(why)
	if r.Failed != nil && ctx.Err() == nil {
		r.Failed(err, why)
	}
	return nil
}

func (r *Redial) say(why string) { r.trouble.Store(&why) }

// explain says why the socket cannot be connected to, and what to do about it.
func (r *Redial) explain(err error) string {
	why := err
	var errno syscall.Errno
	if errors.As(err, &errno) {
		why = errno // package net writes the address around it
	}
	text := fmt.Sprintf("connect to %s: %v", r.Path, why)
	if r.Cure == nil {
		return text
	}
	if cure := r.Cure(err); cure != "" {
		text += ": " + cure
	}
	return text
}

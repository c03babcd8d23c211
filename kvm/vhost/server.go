package vhost

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"headgate/wire/pipe"
)

// Server is one guest's entropy device, over all connections of its front end.
type Server struct {
	Tap   pipe.Tap
	Count *Counters // nil: not counted
}

// Counters count what was done, over all connections.
type Counters struct {
	Requests atomic.Uint64 // answered
	Bytes    atomic.Uint64 // that went into the guest's memory
}

// Serve serves one front end until it has gone, and then returns nil. Else it returns
// why it stopped: what the front end or the guest did, net.ErrClosed, os.ErrClosed for
// the tap, or the cause of ctx's end. It has closed conn by then, unmapped the guest's
// memory, closed what descriptors it had, and left no goroutine.
func (s *Server) Serve(ctx context.Context, c *net.UnixConn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := newDevice(ctx, s, cancel)
	var hungUp sync.WaitGroup
	hungUp.Add(1)
	context.AfterFunc(ctx, func() {
		defer hungUp.Done()
		_ = c.Close() // it is over: nobody could do anything about an error
	})
	cn := newConn(c)
	cancel(d.attend(cn))
	hungUp.Wait()
	cn.discard()
	d.close()
	if err := context.Cause(ctx); !errors.Is(err, errGone) {
		return err
	}
	return nil
}

var errGone = errors.New("front end gone")

// broken sorts the errors of a connection: a front end that ends is gone, in the
// middle of a message, too.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return errGone
	}
	return err
}

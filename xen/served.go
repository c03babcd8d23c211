package xen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"headgate/wire/feed"
	"headgate/wire/feed/host"
	"headgate/wire/pipe"
)

// Options of a pipe.
type Options struct {
	Tap    pipe.Tap
	Notify func(pipe.Event) // must not block; may be nil
	Bell   func(uint16)     // a Ring's: has guestd of a domain open a session; must not block; may be nil
}

// served is what a Ring and a Channel have in common: both speak feed over one
// connection at a time, however it came about.
type served struct {
	tap      pipe.Tap
	notify   func(pipe.Event)
	server   host.Server
	counters host.Counters

	connected                     atomic.Bool
	connections, refused, corrupt atomic.Uint64
}

func (s *served) init(o Options) {
	s.tap, s.notify = o.Tap, o.Notify
	if s.notify == nil {
		s.notify = func(pipe.Event) {}
	}
	s.server = host.Server{
		Tap:       o.Tap,
		PushBytes: pipe.Seed,
		Count:     &s.counters,
		Report:    func(r feed.Report) { s.notify(pipe.Event{Kind: pipe.Reported, Report: r}) },
	}
}

// attend serves a guest that has come, which has had nothing yet, until its connection
// or ctx ends, and tells of both.
func (s *served) attend(ctx context.Context, conn io.ReadWriteCloser, peer fmt.Stringer) {
	s.notify(pipe.Event{Kind: pipe.Connected, Peer: peer})
	s.tap.Fresh()
	e := pipe.Event{Kind: pipe.Disconnected, Peer: peer}
	if e.Err = s.serve(ctx, conn); e.Err != nil {
		e.Kind = pipe.Broken
	}
	s.notify(e)
}

// serve serves one connection until it or ctx ends, and closes it. An error says that
// its guest broke it.
func (s *served) serve(ctx context.Context, conn io.ReadWriteCloser) error {
	s.connections.Add(1)
	s.connected.Store(true)
	err := s.server.Serve(ctx, newThrift(conn))
	s.connected.Store(false)
	if err == nil || ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
		return nil
	}
	s.corrupt.Add(1)
	return err
}

// Push sends the guest fresh bytes, if it is connected, and says whether it is.
func (s *served) Push() bool { return s.server.Push() }

// Stats is a snapshot.
func (s *served) Stats() pipe.Stats {
	st := pipe.Stats{
		Connected:   s.connected.Load(),
		Connections: s.connections.Load(),
		Refused:     s.refused.Load(),
		Errors:      s.corrupt.Load(),
	}
	s.counters.Tell(&st)
	return st
}

package host

import (
	"cmp"
	"context"
	"io"
	"sync"
	"sync/atomic"

	"headgate/wire"
	"headgate/wire/feed"
	"headgate/wire/pipe"
)

const (
	// DefaultPush is the size of a push in bytes: two seeds of Linux's CRNG.
	DefaultPush = 64

	// MaxOwed bounds the bytes that one connection may have asked for and not
	// got: the largest request. One that would exceed it is refused, so that a
	// guest which asks again and again while nothing comes does not drain, when
	// the supply is back, what it no longer needs.
	MaxOwed = feed.MaxData
)

// Counters count over all connections of the servers that share them.
type Counters struct {
	Requests atomic.Uint64 // requests taken
	Refused  atomic.Uint64 // requests beyond MaxOwed
	BytesOut atomic.Uint64 // random bytes written
	Pushes   atomic.Uint64 // pushes written
	Reports  atomic.Uint64 // reports received
	BadCRC   atomic.Uint64 // frames with a wrong checksum
	Skipped  atomic.Uint64 // bytes that belonged to no frame
	Garbage  atomic.Uint64 // reads in which bytes were skipped or a checksum was wrong
}

// Tell adds what was counted to the state of the pipe that the servers are behind.
func (c *Counters) Tell(s *pipe.Stats) {
	s.Requests += c.Requests.Load()
	s.Bytes += c.BytesOut.Load()
	s.Dropped += c.Refused.Load()
	s.Errors += c.Garbage.Load()
}

// Server feeds one guest. Set the fields before the first Serve.
type Server struct {
	Tap       wire.Tap
	PushBytes int               // 0 means DefaultPush; at most chunk bytes are sent
	Report    func(feed.Report) // may be nil; must not block; called at most every ReportEvery with the latest
	Count     *Counters         // may be nil

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// Serve feeds the guest behind rw until the guest hangs up, which is no error,
// the connection or the tap fails, or ctx is done. It closes rw; what was read
// from the tap by then and not written is lost, never given again.
//
// The push counts on the tap being quick for a guest in need: the caller marks
// the tap as fresh before Serve and before Push.
func (s *Server) Serve(ctx context.Context, rw io.ReadWriteCloser) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	c := newConn(s, rw)
	shut := sync.OnceFunc(func() { _ = rw.Close() })
	context.AfterFunc(inner, shut) // wakes a blocked Read and Write
	var writeErr error
	c.debt.pay = func() {
		defer c.debt.writer.Done()
		if done, err := c.write(inner); done {
			writeErr = err
			cancel()
		}
	}
	s.add(c)
	defer s.remove(c)
	c.debt.addPush()

	readErr := c.read()
	cancel()
	shut()
	c.debt.close()
	c.reports.stop()
	return cmp.Or(ctx.Err(), writeErr, readErr)
}

// Push sends fresh bytes under a new epoch, ahead of all that is owed, because
// the guest was restored, cloned or migrated. It does not wait for the write, and
// says whether there is a connection; if there is none, the next begins so anyhow.
func (s *Server) Push() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.debt.addPush()
	}
	return len(s.conns) > 0
}

func (s *Server) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*conn]struct{}, 1)
	}
	s.conns[c] = struct{}{}
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// tryRead and read ask the tap for what it gives and whether that has full entropy.
func (s *Server) tryRead(p []byte) (n int, full bool) {
	if tap, ok := s.Tap.(wire.Graded); ok {
		return tap.TryReadGraded(p)
	}
	return s.Tap.TryRead(p), true
}

func (s *Server) read(ctx context.Context, p []byte) (n int, full bool, err error) {
	if tap, ok := s.Tap.(wire.Graded); ok {
		return tap.ReadGraded(ctx, p)
	}
	n, err = s.Tap.ReadContext(ctx, p)
	return n, true, err
}

// claim is the min-entropy, in bits, that a frame of n bytes says it has. One with
// bytes of a generator in it says no more than what that is worth.
func claim(n int, full bool) uint32 {
	if full {
		return uint32(8 * n)
	}
	return uint32(min(8*n, wire.Strength))
}

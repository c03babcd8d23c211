package egd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"headgate/wire"
)

// ErrFlood ends a QEMU pipe whose client asks for other things than bytes
// faster than it takes the answers: it can be made to wait no more than QEMU's
// main thread can.
var ErrFlood = errors.New("flood of egd requests")

// A Server answers the connections of one pipe. It may serve several at once;
// its fields must not change meanwhile.
type Server struct {
	Tap wire.Tap

	// Push is how many bytes are sent unasked as soon as a client connects.
	// More than 0 says that the client is QEMU, which forgets what it had asked
	// for before a disconnect: these bytes complete the guest's lost buffer. It
	// also says that its requests must be drained, come what may. A strict
	// client would be put out of step, and can be made to wait: 0.
	Push int

	// PID is the answer to OpPID, cut at 255 bytes.
	PID string

	Count *Counters // nil: not counted
}

// Counters count what happened on a pipe, over all its connections.
type Counters struct {
	Requests atomic.Uint64 // requests to be answered: all opcodes but OpWrite
	BytesOut atomic.Uint64 // bytes that went to clients, lengths and levels included
	Pushed   atomic.Uint64 // OpWrite frames, which are dropped
	Garbage  atomic.Uint64 // connections closed for an unknown opcode
}

// Serve answers one client until it has gone, and then returns nil; one that
// has only shut down its writing side has gone, too. Else it returns why it
// stopped: ErrGarbage, ErrFlood, os.ErrClosed for the tap, net.ErrClosed for the
// connection, or the cause of ctx's end. It has closed conn by then, zeroed what
// it held and left no goroutine.
//
// Bytes that are owed when the client goes are not taken from the tap; at most
// one buffer of taken bytes is lost with a connection.
func (s *Server) Serve(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	c := newSession(ctx, cancel, s, conn)
	c.tasks.Add(1)
	context.AfterFunc(ctx, c.hangUp)

	cancel(c.read())
	c.tasks.Wait()
	clear(c.in[:])
	clear(c.out[:])
	if err := context.Cause(ctx); !errors.Is(err, errGone) {
		return err
	}
	return nil
}

// errGone says that the client has closed its end.
var errGone = errors.New("client gone")

// broken sorts the errors of a connection: a client that closes with answers
// unread, or before they are written, is gone like any other.
func broken(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return errGone
	}
	return fmt.Errorf("%s: %w", what, err)
}

// A session is one connection. Its reader is the caller of Serve and answers by
// itself whatever can be answered without waiting. As soon as something cannot,
// a writer goroutine is started, and the reader only adds to what is owed until
// the writer has paid all of it and is gone: answers keep their order, and an
// idle connection costs one goroutine.
type session struct {
	*Server
	ctx   context.Context
	fail  context.CancelCauseFunc // the first call ends the session
	conn  net.Conn
	raw   syscall.RawConn // nil: everything is left to the writer
	tasks sync.WaitGroup  // the writer, and the closing of conn

	// Bound once a connection, so that using them allocates nothing.
	writer  func()             // write
	send    func(uintptr) bool // sendNow, which leaves its results here:
	sent    int
	sendErr error

	skip int // data of an OpWrite still to come; the reader's

	mu   sync.Mutex
	room sync.Cond // debt got shorter, or the writer failed
	debt debt
	busy bool // the writer runs, and out is its; else out is the reader's

	off, end int // out[off:end] waits to be sent
	out      [512]byte
	in       [256]byte
}

func newSession(ctx context.Context, fail context.CancelCauseFunc, s *Server, conn net.Conn) *session {
	c := &session{Server: s, ctx: ctx, fail: fail, conn: conn}
	if c.Count == nil {
		counted := *s
		counted.Count = new(Counters)
		c.Server = &counted
	}
	c.room.L = &c.mu
	c.writer = c.write
	c.send = c.sendNow
	if sc, ok := conn.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn() // an error is that conn is closed: read says so
	}
	return c
}

func (c *session) hangUp() {
	defer c.tasks.Done()
	_ = c.conn.Close() // it is over: nobody could do anything about an error
}

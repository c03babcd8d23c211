//go:build linux

package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"headgate/integration/rig/job"
)

// errGone means that QEMU or its guest has ended.
var errGone = errors.New("the guest has gone")

// lineLimit bounds one answer: a fast reader's bytes of 100 ms in base64.
const lineLimit = 4 << 20

// errDetached means that no QEMU is connected now.
var errDetached = errors.New("no QEMU is connected to the rig's port")

// link is the host's end of the rig's port. Answers are sorted to their
// commands as they come and kept until they are asked for, so that the guest is
// never held up by a slow test.
//
// It may outlive its connection: a guest that was saved goes on in another QEMU,
// which connects anew. Numbers go on, so that an answer to a command of before
// is never taken for one of after.
type link struct {
	done   chan struct{} // closed when nothing more will come
	finish func()        // closes it, once
	tasks  sync.WaitGroup

	mu   sync.Mutex
	conn connection // nil: none now
	open map[uint64]*answers
}

// number is that of the last command on any link: a guest that goes on from a saved
// state has another link, and may still be at what it was told over the first.
var number atomic.Uint64

// connection is a socket, or the terminal of a console.
type connection interface {
	io.ReadWriteCloser
	SetWriteDeadline(time.Time) error
}

// answers are those to one command.
type answers struct {
	id uint64

	mu      sync.Mutex
	waiting []arrival
	came    chan struct{} // a token when waiting is not empty
}

type arrival struct {
	job.Answer
	at time.Time
}

// newLink is a link over this connection alone.
func newLink(conn connection) *link {
	c := newLastingLink()
	c.register(0)
	c.attach(conn, c.finish)
	return c
}

// newLastingLink is a link that has no connection yet, and goes on after the end
// of one.
func newLastingLink() *link {
	done := make(chan struct{})
	return &link{done: done, finish: sync.OnceFunc(func() { close(done) }), open: map[uint64]*answers{}}
}

// attach goes on with this connection, and calls ended when that has ended.
func (c *link) attach(conn connection, ended func()) {
	c.mu.Lock()
	before := c.conn
	c.conn = conn
	c.mu.Unlock()
	if before != nil {
		before.Close()
	}
	c.tasks.Go(func() {
		c.receive(conn)
		conn.Close()
		c.mu.Lock()
		if c.conn == conn {
			c.conn = nil
		}
		c.mu.Unlock()
		ended()
	})
}

func (c *link) close() {
	c.mu.Lock()
	if c.conn != nil {
		c.conn.Close()
	}
	c.mu.Unlock()
	c.finish()
	c.tasks.Wait()
}

func (c *link) receive(conn connection) {
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, lineLimit)
	for lines.Scan() {
		a := arrival{at: time.Now()}
		if err := json.Unmarshal(lines.Bytes(), &a.Answer); err != nil {
			continue // the driver's own noise while the port comes up
		}
		c.mu.Lock()
		to := c.open[a.ID]
		if a.Last {
			delete(c.open, a.ID)
		}
		c.mu.Unlock()
		if to != nil {
			to.put(a)
		}
	}
}

func (c *link) register(id uint64) *answers {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to := c.open[id]; to != nil {
		return to
	}
	to := &answers{id: id, came: make(chan struct{}, 1)}
	c.open[id] = to
	return to
}

// forget drops a command to which no answer shall be taken any more.
func (c *link) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

// send sends a command under a new number.
func (c *link) send(ctx context.Context, command job.Command) (*answers, error) {
	command.ID = number.Add(1)
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return nil, fmt.Errorf("%w: %w", errGone, errDetached)
	}
	to := c.register(command.ID)
	line, err := json.Marshal(command)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetWriteDeadline(deadline)
		defer func() { _ = conn.SetWriteDeadline(time.Time{}) }()
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	return to, nil
}

// do sends a command and returns its last answer. What the guest says went
// wrong is the error.
func (c *link) do(ctx context.Context, command job.Command) (job.Answer, error) {
	to, err := c.send(ctx, command)
	if err != nil {
		return job.Answer{}, err
	}
	return c.last(ctx, to)
}

// last drops answers until the last.
func (c *link) last(ctx context.Context, to *answers) (job.Answer, error) {
	for {
		a, err := c.next(ctx, to)
		if err != nil {
			return job.Answer{}, err
		}
		if a.Last {
			if a.Error != "" {
				return a.Answer, errors.New(a.Error)
			}
			return a.Answer, nil
		}
	}
}

// next waits for the next answer to a command.
func (c *link) next(ctx context.Context, to *answers) (arrival, error) {
	for {
		if a, ok := to.take(); ok {
			return a, nil
		}
		select {
		case <-to.came:
		case <-ctx.Done():
			return arrival{}, ctx.Err()
		case <-c.done:
			if a, ok := to.take(); ok {
				return a, nil
			}
			return arrival{}, errGone
		}
	}
}

func (to *answers) put(a arrival) {
	to.mu.Lock()
	to.waiting = append(to.waiting, a)
	to.mu.Unlock()
	select {
	case to.came <- struct{}{}:
	default:
	}
}

func (to *answers) take() (arrival, bool) {
	to.mu.Lock()
	defer to.mu.Unlock()
	if len(to.waiting) == 0 {
		return arrival{}, false
	}
	a := to.waiting[0]
	to.waiting = to.waiting[1:]
	return a, true
}

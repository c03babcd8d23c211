//go:build linux

package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"headgate/integration/rig/job"
)

// errGone means that QEMU or its guest has ended.
var errGone = errors.New("the guest has gone")

// lineLimit bounds one answer: a fast reader's bytes of 100 ms in base64.
const lineLimit = 4 << 20

// link is the host's end of the rig's port. Answers are sorted to their
// commands as they come and kept until they are asked for, so that the guest is
// never held up by a slow test.
type link struct {
	conn net.Conn
	done chan struct{} // closed when nothing more will come

	mu     sync.Mutex
	number uint64
	open   map[uint64]*answers
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

func newLink(conn net.Conn) *link {
	c := &link{conn: conn, done: make(chan struct{}), open: map[uint64]*answers{}}
	c.register(0)
	go c.receive()
	return c
}

func (c *link) close() {
	c.conn.Close()
	<-c.done
}

func (c *link) receive() {
	defer close(c.done)
	lines := bufio.NewScanner(c.conn)
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

// send sends a command under a new number.
func (c *link) send(ctx context.Context, command job.Command) (*answers, error) {
	c.mu.Lock()
	c.number++
	command.ID = c.number
	c.mu.Unlock()
	to := c.register(command.ID)
	line, err := json.Marshal(command)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.conn.SetWriteDeadline(deadline)
		defer func() { _ = c.conn.SetWriteDeadline(time.Time{}) }()
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
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

package kvm

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"headgate/wire/pipe"
)

var (
	errBusy   = errors.New("its one client is connected already")
	errMany   = errors.New("as many clients as can be are connected already")
	errJudged = errors.New("the owner has changed since it was asked")
)

// welcome lets a client in, if it is the owner and there is room, and serves it in
// a goroutine. One that is turned away has cost a few system calls and no more: it
// takes nobody's place, and does not make the tap fresh.
func (p *Pipe) welcome(ctx context.Context, conn *net.UnixConn) {
	c, err := p.receive(conn)
	if err != nil {
		p.refuse(c, err)
		return
	}
	p.tasks.Go(func() { _ = p.attend(ctx, c) }) // it has told of it
}

// receive lets in who is at the other end of conn, or hangs up.
func (p *Pipe) receive(conn *net.UnixConn) (*client, error) {
	peer, err := peerOf(conn)
	c := &client{conn: conn, peer: peer, done: make(chan struct{})}
	if err == nil {
		err = p.letIn(c)
	}
	if err != nil {
		conn.Close()
		return c, err
	}
	p.accepted.Add(1)
	return c, nil
}

// refuse counts and tells that a client is turned away.
func (p *Pipe) refuse(c *client, err error) {
	p.refused.Add(1)
	p.notify(pipe.Event{Kind: pipe.Refused, Peer: c.peer, Err: err})
}

// client is one connection.
type client struct {
	conn     *net.UnixConn
	peer     Peer
	done     chan struct{} // closed when it is no longer served
	replaces chan struct{} // done of the one whose place it takes, if any
	extra    bool          // it has a place in the room that egd pipes share
	expelled bool          // by Judge; with the pipe's mu held
}

// letIn takes a client in, if it is the owner at that moment.
func (p *Pipe) letIn(c *client) error {
	for {
		judged := p.judged.Load()
		err := p.admit(c)
		if err == nil {
			err = p.enter(c, judged)
		}
		if !errors.Is(err, errJudged) {
			return err
		}
	}
}

// admit says whether a client is who has to be there, if anybody is named.
func (p *Pipe) admit(c *client) error {
	if p.opt.Owner == nil {
		return nil
	}
	owner := p.opt.Owner()
	if owner == nil {
		return nil
	}
	return owner.admit(c.conn, c.peer, p.pin)
}

// enter takes a client into the pipe's connections. A pipe for one takes a
// newcomer only in place of one that has hung up. One that Judge has not seen,
// because it was admitted before, is not taken in.
func (p *Pipe) enter(c *client, judged uint64) error {
	if err := c.conn.SetWriteBuffer(sendBuffer); err != nil {
		return err
	}
	var stale *net.UnixConn
	defer func() {
		if stale != nil {
			stale.Close() // once mu is given back: its owner can have that take long
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.judged.Load() != judged {
		return errJudged
	}
	if p.opt.Kind == EGD && len(p.conns) > 0 {
		if len(p.conns) >= clients || !p.opt.Room.take() {
			return errMany
		}
		c.extra = true
	}
	if p.opt.Kind != EGD {
		for conn, old := range p.conns {
			if !old.expelled && !gone(conn) {
				return errBusy
			}
			stale = conn // its server has not noticed yet
			delete(p.conns, conn)
			c.replaces = old.done
		}
	}
	p.conns[c.conn] = c
	return nil
}

// attend serves a client until it is gone. An error is what it did wrong.
func (p *Pipe) attend(ctx context.Context, c *client) error {
	defer close(c.done)
	if c.extra {
		defer p.opt.Room.give()
	}
	if c.replaces != nil {
		<-c.replaces // or the advance may go to the one that has left
	}
	if !p.holds(c) {
		p.leave(c)
		return nil // it was replaced or expelled itself meanwhile
	}
	p.notify(pipe.Event{Kind: pipe.Connected, Peer: c.peer})
	p.opt.Tap.Fresh()
	err := p.protocol.serve(ctx, c.conn)
	p.leave(c)
	if err == nil || ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		p.notify(pipe.Event{Kind: pipe.Disconnected, Peer: c.peer})
		return nil
	}
	p.broken.Add(1)
	p.notify(pipe.Event{Kind: pipe.Broken, Peer: c.peer, Err: err})
	return err
}

func (p *Pipe) holds(c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[c.conn] == c && !c.expelled
}

func (p *Pipe) leave(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c.conn)
}

// hangUp ends every connection; the ends of those that ctx has ended are the same. It
// does not wait for that: see outlast.
func (p *Pipe) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		outlast(conn)
	}
}

// outlast closes a connection, and does not wait for that. Who is at its other end can
// have passed a socket with it that nobody takes: the kernel closes that where hostd
// reads or closes, and takes as long as its owner likes (socket(7), SO_LINGER).
func outlast(conn *net.UnixConn) { go conn.Close() }

// pause waits a moment after a failed accept, longer if the cause is a lack of
// descriptors, which only others can mend. It reports false when ctx is done.
func pause(ctx context.Context, err error) bool {
	d := time.Millisecond
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) {
		d = time.Second
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

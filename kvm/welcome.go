package kvm

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

var (
	errBusy = errors.New("its one client is connected already")
	errMany = errors.New("1024 clients are connected already")
)

// welcome lets a client in, if there is room, and serves it in a goroutine.
func (p *Pipe) welcome(ctx context.Context, conn *net.UnixConn) {
	peer, err := peerOf(conn)
	if err == nil {
		err = p.enter(conn)
	}
	if err != nil {
		conn.Close()
		p.refused.Add(1)
		p.notify(Event{Kind: Refused, Peer: peer, Err: err})
		return
	}
	p.accepted.Add(1)
	p.notify(Event{Kind: Connected, Peer: peer})
	p.opt.Tap.Fresh()
	p.tasks.Add(1)
	go p.attend(ctx, conn, peer)
}

// enter takes conn into the pipe's connections. A pipe for one client takes a
// newcomer only in place of one that has hung up.
func (p *Pipe) enter(conn *net.UnixConn) error {
	if err := conn.SetWriteBuffer(sendBuffer); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opt.Kind == EGD {
		if len(p.conns) >= clients {
			return errMany
		}
		p.conns[conn] = struct{}{}
		return nil
	}
	for old := range p.conns {
		if !gone(old) {
			return errBusy
		}
		old.Close() // its server has not noticed yet
		delete(p.conns, old)
	}
	p.conns[conn] = struct{}{}
	return nil
}

func (p *Pipe) attend(ctx context.Context, conn *net.UnixConn, peer Peer) {
	defer p.tasks.Done()
	err := p.protocol.serve(ctx, conn)
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, net.ErrClosed):
		p.notify(Event{Kind: Disconnected, Peer: peer})
	default:
		p.broken.Add(1)
		p.notify(Event{Kind: Broken, Peer: peer, Err: err})
	}
}

// hangUp ends every connection; the ends of those that ctx has ended are the same.
func (p *Pipe) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
}

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

package kvm

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"

	"headgate/wire/pipe"
)

// Trouble says why a pipe that connects is not connected; "": it is, or it listens.
func (p *Pipe) Trouble() string {
	if p.redial == nil {
		return ""
	}
	return p.redial.Trouble()
}

// openDial makes the folder in which QEMU is to make its socket.
func (p *Pipe) openDial() error {
	if err := p.opt.Socket.makeFolder(); err != nil {
		return err
	}
	p.redial = &pipe.Redial{Path: p.opt.Socket.Path, Cure: cure}
	return nil
}

// runDial serves whoever listens at the socket until ctx is done, one connection at a
// time.
func (p *Pipe) runDial(ctx context.Context) {
	defer p.Close()
	refused := ""
	p.redial.Run(ctx, func(conn *net.UnixConn) string {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		c, err := p.receive(conn)
		if err != nil {
			p.refused.Add(1)
			// It is tried again and again: said once.
			if why := err.Error(); why != refused {
				refused = why
				p.notify(pipe.Event{Kind: pipe.Refused, Peer: c.peer, Err: err})
			}
			return "whoever listens there is not served: " + err.Error()
		}
		refused = ""
		if err := p.attend(ctx, c); err != nil {
			return "the connection was ended: " + err.Error()
		}
		return "the connection has ended: does the guest still run?"
	})
}

// cure says what to do about a socket of QEMU's that cannot be connected to.
func cure(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is the guest started, with a chardev that is server=on at that path, and may QEMU's user, which is to be its socket_owner here, write in that folder?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens on it: the QEMU that made it has ended, start the guest anew"
	case errors.Is(err, syscall.EAGAIN):
		return "others are connected to it already: QEMU takes one"
	case errors.Is(err, fs.ErrPermission):
		return "hostd may not write to it: start QEMU with umask 002, as libvirt does, or run both as one user"
	}
	return ""
}

package kvm

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

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
	p.redial = &pipe.Redial{Path: p.opt.Socket.Path, Dial: dialItself, Cure: cure}
	return nil
}

var errLink = errors.New("it is a symbolic link, which hostd does not follow there: have QEMU make its socket at that very path")

// dialItself connects to the socket that is at path, and to none that a link there leads
// to: who may write in its folder is the guest's QEMU, which could have hostd take the
// place of another guest's.
func dialItself(ctx context.Context, path string) (net.Conn, error) {
	file, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Mode().Type() == fs.ModeSymlink {
		return nil, cmp.Or(err, errLink)
	}
	return new(net.Dialer).DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(int(file.Fd())))
}

// runDial serves whoever listens at the socket until ctx is done, one connection at a
// time.
func (p *Pipe) runDial(ctx context.Context) {
	defer p.Close()
	said := "" // it is tried again and again
	sayOnce := func(e pipe.Event) {
		if why := e.Err.Error(); why != said {
			said = why
			p.notify(e)
		}
	}
	p.redial.Failed = func(err error, why string) {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			// The guest does not run. When it is started its QEMU is to find its folder,
			// whatever has become of that meanwhile.
			err := p.opt.Socket.makeFolder()
			if err == nil {
				return
			}
			why = err.Error()
		}
		sayOnce(pipe.Event{Kind: pipe.Refused, Err: errors.New(why)})
	}
	p.redial.Run(ctx, func(conn *net.UnixConn) string {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		c, err := p.receive(conn)
		if err != nil {
			p.refused.Add(1)
			sayOnce(pipe.Event{Kind: pipe.Refused, Peer: c.peer, Err: err})
			return "whoever listens there is not served: " + err.Error()
		}
		said = ""
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

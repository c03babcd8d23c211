package xen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"headgate/wire/pipe"
)

// sendBuffer bounds what waits for a guest that does not read, in bytes; the kernel
// doubles it (socket(7)).
const sendBuffer = 4096

// Channel is a `channel:` pipe: it connects to the socket of an xl channel, where
// the QEMU that serves the domain's consoles listens, again and again. That QEMU takes
// one client at a time: a second one connects, too, and gets no answer.
type Channel struct {
	served
	redial pipe.Redial
}

var _ pipe.Pipe = (*Channel)(nil)

// NewChannel makes the pipe of a channel whose socket may not be there yet.
func NewChannel(path string, o Options) *Channel {
	c := &Channel{redial: pipe.Redial{Path: path, Cure: cure}}
	c.init(o)
	return c
}

// Trouble says why it is not connected; "": it is.
func (c *Channel) Trouble() string { return c.redial.Trouble() }

// Close does nothing: what is not run holds nothing.
func (c *Channel) Close() error { return nil }

// Run serves the domain until ctx is done. It is not connected then.
func (c *Channel) Run(ctx context.Context) error {
	c.redial.Run(ctx, func(conn *net.UnixConn) string {
		if err := conn.SetWriteBuffer(sendBuffer); err != nil {
			conn.Close()
			return fmt.Sprintf("bound what waits in %s: %v", c.redial.Path, err)
		}
		c.attend(ctx, conn, nil)
		return "the connection has ended: does the domain still run?"
	})
	return nil
}

// cure says what to do about a socket that cannot be connected to.
func cure(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is the domain up, and has it a channel= with connection=socket and that path, behind a dummy?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens on it: the QEMU that served it has ended, start the domain anew"
	case errors.Is(err, fs.ErrPermission):
		return "be root, or let hostd's user write to it"
	}
	return ""
}

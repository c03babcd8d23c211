package xen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"headgate/wire/pipe"
)

// Waits before the next try to connect to a channel. Each time it takes twice as
// long.
const (
	minDial = 50 * time.Millisecond
	maxDial = time.Second
)

// sendBuffer bounds what waits for a guest that does not read, in bytes; the kernel
// doubles it (socket(7)).
const sendBuffer = 4096

// Channel is a `channel:` pipe: it connects to the socket of an xl channel, where
// the QEMU that serves the domain's consoles listens, again and again. That QEMU takes
// one client at a time: a second one connects, too, and gets no answer.
type Channel struct {
	served
	path    string
	trouble atomic.Pointer[string] // nil: it is connected, or Run has not begun
}

var _ pipe.Pipe = (*Channel)(nil)

// NewChannel makes the pipe of a channel whose socket may not be there yet.
func NewChannel(path string, o Options) *Channel {
	c := &Channel{path: path}
	c.init(o)
	return c
}

// Trouble says why it is not connected; "": it is.
func (c *Channel) Trouble() string {
	if why := c.trouble.Load(); why != nil {
		return *why
	}
	return ""
}

// Close does nothing: what is not run holds nothing.
func (c *Channel) Close() error { return nil }

// Run serves the domain until ctx is done. It is not connected then.
func (c *Channel) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for pause := minDial; ; pause = min(2*pause, maxDial) {
		began := time.Now()
		if conn := c.dial(ctx); conn != nil {
			c.attend(ctx, conn, nil)
			c.say("the connection has ended: does the domain still run?")
			if time.Since(began) > maxDial {
				pause = minDial
			}
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// dial connects; nil: Trouble says why not.
func (c *Channel) dial(ctx context.Context) *net.UnixConn {
	conn, err := (&net.Dialer{Timeout: maxDial}).DialContext(ctx, "unix", c.path)
	if err == nil {
		conn := conn.(*net.UnixConn)
		if err = conn.SetWriteBuffer(sendBuffer); err == nil {
			c.trouble.Store(nil)
			return conn
		}
		conn.Close()
	}
	c.say(cure(c.path, err))
	return nil
}

func (c *Channel) say(why string) { c.trouble.Store(&why) }

// cure says what to do about a socket that cannot be connected to.
func cure(path string, err error) string {
	what := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		what = ": is the domain up, and has it a channel= with connection=socket and that path, behind a dummy?"
	case errors.Is(err, syscall.ECONNREFUSED):
		what = ": nobody listens on it: the QEMU that served it has ended, start the domain anew"
	case errors.Is(err, fs.ErrPermission):
		what = ": be root, or let hostd's user write to it"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno // package net writes the address around it
	}
	return fmt.Sprintf("connect to %s: %v%s", path, err, what)
}

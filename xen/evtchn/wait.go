//go:build linux

package evtchn

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Wait returns the next port that has an event, and sleeps until there is one. The
// port stays masked until Unmask: the events that come for it meanwhile are one
// event, given after that.
func (c *Conn) Wait() (Port, error) {
	c.waiting.Lock()
	defer c.waiting.Unlock()
	err := c.raw.Read(c.look)
	if err == nil {
		err = c.err
	}
	switch {
	case err == nil:
		c.from++
		return c.buf[c.from-1], nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, os.ErrDeadlineExceeded
	case c.enter() != nil:
		return 0, os.ErrClosed
	}
	c.leave()
	return 0, failed("read", err)
}

// next looks whether a port is pending; false: wait in the poller and call again.
func (c *Conn) next(fd uintptr) bool {
	if c.err = nil; c.from < c.to {
		return true
	}
	n, err := transfer(unix.SYS_READ, fd, unsafe.Pointer(&c.buf), unsafe.Sizeof(c.buf))
	if err == unix.EAGAIN { //nolint:errorlint // an Errno as the kernel gave it; nothing wraps it
		return false
	}
	c.from, c.to = 0, n/int(unsafe.Sizeof(c.buf[0]))
	if err == nil && c.to == 0 {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return true
}

// Unmask lets a port that Wait gave be given again.
func (c *Conn) Unmask(port Port) error {
	if err := c.enter(); err != nil {
		return failed("unmask", err)
	}
	defer c.leave()
	if _, err := transfer(unix.SYS_WRITE, c.fd, unsafe.Pointer(&port), unsafe.Sizeof(port)); err != nil {
		return failed("unmask", err)
	}
	return nil
}

// transfer is read or write on the device, which never sleeps for long. The runtime
// is not told of the call: that wakes its monitor thread, which costs more than all
// the rest (a round trip over two event channels took 2.2 times as long).
func transfer(trap, fd uintptr, p unsafe.Pointer, size uintptr) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(trap, fd, uintptr(p), size)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

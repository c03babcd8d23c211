//go:build linux

package evtchn

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn has the event channels that this process bound through one opening of the
// device; when it is closed, by whatever end of the process, they are gone.
// All methods may be called at the same time.
type Conn struct {
	file *os.File
	raw  syscall.RawConn
	fd   uintptr // of file; used with gate held, so that it is still that

	gate   sync.RWMutex // those who use fd, and Close
	closed bool

	waiting sync.Mutex            // one Wait after the other
	look    func(fd uintptr) bool // c.next, made once: a closure would be allocated each time
	buf     [16]Port              // waiting: pending, not yet given
	from    int                   // waiting: buf[from:to] is filled
	to      int
	err     error // waiting: why look gave up
}

// Open opens the device.
func Open() (*Conn, error) {
	f, err := os.OpenFile(Device, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = &absent{err}
	}
	if err != nil {
		return nil, err
	}
	c, err := open(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return c, nil
}

// open makes a Conn of a file that behaves as the device.
func open(f *os.File) (*Conn, error) {
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		return nil, err // not in the poller
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &Conn{file: f, raw: raw}
	c.look = c.next
	return c, raw.Control(func(fd uintptr) { c.fd = fd })
}

// SetDeadline is when Wait gives up with os.ErrDeadlineExceeded; never for the
// zero time. It also ends a Wait that sleeps now.
func (c *Conn) SetDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// Close unbinds all. A Wait that sleeps, and every call after this, returns
// os.ErrClosed.
func (c *Conn) Close() error {
	c.gate.Lock()
	defer c.gate.Unlock()
	if c.closed {
		return os.ErrClosed
	}
	c.closed = true
	return c.file.Close()
}

// enter keeps the descriptor open until leave.
func (c *Conn) enter() error {
	c.gate.RLock()
	if c.closed {
		c.gate.RUnlock()
		return os.ErrClosed
	}
	return nil
}

func (c *Conn) leave() { c.gate.RUnlock() }

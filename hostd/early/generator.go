//go:build linux

package early

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// generator is the kernel's, looked at by poll(2) of /dev/random: that says whether it
// is ready (random_poll, drivers/char/random.c). A read or a getrandom(2) that waits
// would have the kernel collect its own jitter, and be ready sooner than without us.
type generator struct {
	f    *os.File
	conn syscall.RawConn
}

func openGenerator() (*generator, error) {
	f, err := os.OpenFile("/dev/random", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: the kernel's generator cannot be looked at", err)
	}
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &generator{f, conn}, nil
}

// ready waits for nothing.
func (g *generator) ready() (is bool, err error) {
	bad := g.conn.Control(func(fd uintptr) { is, err = readable(fd) })
	return is, errors.Join(err, bad)
}

// wait returns when the generator is ready, or after stop with os.ErrDeadlineExceeded.
func (g *generator) wait() (err error) {
	bad := g.conn.Read(func(fd uintptr) bool {
		var is bool
		is, err = readable(fd)
		return is || err != nil
	})
	return errors.Join(err, bad)
}

func (g *generator) stop() { _ = g.f.SetReadDeadline(time.Unix(1, 0)) }

func (g *generator) close() { g.f.Close() }

func readable(fd uintptr) (bool, error) {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(set, 0)
		if !errors.Is(err, unix.EINTR) {
			return set[0].Revents&unix.POLLIN != 0, os.NewSyscallError("poll", err)
		}
	}
}

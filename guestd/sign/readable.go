//go:build linux

package sign

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// readable waits until a descriptor can be read, and hears nothing of it at other
// times. In the runtime's poller itself, whatever comes wakes somebody, and that is
// most of what a storm costs: an epoll inside it, armed for one event, does not.
type readable struct {
	fd    int
	inner *os.File
	raw   syscall.RawConn
}

func newReadable(fd int) (*readable, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, once()); err == nil {
		err = unix.SetNonblock(ep, true) // else its file is not one for the poller
	}
	if err != nil {
		_ = unix.Close(ep)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	r := &readable{fd: fd, inner: os.NewFile(uintptr(ep), "epoll")}
	if r.raw, err = r.inner.SyscallConn(); err != nil {
		_ = r.inner.Close()
		return nil, err
	}
	return r, nil
}

func once() *unix.EpollEvent { return &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT} }

// wait returns when there is something to read; once inner is closed, with an error.
func (r *readable) wait() (err error) {
	closed := r.raw.Control(func(ep uintptr) { err = unix.EpollCtl(int(ep), unix.EPOLL_CTL_MOD, r.fd, once()) })
	if closed == nil && err == nil {
		closed = r.raw.Read(func(ep uintptr) bool {
			var n int
			var event [1]unix.EpollEvent
			n, err = unix.EpollWait(int(ep), event[:], 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
	}
	if closed != nil {
		return closed
	}
	return err
}

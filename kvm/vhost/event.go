package vhost

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// checkEvent says whether a descriptor that came with a message is an eventfd that
// never keeps hostd waiting.
func checkEvent(fd int) error {
	// That is what the kernel calls it (fs/eventfd.c).
	if name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err != nil || name != "anon_inode:[eventfd]" {
		return errors.New("what came with it is no eventfd")
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return fmt.Errorf("its flags: %w", err)
	}
	if flags&unix.O_NONBLOCK == 0 {
		return errors.New("what came with it is an eventfd that blocks")
	}
	return nil
}

// kick is the eventfd that the guest signals. It is shared with the front end, down to
// its flags, which are left alone.
//
// It is never read: a hostile owner could make it block, or have it count down by ones
// (EFD_SEMAPHORE), so that each look at it finds it signalled. The poller is told of
// each signal, whatever the count is: it is edge-triggered (runtime/netpoll_epoll.go),
// and each is an edge (fs/eventfd.c, epoll(7)).
type kick struct {
	file  *os.File
	raw   syscall.RawConn
	more  func() bool
	asked bool
	ready func(uintptr) bool // look, bound once, so that waiting allocates nothing
}

// newKick takes fd, with an error, too.
func newKick(fd int) (*kick, error) {
	k := &kick{file: os.NewFile(uintptr(fd), "kick")}
	var err error
	if k.raw, err = k.file.SyscallConn(); err != nil {
		_ = k.file.Close() // there is nothing to be done about it
		return nil, err
	}
	k.ready = k.look
	return k, nil
}

// wait returns at once if more says that there is something to do, else when the
// guest has kicked after more was asked, or with an error after interrupt.
func (k *kick) wait(more func() bool) error {
	k.more, k.asked = more, false
	return k.raw.Read(k.ready)
}

// look is called once at first, and again when the poller knows of a kick.
func (k *kick) look(uintptr) bool {
	if k.asked {
		return true
	}
	k.asked = true
	return k.more()
}

// interrupt has wait return, now and later, until resume. Neither fails on an eventfd.
func (k *kick) interrupt() { _ = k.file.SetReadDeadline(time.Unix(1, 0)) }
func (k *kick) resume()    { _ = k.file.SetReadDeadline(time.Time{}) }

// close ends it. nil has no end.
func (k *kick) close() {
	if k != nil {
		_ = k.file.Close()
	}
}

// call is the eventfd that the guest is interrupted by: -1, it wants none. It is not
// for the runtime's poller, which would be woken by each signal of our own.
type call int

var one = [8]byte{1} // in the host's order of bytes, which is little-endian (see virtq)

// signal signals it. One that can count no further is signalled already.
func (c call) signal() {
	if c >= 0 {
		_, _ = unix.Write(int(c), one[:])
	}
}

// empty has a signal go through that hangs: an owner that is hostile can make its
// eventfd block, and fill it, again and again. It may read it at the same moment, too:
// nothing here waits for there to be something, whatever its flags are (RWF_NOWAIT,
// readv(2)).
func (c call) empty() {
	if c < 0 {
		return
	}
	var buf [8]byte
	for range 1000 {
		_, _ = unix.Preadv2(int(c), [][]byte{buf[:]}, -1, unix.RWF_NOWAIT)
	}
}

func (c call) close() {
	if c >= 0 {
		_ = unix.Close(int(c)) // there is nothing to be done about it
	}
}

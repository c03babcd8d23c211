package vhost

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bell signals eventfds without ever waiting for one. A write may wait: the owner of an
// eventfd shares its flags, can have it block at any time, and fill it. So it has to be
// a system call that the runtime is told of, and while nothing else is going on each of
// these wakes the runtime's monitor thread (runtime/proc.go, entersyscallWakeSysmon),
// which costs more than the guest's request.
//
// The kernel itself signals without waiting (eventfd_signal, fs/eventfd.c), as at the
// end of an asynchronous read that asks for it (io_submit(2), IOCB_FLAG_RESFD). This is
// one of nothing, from /dev/null: it has ended when the call returns. Nothing in it can
// wait, so that the runtime need not be told.
//
// What it can take is time: the owner may have very many watch the eventfd (epoll(7)), each
// of which is told. One with whom it takes long, again and again, is signalled by writing.
//
// It is for one goroutine.
type bell struct {
	context uintptr // aio_context_t
	slow    int     // rings in a row that took long
	read    iocb
	list    [1]*iocb
	ended   [16]ioEvent
	never   unix.Timespec
}

// iocb is struct iocb (linux/aio_abi.h). What has no name is 0, and that is the opcode
// of a read, too (IOCB_CMD_PREAD); the number of bytes is, and their address.
type iocb struct {
	_              [20]byte // aio_data, aio_key, aio_rw_flags, aio_lio_opcode, aio_reqprio
	fd             uint32
	_              [32]byte // aio_buf, aio_nbytes, aio_offset, aio_reserved2
	flags, eventfd uint32
}

// ioEvent is struct io_event, which nobody looks at.
type ioEvent [32]byte

// flagEventfd has the eventfd signalled (IOCB_FLAG_RESFD).
const flagEventfd = 1

// bells are those that nobody has. They are kept: to give one back to the kernel takes
// as long as all processors need to notice (io_destroy(2), synchronize_rcu).
var bells struct {
	sync.Mutex
	free []*bell
	null int // /dev/null, once there is a bell; 0: it is not open
}

// takeBell returns nil where the kernel has no asynchronous reads to give: their number
// is bounded (/proc/sys/fs/aio-max-nr).
func takeBell() *bell {
	bells.Lock()
	defer bells.Unlock()
	if n := len(bells.free); n > 0 {
		b := bells.free[n-1]
		bells.free = bells.free[:n-1]
		return b
	}
	if bells.null == 0 {
		null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil
		}
		bells.null = null
	}
	b := &bell{read: iocb{fd: uint32(bells.null), flags: flagEventfd}}
	b.list[0] = &b.read
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&b.context)), 0); errno != 0 {
		return nil
	}
	return b
}

// give gives it back. nil is none.
func (b *bell) give() {
	if b == nil {
		return
	}
	b.slow = 0
	bells.Lock()
	defer bells.Unlock()
	bells.free = append(bells.free, b)
}

// A ring takes a microsecond or two, and longer if the processor is taken away meanwhile.
const (
	long    = 5 * time.Millisecond
	maxSlow = 8 // rings in a row
)

// ring says whether it has signalled c. nil rings nowhere.
func (b *bell) ring(c call) bool {
	if b == nil || c < 0 || b.slow >= maxSlow {
		return false
	}
	b.read.eventfd = uint32(c)
	began := time.Now()
	errno := b.submit()
	if time.Since(began) < long {
		b.slow = 0
	} else {
		b.slow++
	}
	if errno == unix.EAGAIN { // there is no place for another end
		_, _, _ = unix.RawSyscall6(unix.SYS_IO_GETEVENTS, b.context, 0, uintptr(len(b.ended)),
			uintptr(unsafe.Pointer(&b.ended)), uintptr(unsafe.Pointer(&b.never)), 0)
		errno = b.submit()
	}
	return errno == 0
}

func (b *bell) submit() unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IO_SUBMIT, b.context, uintptr(len(b.list)), uintptr(unsafe.Pointer(&b.list)))
	return errno
}

//go:build linux

package pipe

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"headgate/wire/feed"
)

// stream speaks feed over a character device. Its descriptor is in the runtime's
// epoll set, which is edge-triggered: a virtio-serial port whose host is away says
// EPOLLHUP and reads 0 bytes, over and over to whoever asks, but gives one edge.
type stream struct {
	dev    *os.File
	raw    syscall.RawConn
	tty    bool // 0 bytes are a hang-up, not a host that is away
	hold   *hold
	taken  int // bytes, in this receive
	in     feed.Inbox
	closed atomic.Bool
}

func newStream(dev *os.File, tty bool) (*stream, error) {
	raw, err := dev.SyscallConn()
	if err != nil {
		_ = dev.Close()
		return nil, err
	}
	return &stream{dev: dev, raw: raw, tty: tty}, nil
}

func (s *stream) receive() (b feed.Batch, err error) {
	s.taken = 0
	waited := s.raw.Read(func(fd uintptr) (done bool) {
		// Before the first read: from then on there may be no more to see of what came.
		s.hold.is(reading)
		b, err = s.in.Drain(func(buf []byte) (int, error) { return s.read(int(fd), buf) })
		// Garbage counts as something, so that the caller can pace a host that
		// sends nothing else.
		if done = err != nil || b.Read > 0; !done {
			s.hold.is(waiting)
		}
		return done
	})
	if b.Read > 0 {
		return b, nil // an error comes again
	}
	s.hold.is(elsewhere)
	switch {
	case s.closed.Load():
		return b, os.ErrClosed // a RawConn says it in an error of its own
	case err == nil:
		err = waited
	}
	return b, err
}

// read returns 0 when nothing is there for now. It makes a raw call, for the device
// does not block: the runtime, told of a call that may, would first wake its monitor,
// while what came waits.
func (s *stream) read(fd int, buf []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN:
			return 0, nil
		case e != 0:
			return 0, e
		case n == 0 && s.tty:
			return 0, io.EOF
		case n == 0:
			return 0, nil
		default:
			// More than a frame is no push: nothing is held for that.
			if s.taken += int(n); s.taken > feed.MaxFrame {
				s.hold.is(elsewhere)
			}
			return int(n), nil
		}
	}
}

// send writes one frame or nothing of use: what the device does not take at once is
// of none later, for a host that comes back begins with a push, and one that got
// half a frame finds the next by its magic.
func (s *stream) send(f *feed.Frame) error {
	b, err := feed.Append(nil, f)
	if err != nil {
		return err
	}
	var n int
	if cerr := s.raw.Control(func(fd uintptr) { n, err = unix.Write(int(fd), b) }); cerr != nil {
		return cerr
	}
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPIPE), err == nil && n != len(b):
		return ErrAway
	case errors.Is(err, unix.EIO) && s.tty: // it was hung up, and is opened again
		return ErrAway
	}
	return err
}

func (s *stream) wipe() {
	s.in.Wipe()
	s.hold.is(elsewhere)
}

func (s *stream) close() error {
	if s.closed.Swap(true) {
		return os.ErrClosed
	}
	s.hold.close()
	return s.dev.Close()
}

func request(n int) *feed.Frame {
	return &feed.Frame{Type: feed.TypeRequest, N: uint32(min(n, feed.MaxData))}
}

func report(r *feed.Report) *feed.Frame {
	return &feed.Frame{Type: feed.TypeReport, Report: *r}
}

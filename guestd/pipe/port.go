//go:build linux

package pipe

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"headgate/wire/feed"
)

// port is a virtio-serial port that speaks feed. Its descriptor is in the
// runtime's epoll set, which is edge-triggered: with the host away the port says
// EPOLLHUP and reads 0 bytes, over and over to whoever asks, but gives one edge.
type port struct {
	dev    *os.File
	raw    syscall.RawConn
	in     feed.Inbox
	closed atomic.Bool
}

func openPort(path string) (Pipe, error) {
	dev, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, errors.New(path + ": in use: is another guestd running?")
	}
	if err != nil {
		return nil, err
	}
	return newPort(dev)
}

func newPort(dev *os.File) (Pipe, error) {
	raw, err := dev.SyscallConn()
	if err != nil {
		_ = dev.Close()
		return nil, err
	}
	return &port{dev: dev, raw: raw}, nil
}

func (p *port) Receive() (b feed.Batch, err error) {
	waited := p.raw.Read(func(fd uintptr) (done bool) {
		b, err = p.in.Drain(func(buf []byte) (int, error) {
			for {
				n, err := unix.Read(int(fd), buf)
				switch err {
				case unix.EINTR:
				case unix.EAGAIN:
					return 0, nil
				default:
					return max(n, 0), err
				}
			}
		})
		// Garbage counts as something, so that the caller can pace a host that
		// sends nothing else.
		return err != nil || b.Read > 0
	})
	switch {
	case b.Read > 0:
		return b, nil // an error comes again
	case p.closed.Load():
		return b, os.ErrClosed // a RawConn says it in an error of its own
	case err == nil:
		err = waited
	}
	return b, err
}

func (p *port) Ask(n int) error {
	return p.send(&feed.Frame{Type: feed.TypeRequest, N: uint32(min(n, feed.MaxData))})
}

func (p *port) Report(r *feed.Report) error {
	return p.send(&feed.Frame{Type: feed.TypeReport, Report: *r})
}

// send writes one frame or nothing: what the port does not take at once is of no
// use later, for a host that comes back begins with a push.
func (p *port) send(f *feed.Frame) error {
	b, err := feed.Append(nil, f)
	if err != nil {
		return err
	}
	var n int
	if cerr := p.raw.Control(func(fd uintptr) { n, err = unix.Write(int(fd), b) }); cerr != nil {
		return cerr
	}
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPIPE), err == nil && n != len(b):
		return ErrAway
	}
	return err
}

func (p *port) Wipe()        { p.in.Wipe() }
func (p *port) Kind() Kind   { return PortKind }
func (p *port) Path() string { return p.dev.Name() }

func (p *port) Close() error {
	p.closed.Store(true)
	return p.dev.Close()
}

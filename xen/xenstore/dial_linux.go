//go:build linux

package xenstore

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var errNoXenstore = errors.New("no " + SocketPath + " and no " + DevicePath +
	": is this a Xen domain? In dom0, start xenstored")

// Open connects to xenstored where it is: at its socket in dom0, else through the
// kernel's device.
func Open() (*Conn, error) {
	return openFirst(SocketPath, DevicePath, procPath)
}

func openFirst(paths ...string) (*Conn, error) {
	for _, path := range paths {
		c, err := Dial(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return nil, &Error{Op: "open", Err: &because{text: errNoXenstore.Error(), err: fs.ErrNotExist}}
}

// Dial connects to xenstored at a path, a unix socket or the kernel's device.
func Dial(path string) (*Conn, error) {
	c, err := dial(path, answerTime)
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Err: err}
	}
	return c, nil
}

func dial(path string, limit time.Duration) (*Conn, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cure(err)
	}
	socket := info.Mode()&fs.ModeSocket != 0
	var f *os.File
	if socket {
		f, err = connect(path, limit)
	} else {
		f, err = os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, cure(err)
	}
	// What takes no deadline would not be woken by Close, either.
	if err := f.SetDeadline(time.Time{}); err != nil {
		_ = f.Close()
		return nil, errors.New("this is neither xenstored's socket nor the kernel's device")
	}
	return start(f, !socket, limit), nil
}

// connect gives up when xenstored takes no connection in time: it hangs, with its
// backlog full.
func connect(path string, limit time.Duration) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	wait := unix.NsecToTimeval(limit.Nanoseconds())
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait)
	for began := time.Now(); err == nil; {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if err != unix.EINTR {
			break
		}
		if err = nil; time.Since(began) > limit {
			err = unix.EAGAIN
		}
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// cure says what to do about an error of open or connect.
func cure(err error) error {
	err = bare(err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &because{text: err.Error() + ": xenstore is for root: be root", err: err}
	case errors.Is(err, unix.ECONNREFUSED):
		return &because{text: "nobody listens on it: start xenstored", err: err}
	case errors.Is(err, unix.EAGAIN):
		return ErrHangs
	}
	return err
}

//go:build linux

package console

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// OpenRaw opens a terminal device, which does not become this process's own, and
// sets it to pass bytes as they are.
func OpenRaw(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := raw(f); err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "set raw mode", Path: path, Err: err}
	}
	return f, nil
}

func raw(f *os.File) error {
	if err := f.SetDeadline(time.Time{}); err != nil {
		return err // not in the poller
	}
	return control(f, Raw)
}

// Raw sets the terminal behind a descriptor to pass bytes as they are, at once.
func Raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	// termios(3), cfmakeraw.
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// Flush forgets what has come and was not read, and what was written and has not
// gone.
func Flush(f *os.File) error {
	err := control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH) })
	if err != nil {
		return &fs.PathError{Op: "flush", Path: f.Name(), Err: err}
	}
	return nil
}

// control calls fn with the descriptor, which stays open meanwhile and nonblocking.
func control(f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = fn(int(fd)) }); err != nil {
		return os.ErrClosed // the only reason, in a text of its own
	}
	return failed
}

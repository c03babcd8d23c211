package backends

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	errHungUp  = errors.New("the line was hung up: is the device plugged in?")
	errLineSet = errors.New("another program has changed the settings of the terminal: keep it away")
)

// line is a terminal in raw mode that nobody else reads.
type line struct {
	file      *os.File
	exclusive bool
	found     *unix.Termios // its settings when it was opened
	ours      unix.Termios
	closed    atomic.Bool
}

// control runs do on the descriptor.
func (l *line) control(do func(fd int) error) error {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// reserve keeps other readers out, who would each take some of the bytes: those who
// lock as well, and with exclusive all who open it later without CAP_SYS_ADMIN. That
// capability is why it has to be asked whether somebody else did so before.
func (l *line) reserve(exclusive bool) error {
	return l.control(func(fd int) error {
		switch _, err := unix.IoctlGetTermios(fd, unix.TCGETS2); {
		case errors.Is(err, unix.ENOTTY):
			return fmt.Errorf("it is no terminal, which type \"serial\" is for: use type \"file\" (%w)", err)
		case err != nil:
			return fmt.Errorf("read its settings: %w", err)
		}
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return fmt.Errorf("another program has locked it: stop that one (%w)", err)
		}
		if !exclusive {
			return nil
		}
		if held, err := unix.IoctlGetInt(fd, unix.TIOCGEXCL); err == nil && held != 0 {
			return fmt.Errorf("another program has it for itself: stop that one (%w)", unix.EBUSY)
		}
		l.exclusive = true
		return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0)
	})
}

// makeRaw has every byte come through as the device sent it, as soon as it comes.
// speed is in bits per second, 0 for the one that is set.
func (l *line) makeRaw(speed int) error {
	return l.control(func(fd int) error {
		found, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return fmt.Errorf("read its settings: %w", err)
		}
		want := *found
		// cfmakeraw (termios(3)), and nothing that sends: XOFF or a bell, when much waits to
		// be read, would be commands to the device.
		want.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON |
			unix.IXOFF | unix.INPCK | unix.IGNPAR | unix.IUCLC | unix.IMAXBEL
		want.Oflag &^= unix.OPOST
		want.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		want.Cflag &^= unix.CSIZE | unix.PARENB
		want.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
		want.Cc[unix.VMIN], want.Cc[unix.VTIME] = 1, 0 // so that reading nothing means a hang-up
		if speed != 0 {
			want.Cflag = want.Cflag&^(unix.CBAUD|unix.CIBAUD) | unix.BOTHER
			want.Ispeed, want.Ospeed = uint32(speed), uint32(speed)
		}
		if err := unix.IoctlSetTermios(fd, unix.TCSETS2, &want); err != nil {
			return fmt.Errorf("make it raw: %w", err)
		}
		l.found = found
		// That is no error either when the driver could do only some of it.
		got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return fmt.Errorf("read its settings: %w", err)
		}
		l.ours = *got
		const format = unix.CSIZE | unix.PARENB | unix.CREAD | unix.CLOCAL
		if got.Iflag != want.Iflag || got.Oflag != want.Oflag || got.Lflag != want.Lflag || got.Cc != want.Cc || (got.Cflag^want.Cflag)&format != 0 {
			return errors.New("its driver does not do raw mode, 8 bits and no parity")
		}
		if off := int(got.Ispeed) - speed; speed != 0 && max(off, -off) > speed/20 { // a receiver bears some 5%
			return fmt.Errorf("it does %d bits per second and not %d: set another speed, or none", got.Ispeed, speed)
		}
		return nil
	})
}

// begin sends the start command and drops what waits to be read: it came before, and
// nobody knows when.
func (l *line) begin(start string, patience time.Duration) error {
	if start != "" {
		if err := l.file.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		switch _, err := l.file.WriteString(start); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("send the start command: the device does not take it within %v", patience)
		case err != nil:
			return fmt.Errorf("send the start command: %w", err)
		}
	}
	l.drop()
	return nil
}

// drop throws away what waits to be read.
func (l *line) drop() {
	_ = l.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

// Read looks at the settings after each read, so that nothing is returned that others
// may have had translated, echoed or cut: about 1 µs.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.file.Read(p)
	switch {
	case l.closed.Load():
		err = os.ErrClosed
	case n > 0 && l.changed():
		err = fmt.Errorf("read %s: %w", l.file.Name(), errLineSet)
	case n > 0:
		return n, nil
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EIO):
		err = fmt.Errorf("read %s: %w", l.file.Name(), errHungUp)
	}
	clear(p[:n])
	return 0, err
}

// changed tells whether the settings are no longer ours. What cannot be asked is hung
// up, and what was read came before that.
func (l *line) changed() bool {
	var now *unix.Termios
	err := l.control(func(fd int) (err error) {
		now, err = unix.IoctlGetTermios(fd, unix.TCGETS2)
		return err
	})
	return err == nil && *now != l.ours
}

// Close leaves the terminal as it was found.
func (l *line) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	_ = l.control(func(fd int) error {
		if l.found != nil {
			_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) // no sample is left for whoever comes next
			_ = unix.IoctlSetTermios(fd, unix.TCSETS2, l.found)
		}
		if l.exclusive {
			_ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
		}
		return nil
	})
	return l.file.Close()
}

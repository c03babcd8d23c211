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

const (
	kmsgPath = "/dev/kmsg"
	// kmsgMax is the longest record that it gives (CONSOLE_EXT_LOG_MAX,
	// kernel/printk/internal.h; PRINTK_MESSAGE_MAX is less since Linux 6.4).
	kmsgMax = 8192
	// maxBacklog bounds how many records are read at once: more than the largest log
	// has (CONFIG_LOG_BUF_SHIFT up to 25, and no record takes less than 32 bytes).
	maxBacklog = 1 << 20
	maxLogged  = 64
)

// kernelLog is the kernel's log from its oldest record on. It alone knows when the
// generator was ready.
type kernelLog struct {
	f    *os.File
	conn syscall.RawConn
	buf  [kmsgMax]byte
}

func openLog() (*kernelLog, error) {
	f, err := os.OpenFile(kmsgPath, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &kernelLog{f: f, conn: conn}, nil
}

// next is the next record, waited for or not: unix.EAGAIN is none yet. What the kernel
// overwrote meanwhile (EPIPE) is left out, as is what does not fit (EINVAL).
func (l *kernelLog) next(wait bool) (kmsgRecord, error) {
	for {
		var n int
		var err error
		bad := l.conn.Read(func(fd uintptr) bool {
			n, err = unix.Read(int(fd), l.buf[:])
			return !wait || !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case bad != nil:
			return kmsgRecord{}, bad
		case err == nil:
			if r, ok := parseKmsg(l.buf[:n]); ok {
				return r, nil
			}
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EINTR):
		default:
			return kmsgRecord{}, os.NewSyscallError("read", err)
		}
	}
}

// backlog is what of the log there is already.
type backlog struct {
	ready  Seconds // 0: not in it
	logged []Logged
	mark   Seconds // where it has our line; 0: nowhere
}

// readBacklog reads it.
func (l *kernelLog) readBacklog() (b backlog, err error) {
	for range maxBacklog {
		r, err := l.next(false)
		if errors.Is(err, unix.EAGAIN) {
			return b, nil
		}
		if err != nil {
			return b, fmt.Errorf("%s: %w", kmsgPath, err)
		}
		if r.ready() && b.ready == 0 {
			b.ready = r.at
		}
		if line, ok := r.unready(); ok && len(b.logged) < maxLogged {
			b.logged = append(b.logged, line)
		}
		if r.text == mark() {
			b.mark = r.at
		}
	}
	return b, nil
}

// mark is our own line in the log.
func mark() string {
	return fmt.Sprintf("headgate: trace early looks from here on (pid %d)", os.Getpid())
}

// writeMark writes it, and says when that was, and whether it could.
func writeMark() (Seconds, bool) {
	before, bad := boottime()
	f, err := os.OpenFile(kmsgPath, os.O_WRONLY, 0)
	if err != nil {
		return before, false
	}
	defer f.Close()
	before, worse := boottime()
	_, err = f.WriteString("<6>" + mark() + "\n")
	after, worst := boottime()
	return (before + after) / 2, errors.Join(err, bad, worse, worst) == nil
}

// awaitReady waits for the kernel's word, until stop.
func (l *kernelLog) awaitReady() (Seconds, error) {
	for {
		r, err := l.next(true)
		if err != nil {
			return 0, err
		}
		if r.ready() {
			return r.at, nil
		}
	}
}

func (l *kernelLog) stop() { _ = l.f.SetReadDeadline(time.Unix(1, 0)) }

func (l *kernelLog) close() { l.f.Close() }

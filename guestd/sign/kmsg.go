//go:build linux

package sign

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"headgate/wire/feed"
)

// recordMax is the longest record that /dev/kmsg gives (CONSOLE_EXT_LOG_MAX,
// kernel/printk/internal.h; PRINTK_MESSAGE_MAX is less since Linux 6.4).
const recordMax = 8192

// kernelLog waits for the one line that the kernel writes when its vmgenid driver
// was told of a new generation (add_vmfork_randomness, drivers/char/random.c, since
// Linux 5.18). There is no event for it.
type kernelLog struct {
	fd    int
	ready *readable
	now   func() time.Time
	buf   [recordMax]byte
}

func (w *Watcher) openLog() (*kernelLog, error) {
	path := w.path("dev/kmsg")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, deaf(&os.PathError{Op: "open", Path: path, Err: err})
	}
	// What was logged before was before us. (A FIFO of a test cannot seek.)
	if _, err = unix.Seek(fd, 0, unix.SEEK_END); err != nil && !errors.Is(err, unix.ESPIPE) {
		_ = unix.Close(fd)
		return nil, deaf(&os.PathError{Op: "seek", Path: path, Err: err})
	}
	ready, err := newReadable(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, deaf(err)
	}
	return &kernelLog{fd: fd, ready: ready, now: w.now}, nil
}

func deaf(err error) error {
	return &trouble{"the kernel's word of a fork is not heard", err,
		"guestd needs CAP_SYSLOG and /dev/kmsg; in its unit, no ProtectKernelLogs="}
}

// run reads record by record. In a storm, what the kernel overwrites is not read.
func (l *kernelLog) run(stop <-chan struct{}, out chan<- Sign) {
	defer unix.Close(l.fd)
	var p pace
	for {
		record, err := l.next()
		if err != nil || forked(record) && !tell(Sign{Reason: feed.ReasonFork}, stop, out) {
			return
		}
		if !rest(p.took(l.now()), stop) {
			return
		}
	}
}

// next waits for a record. It is empty where the kernel has none to give: it was
// overwritten (EPIPE; the next is the oldest that is left) or is longer than the
// buffer (EINVAL).
func (l *kernelLog) next() ([]byte, error) {
	for {
		n, err := unix.Read(l.fd, l.buf[:])
		switch {
		case err == nil && n == 0:
			return nil, io.EOF
		case err == nil:
			return l.buf[:n], nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINVAL):
			return nil, nil
		case errors.Is(err, unix.EAGAIN):
			if err := l.ready.wait(); err != nil {
				return nil, err
			}
		case !errors.Is(err, unix.EINTR):
			return nil, err
		}
	}
}

// forked says whether a record is the kernel's own word of a fork. A record is
// "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT\n" and lines of " KEY=VALUE\n"
// (Documentation/ABI/testing/dev-kmsg); the priority is syslog's, facility times 8
// plus level, and facility 0 is the kernel's alone: what user space writes to
// /dev/kmsg gets another.
func forked(record []byte) bool {
	line, _, _ := bytes.Cut(record, []byte("\n"))
	prefix, text, ok := bytes.Cut(line, []byte(";"))
	priority, _, more := bytes.Cut(prefix, []byte(","))
	if !ok || !more || len(priority) != 1 || priority[0] < '0' || priority[0] > '7' {
		return false
	}
	return bytes.HasPrefix(text, []byte("random: ")) && bytes.Contains(text, []byte("virtual machine fork"))
}

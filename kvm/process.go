package kvm

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin holds on to the process that connected, whose id was told by SO_PEERCRED: it
// returns a pidfd (pidfd_open(2)). The id is nobody else's until ended says that
// the process has ended.
type pin func(conn *net.UnixConn, id int32) (pidfd int, err error)

var (
	errHidden = errors.New("hostd cannot see its start in /proc, which it has to before Linux 6.5: mount /proc without hidepid=, and set ProtectProc=default in hostd's unit")
	errLong   = errors.New("longer than it can be")
)

// pinPeer asks the socket itself for the process, so that no other can have got
// its id since; a kernel before Linux 6.5 does not answer that.
func pinPeer(conn *net.UnixConn, id int32) (int, error) { return askThenPin(peerPidfd, conn, id) }

func askThenPin(ask func(*net.UnixConn) (int, error), conn *net.UnixConn, id int32) (int, error) {
	pidfd, err := ask(conn)
	switch {
	case err == nil:
		return pidfd, nil
	case errors.Is(err, unix.ENOPROTOOPT):
		return pinID(id, started)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ESRCH):
		// The process has been reaped: kernels say the one or the other
		// (pidfd_prepare, kernel/fork.c), the newest give a pidfd all the same.
		// It must not be looked for by its id, which may be another's by now.
		return -1, errEnded
	}
	return -1, fmt.Errorf("ask the socket for its process: %w", err)
}

func peerPidfd(conn *net.UnixConn) (pidfd int, err error) {
	err = control(conn, func(fd int) error {
		pidfd, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		return err
	})
	return pidfd, err
}

// pinID goes by the id. What it cannot see is a process that ended between its
// connect and this, gave its connection to another before, and left its id to the
// very process that the pid file names.
func pinID(id int32, started func(int32) (uint64, error)) (int, error) {
	before, beforeErr := started(id)
	pidfd, err := unix.PidfdOpen(int(id), 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, errEnded
	}
	if err != nil {
		return -1, fmt.Errorf("hold on to its process, which needs Linux 5.3: %w", err)
	}
	after, afterErr := started(id)
	if err = cmp.Or(beforeErr, afterErr); err == nil && before == after {
		return pidfd, nil
	}
	switch {
	case err == nil, ended(pidfd) != nil:
		err = errEnded
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		err = errHidden
	}
	_ = unix.Close(pidfd)
	return -1, err
}

// ended is nil while a process lives: its pidfd is readable once it has ended,
// reaped or not.
func ended(pidfd int) error {
	events, err := poll(pidfd, unix.POLLIN)
	if err != nil {
		return fmt.Errorf("whether it lives: %w", err)
	}
	if events != 0 {
		return errEnded
	}
	return nil
}

// statMax is more than a line of /proc/PID/stat has: 52 numbers of at most 20
// digits, a name of at most 64 bytes (proc_task_name, fs/proc/array.c).
const statMax = 2048

// started says when a process began, in clock ticks since the system's start.
func started(id int32) (uint64, error) {
	var buf [statMax]byte
	stat, err := readSmall("/proc/"+strconv.Itoa(int(id))+"/stat", buf[:])
	if err != nil {
		return 0, fmt.Errorf("when it began: %w", err)
	}
	return startTime(stat)
}

var errStat = errors.New("when it began: /proc/PID/stat is not as proc(5) says")

// startTime finds field 22 of /proc/PID/stat, starttime (proc(5)). Field 2 is the
// process's name, in parentheses; it is what the process wants it to be, spaces
// and parentheses and all, so that the fields are counted from its end.
func startTime(stat []byte) (uint64, error) {
	_, rest, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	for field := 3; ok && field < 22; field++ {
		_, rest, ok = bytes.Cut(rest, []byte(" "))
	}
	digits, _, ends := bytes.Cut(rest, []byte(" "))
	ticks, err := strconv.ParseUint(string(digits), 10, 64)
	if !ok || !ends || err != nil {
		return 0, errStat
	}
	return ticks, nil
}

// readSmall reads a whole file that must have fewer bytes than buf. It never
// waits, whatever is in the file's place. The error does not name the file.
func readSmall(path string, buf []byte) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	n, err := io.ReadFull(f, buf)
	switch {
	case err == nil:
		return nil, errLong
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return buf[:n], nil
	}
	return nil, cause(err)
}

// cause is err without the path.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

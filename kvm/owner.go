package kvm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// Owner is the one process that may be at a socket: the QEMU of one domain.
//
// It is told by the process that connected. A QEMU that hands its connection on,
// or speaks for another, cannot be told from one that does not.
type Owner struct {
	UID     uint32 // that it runs as
	PIDFile string // where libvirt keeps its process id
}

var (
	errUser      = errors.New("it is another user")
	errEnded     = errors.New("it has ended")
	errNamespace = errors.New("its process cannot be seen from hostd's pid namespace: run hostd in the host's")
	errNoPID     = errors.New("that file holds no process id")
)

// admit says whether peer, the other end of conn, is the owner; an error says who
// it is and who it should be. The process is pinned before the pid file is read
// and must live after that, so that the id in the file was its own all the while.
func (o *Owner) admit(conn *net.UnixConn, peer Peer, pin pin) error {
	if err := o.check(conn, peer, pin); err != nil {
		return fmt.Errorf("%v, where only uid %d with the pid in %q may be: %w", peer, o.UID, o.PIDFile, err)
	}
	return nil
}

func (o *Owner) check(conn *net.UnixConn, peer Peer, pin pin) error {
	if peer.UID != o.UID {
		return errUser
	}
	if peer.PID <= 0 {
		return errNamespace // pid_namespaces(7): the ids of those outside are 0
	}
	process, err := pin(conn, peer.PID)
	if err != nil {
		return err
	}
	defer unix.Close(process)
	owner, err := readPIDFile(o.PIDFile)
	if err != nil {
		return err
	}
	if owner != peer.PID {
		return fmt.Errorf("that is pid %d", owner)
	}
	return ended(process)
}

// pidMax is the longest text of a process id in bytes, with its newline.
const pidMax = len("2147483647\n")

func readPIDFile(path string) (int32, error) {
	var buf [pidMax + 1]byte
	text, err := readSmall(path, buf[:])
	switch {
	case err == nil:
		return parsePID(text)
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("that file is missing: the domain does not run, or libvirt keeps its pid files in another folder than libvirt.pids says (%w)", err)
	case errors.Is(err, errLong):
		return 0, errNoPID
	}
	return 0, fmt.Errorf("that file cannot be read: %w", err)
}

// parsePID takes a process id as libvirt writes it, without a newline, and as
// QEMU's -pidfile does, with one.
func parsePID(text []byte) (int32, error) {
	digits := string(bytes.TrimSuffix(text, []byte("\n")))
	id, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != digits {
		return 0, errNoPID
	}
	return int32(id), nil
}

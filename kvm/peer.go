package kvm

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Peer is who connected, as the kernel saw them at that moment (SO_PEERCRED,
// unix(7)).
type Peer struct {
	PID int32  `json:"pid"`
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

func (p Peer) String() string { return fmt.Sprintf("pid %d uid %d", p.PID, p.UID) }

func peerOf(conn *net.UnixConn) (Peer, error) {
	var cred *unix.Ucred
	err := control(conn, func(fd int) (err error) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	})
	if err != nil {
		return Peer{}, fmt.Errorf("who is at the socket: %w", err)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// gone says whether the other end of conn has hung up.
func gone(conn *net.UnixConn) bool {
	hungUp := false
	err := control(conn, func(fd int) error {
		events, err := poll(fd, unix.POLLRDHUP)
		hungUp = err == nil && events&(unix.POLLHUP|unix.POLLRDHUP|unix.POLLERR) != 0
		return nil
	})
	return hungUp || err != nil
}

// control has f look at conn's descriptor.
func control(conn *net.UnixConn, f func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if closed := raw.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return closed
	}
	return err
}

// poll says which events there are on fd, and does not wait for any.
func poll(fd int, events int16) (int16, error) {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		_, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) { // the runtime's signals do that, too
			return fds[0].Revents, err
		}
	}
}

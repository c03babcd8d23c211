//go:build unix

package storetest

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// pair is a real socket pair, so that messages are split and joined as sockets do.
func pair() (a, b net.Conn, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	var errs [2]error
	a, errs[0] = conn(fds[0])
	b, errs[1] = conn(fds[1])
	return a, b, errors.Join(errs[:]...)
}

func conn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "xenstored")
	defer func() { _ = f.Close() }()
	return net.FileConn(f)
}

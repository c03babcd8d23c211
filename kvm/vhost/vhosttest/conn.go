package vhosttest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Conn carries messages and the descriptors that go with them.
type Conn struct{ *net.UnixConn }

// Pair is a connection and the device's end of it.
func Pair() (Conn, *net.UnixConn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return Conn{}, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		conn, fileErr := net.FileConn(file) // has its own descriptor
		file.Close()
		if fileErr != nil {
			err = fileErr
			continue
		}
		ends[i] = conn.(*net.UnixConn)
	}
	if err != nil {
		return Conn{}, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return Conn{ends[0]}, ends[1], nil
}

// Send writes bytes, whatever they are, and passes descriptors with the first of
// them (SCM_RIGHTS, unix(7)).
func (c Conn) Send(b []byte, fds ...int) error {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(b, rights, nil)
	for err == nil && n < len(b) {
		var more int
		more, err = c.Write(b[n:])
		n += more
	}
	return err
}

// Recv reads one message. Descriptors that come with it are closed.
func (c Conn) Recv() (Message, error) {
	header, err := c.read(headerSize)
	if err != nil {
		return Message{}, err
	}
	m := Message{
		Request: Request(binary.NativeEndian.Uint32(header)),
		Flags:   binary.NativeEndian.Uint32(header[4:]),
	}
	size := binary.NativeEndian.Uint32(header[8:])
	if size > maxReply {
		return m, fmt.Errorf("the answer to request %d has %d bytes", m.Request, size)
	}
	m.Payload, err = c.read(int(size))
	return m, err
}

func (c Conn) read(size int) ([]byte, error) {
	b := make([]byte, size)
	for n := 0; n < size; {
		rights := make([]byte, unix.CmsgSpace(8*4)) // as many as a message may carry
		more, oob, _, _, err := c.ReadMsgUnix(b[n:], rights)
		discard(rights[:oob])
		if err != nil {
			return nil, err
		}
		if more == 0 {
			return nil, io.EOF
		}
		n += more
	}
	return b, nil
}

func discard(rights []byte) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

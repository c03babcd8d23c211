package vhost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// conn carries messages and the descriptors that come with them. It is for one
// goroutine.
type conn struct {
	*net.UnixConn
	m   message
	buf [headerSize + maxPayload]byte
	oob []byte
}

func newConn(c *net.UnixConn) *conn {
	return &conn{UnixConn: c, oob: make([]byte, unix.CmsgSpace(4*maxDescriptors))}
}

// receive waits for the next message, which is good until the next call; what nobody
// takes of its descriptors is to be discarded before. io.EOF: the front end has gone.
func (c *conn) receive() (*message, error) {
	// Descriptors come with the first byte, and what is read then ends where others
	// would come. The next reads take none: the kernel closes them.
	n, oobn, flags, _, err := c.ReadMsgUnix(c.buf[:headerSize], c.oob)
	if err != nil {
		return nil, err
	}
	c.m.fds, err = rights(c.oob[:oobn])
	switch {
	case err != nil:
		return nil, err
	case flags&unix.MSG_CTRUNC != 0:
		return nil, fmt.Errorf("a message came with more than %d descriptors, or hostd has none left", maxDescriptors)
	}
	if _, err := io.ReadFull(c, c.buf[n:headerSize]); err != nil {
		return nil, err
	}
	size, err := c.m.header(c.buf[:headerSize])
	if err != nil {
		return nil, err
	}
	c.m.payload = c.buf[headerSize:][:size]
	if _, err := io.ReadFull(c, c.m.payload); err != nil {
		return nil, err
	}
	return &c.m, nil
}

// rights are the descriptors in control messages. With an error there are none.
func rights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("descriptors of a message: %w", err)
	}
	for i := range messages {
		some, err := unix.ParseUnixRights(&messages[i])
		if errors.Is(err, unix.EINVAL) {
			continue // it is no SCM_RIGHTS, and holds none
		}
		fds = append(fds, some...)
	}
	return fds, nil
}

// discard closes the descriptors that nobody took.
func (c *conn) discard() {
	for fd := c.m.take(); fd >= 0; fd = c.m.take() {
		_ = unix.Close(fd) // there is nothing to be done about it
	}
}

// reply answers a request with numbers of 64 bits.
func (c *conn) reply(request uint32, payload ...byte) error {
	b := make([]byte, headerSize, headerSize+8)
	binary.LittleEndian.PutUint32(b, request)
	binary.LittleEndian.PutUint32(b[4:], version|flagReply)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(payload)))
	if _, err := c.Write(append(b, payload...)); err != nil {
		return fmt.Errorf("answer message %d: %w", request, err)
	}
	return nil
}

func (c *conn) reply64(request uint32, v uint64) error {
	return c.reply(request, binary.LittleEndian.AppendUint64(nil, v)...)
}

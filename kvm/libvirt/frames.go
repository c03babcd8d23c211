package libvirt

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// Sizes of a frame of libvirt's RPC, its length word included
// (https://libvirt.org/kbase/internals/rpc.html).
const (
	minFrame = 28 // length, and the six words of the header
	// An XML of MaxXML or a list of REMOTE_DOMAIN_LIST_MAX (16384) domains with the
	// longest names that a file system takes.
	maxFrame = 2 * MaxXML
)

var errFrame = errors.New("what listens there does not speak libvirt's protocol: is it a libvirtd's socket?")

// openReply is the last that comes while the library connects: REMOTE_PROC_CONNECT_OPEN
// of remote_protocol.x.
const openReply = 1

// frames is a connection that hands on nothing but frames of a believable length,
// since the library makes room for whatever length it is told. When nothing more can
// come it says once why.
type frames struct {
	net.Conn
	head [16]byte // length, program, version and procedure
	have int      // bytes of head that have come
	left int      // bytes of the frame that are still to come
	over func(error)
	done bool

	// The library may not see the end of the connection between the last answer it
	// needs to connect and its return from there: two of its goroutines would get
	// in each other's way.
	opened  bool
	release sync.Once
	open    chan struct{} // closed when it has returned, or has given up
}

func newFrames(conn net.Conn, over func(error)) *frames {
	return &frames{Conn: conn, over: over, open: make(chan struct{})}
}

// connected says that the library has connected.
func (f *frames) connected() { f.release.Do(func() { close(f.open) }) }

// Close is what the library does when it could not.
func (f *frames) Close() error {
	f.connected()
	return f.Conn.Close()
}

func (f *frames) Read(p []byte) (int, error) {
	if f.done { // the library reads on after an error within a frame
		return 0, io.EOF
	}
	n, err := f.Conn.Read(p)
	if err == nil {
		err = f.follow(p[:n])
	}
	if err == nil {
		return n, nil
	}
	f.done = true
	f.over(err)
	if f.opened {
		<-f.open
	}
	return 0, io.EOF // it takes others for passing ones
}

// follow goes through what has come, frame by frame.
func (f *frames) follow(b []byte) error {
	for len(b) > 0 {
		if f.have < len(f.head) {
			n := copy(f.head[f.have:], b)
			b, f.have = b[n:], f.have+n
			size := binary.BigEndian.Uint32(f.head[:])
			if f.have >= 4 && (size < minFrame || size > maxFrame) {
				return errFrame
			}
			if f.have == len(f.head) {
				f.left = int(size) - len(f.head)
			}
			continue
		}
		n := min(len(b), f.left)
		b, f.left = b[n:], f.left-n
		if f.left == 0 {
			f.have = 0
			f.opened = f.opened || binary.BigEndian.Uint32(f.head[12:]) == openReply
		}
	}
	return nil
}

package backends

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"headgate/wire/egd"
)

const (
	// egdWait is how many bytes are waited for when the server has none at once. Few,
	// since the answer comes when all of them are there: a server that has one byte in
	// 3 seconds must not look stuck to a Pump.
	egdWait = 16

	// sunPathMax is what a path of a unix socket may have, with its zero byte
	// (sun_path in include/uapi/linux/un.h).
	sunPathMax = 108
)

var errEGDGone = errors.New("the EGD server has closed the connection: it has ended, or does not serve another client")

// egdSource is a client of an EGD server on this host: the daemon of an Entropy Key
// (ekeyd), Entropy Broker's eb_client_egd, prngd, another hostd. Who listens at the
// socket chooses the bytes, so it is for the operator to know who may make it; what
// noise is behind it, if any, cannot be seen from here.
//
// A Read asks for what the server has at once, up to 255 bytes, and where that is
// nothing waits for a few. Nothing is asked for ahead of need: what is owed when the
// stream is closed, and so lost, is at most one such answer.
type egdSource struct {
	config Config
}

func newEGD(c Config) Source { return egdSource{c} }

func checkEGD(c Config) error {
	const allowed = "the absolute path of a unix socket (ekeyd: EGDUnixSocket, Entropy Broker: eb_client_egd -d)"
	path := c.Path
	scheme, rest, colon := strings.Cut(path, ":")
	_, notNumber := strconv.ParseUint(path, 10, 64)
	switch {
	case path == "":
		return refuse("path", allowed, "no socket is given")
	case path[0] == '@' || path[0] == 0:
		return refuse("path", allowed, "%q is an abstract socket: it has no owner and no mode, so any user could take its place and choose the bytes", path)
	case colon && scheme == "unix":
		return refuse("path", allowed, "%q: leave out %q and name the path alone: %q", path, "unix:", rest)
	case notNumber == nil, colon && path[0] != '/', strings.HasPrefix(path, "//"):
		return refuse("path", allowed, "%q is an address on a network: entropy never crosses one, "+
			"for whoever sees it there knows the keys that are made of it, and EGD has nothing to hide or prove it with; "+
			"read the device on the host that has it", path)
	case path[0] != '/':
		return refuse("path", allowed, "%q is relative to a folder that is not yours to choose", path)
	case len(path) >= sunPathMax:
		return refuse("path", allowed, "it has %d bytes, and the path of a socket can have %d", len(path), sunPathMax-1)
	}
	return nil
}

// Open connects. A server is not asked for anything yet: one that serves one client at
// a time answers when the one before has gone.
func (s egdSource) Open() (io.ReadCloser, Info, error) {
	path := s.config.Path
	origin, err := socketOrigin(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Info{}, fmt.Errorf("open %s: there is no socket yet: start the EGD server that makes it: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, Info{}, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, Info{}, egdRefused(path, err)
	}
	info := Info{Path: path, Driver: "egd", Origin: origin}
	return &egdStream{conn: conn, client: egd.NewClient(conn)}, s.config.claim(info, 8), nil
}

// egdRefused says what a failed connect means and what to do about it.
func egdRefused(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("open %s: the EGD server that made this socket is gone: start it again: %w", path, syscall.ECONNREFUSED)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("open %s: the EGD server does not take connections: it is stuck, or serves too many others: %w", path, syscall.EAGAIN)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("open %s: hostd's user may not write to the socket: change its owner or mode: %w", path, syscall.EACCES)
	case errors.Is(err, syscall.EPROTOTYPE):
		return fmt.Errorf("open %s: it is not a stream socket, and so no EGD server's: %w", path, syscall.EPROTOTYPE)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// egdStream is one connection.
type egdStream struct {
	conn   *net.UnixConn
	client *egd.Client
	closed atomic.Bool
}

func (s *egdStream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.client.ReadNonblock(p)
	if n == 0 && err == nil {
		n, err = s.client.Read(p[:min(len(p), egdWait)])
	}
	if err == nil {
		return n, nil
	}
	clear(p)
	switch {
	case s.closed.Load():
		return 0, os.ErrClosed
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return 0, errEGDGone
	}
	return 0, err
}

func (s *egdStream) Close() error {
	s.closed.Store(true)
	return s.conn.Close()
}

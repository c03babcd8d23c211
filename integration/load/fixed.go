//go:build linux

package load

import (
	"errors"
	"net"
	"sync"
)

// Fixed is the floor that servers of the EGD protocol are held against: it answers each
// request at once and from a fixed buffer, on the same machine at the same time.
type Fixed struct {
	path     string
	listener net.Listener
	tasks    sync.WaitGroup
}

// StartFixed serves at a socket of that path until Close.
func StartFixed(path string) (*Fixed, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	f := &Fixed{path: path, listener: l}
	f.tasks.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				f.tasks.Go(func() { answerFixed(conn) })
			}
		}
	})
	return f, nil
}

// Close ends it. Clients that are connected have to hang up for that.
func (f *Fixed) Close() {
	f.listener.Close()
	f.tasks.Wait()
}

func answerFixed(conn net.Conn) {
	defer conn.Close()
	var in [2]byte
	var out [255]byte
	for {
		if n, err := conn.Read(in[:]); err != nil || n < len(in) {
			return
		}
		if _, err := conn.Write(out[:in[1]]); err != nil {
			return
		}
	}
}

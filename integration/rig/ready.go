//go:build linux

package rig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	errNotReady = errors.New("no READY=1")
	errEnded    = errors.New("it ended")
)

// readiness is a service manager's end of sd_notify(3): a datagram socket to
// which a daemon says READY=1. It reads for as long as the daemon lives, since
// a full socket would block the daemon.
type readiness struct {
	path  string
	conn  *net.UnixConn
	ready chan struct{} // closed at READY=1
	done  chan struct{} // closed when nothing reads any more
}

func listenReadiness(path string) (*readiness, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for readiness: %w", err)
	}
	r := &readiness{path: path, conn: conn, ready: make(chan struct{}), done: make(chan struct{})}
	go r.read()
	return r, nil
}

func (r *readiness) read() {
	defer close(r.done)
	tell := sync.OnceFunc(func() { close(r.ready) })
	message := make([]byte, 4096)
	for {
		n, err := r.conn.Read(message)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(message[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				tell()
			}
		}
	}
}

// await returns when READY=1 has come.
func (r *readiness) await(gone <-chan struct{}, patience time.Duration) error {
	select {
	case <-r.ready:
		return nil
	case <-gone:
		return errEnded
	case <-time.After(patience):
		return fmt.Errorf("%w within %s", errNotReady, patience)
	}
}

func (r *readiness) close() {
	r.conn.Close()
	<-r.done
	_ = os.Remove(r.path)
}

//go:build linux

package pipe

import (
	"errors"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"headgate/xen/xenstore"
)

// xenbus is where the kernel's way to xenstore is, in any domain of Xen.
var xenbus = []string{xenstore.DevicePath, "/proc/xen/xenbus"}

// findXen returns the way to xenstore; "" where this is no guest of Xen's. Domain 0
// is none: it has its own daemon.
func (pl *Place) findXen() string {
	if caps, _ := os.ReadFile(pl.Root + "/proc/xen/capabilities"); strings.Contains(string(caps), "control_d") {
		return ""
	}
	for _, path := range xenbus {
		if exists(pl.Root + path) {
			return pl.Root + path
		}
	}
	return ""
}

// xenstore is what all pipes of this place use.
func (pl *Place) xenstore() *store {
	if pl.bus == nil {
		pl.bus = &store{dial: func() (*xenstore.Conn, error) { return xenstore.Dial(pl.findXen()) }}
	}
	return pl.bus
}

// store is the connection to xenstore that the pipes of one guest share. It is
// there while one of them uses it.
type store struct {
	dial func() (*xenstore.Conn, error)

	mu  sync.Mutex
	now *tie
}

// tie is a connection with those who use it.
type tie struct {
	*xenstore.Conn
	of    *store
	users int
}

// use returns the connection, a new one if there is none or it was lost.
func (s *store) use() (*tie, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || s.now.Err() != nil {
		conn, err := s.dial()
		if err != nil {
			return nil, err
		}
		s.now = &tie{Conn: conn, of: s}
	}
	s.now.users++
	return s.now, nil
}

// leave ends one use.
func (t *tie) leave() {
	s := t.of
	s.mu.Lock()
	t.users--
	last := t.users == 0
	if last && s.now == t {
		s.now = nil
	}
	s.mu.Unlock()
	if last {
		_ = t.Close()
	}
}

// follow sets a watch, and returns after its first signal, which is that it was set: one
// of a resume, at which the kernel sets it again, could not be told from that later. It
// calls look at each that comes then. When look says no, or the connection is lost, it
// calls over. The watch ends by then or by stop.
func (t *tie) follow(path string, look func() bool, over func()) (stop func(), err error) {
	w, err := t.Watch(path)
	if err != nil {
		return nil, err
	}
	select {
	case <-w.C:
	case <-t.Done():
		return nil, t.Err()
	}
	quit := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = w.Close() }()
		for {
			select {
			case <-w.C:
				if look() {
					continue
				}
			case <-t.Done():
			case <-quit:
				return
			}
			over()
			return
		}
	}()
	return func() { close(quit); <-done }, nil
}

// own takes a file for this process: two guestds would take each other's ring or
// bytes. The lock goes with the file, however this process ends.
func own(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); cerr != nil {
		return cerr
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New(inUse)
	}
	return err
}

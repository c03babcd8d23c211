package storetest

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"headgate/xen/xenstore"
)

// Store is a xenstored. It has domain 0.
type Store struct {
	mu         sync.Mutex
	tree       tree
	generation uint64
	sessions   map[*session]struct{}
	listeners  []net.Listener
	hung       bool
	short      map[string]bool // paths that no memory is left to read
	closed     bool
	goroutines sync.WaitGroup
}

// New returns a store with the tree of a dom0. Close ends it.
func New() *Store {
	s := &Store{tree: tree{"/": {perms: []string{"n0"}}}, sessions: make(map[*session]struct{}), short: map[string]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found(0)
	return s
}

// Connect returns a connection as the domain of that number has it.
func (s *Store) Connect(domid uint16) *xenstore.Conn {
	ours, theirs, err := pair()
	if err != nil {
		panic(err)
	}
	s.serve(theirs, domid)
	return xenstore.New(ours)
}

// Listen serves domain 0 on a unix socket until Close, or until the test is over and
// the store is closed with it.
func (s *Store) Listen(t testing.TB, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.goroutines.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(conn, 0)
		}
	})
	t.Cleanup(s.Close)
}

// Introduce brings a domain up: /local/domain/N with domid and data, which is its
// own. It fires @introduceDomain.
func (s *Store) Introduce(domid uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found(domid)
	s.fire(change{path: "@introduceDomain"})
}

// Release destroys a domain: /local/domain/N and its connections are gone. It fires
// @releaseDomain.
func (s *Store) Release(domid uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.sessions {
		if ses.domid == domid {
			ses.cut()
		}
	}
	s.dissolve(domid)
}

// Restore is what a guest sees that is saved as one domain and restored as another:
// its connections go on, as those of the new one, its transactions are void, and the
// kernel sets its watches again, each of which fires.
func (s *Store) Restore(from, to uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved := make([]*session, 0, len(s.sessions))
	for ses := range s.sessions {
		if ses.domid == from {
			moved = append(moved, ses)
		}
	}
	s.dissolve(from)
	s.found(to)
	s.fire(change{path: "@introduceDomain"})
	for _, ses := range moved {
		ses.restore(to)
	}
}

// Hang makes the store take requests and answer none.
func (s *Store) Hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung = true
}

// Short makes the store refuse, from now on or no longer, to say what a node has, as
// xenstored does that has no memory left.
func (s *Store) Short(path string, short bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.short[path] = short
}

// Close is the death of xenstored: all connections are cut, and its sockets are gone.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		_ = l.Close() // again, in a test that closes the store itself
	}
	for ses := range s.sessions {
		ses.cut()
	}
	s.mu.Unlock()
	s.goroutines.Wait()
}

func home(domid uint16) string { return "/local/domain/" + strconv.Itoa(int(domid)) }

func (s *Store) found(domid uint16) {
	id := strconv.Itoa(int(domid))
	_ = s.apply(step{op: opWrite, path: home(domid) + "/domid", value: id, domid: 0})
	_ = s.apply(step{op: opSetPerms, path: home(domid), perms: []string{"n0", "r" + id}})
	_ = s.apply(step{op: opMkdir, path: home(domid) + "/data"})
	_ = s.apply(step{op: opSetPerms, path: home(domid) + "/data", perms: []string{"n" + id}})
}

func (s *Store) dissolve(domid uint16) {
	_ = s.apply(step{op: opRemove, path: home(domid)})
	s.fire(change{path: "@releaseDomain"})
}

// apply takes one step in the tree itself, and tells who watches.
func (s *Store) apply(st step) error {
	c, err := s.tree.do(st, s.next)
	if err == nil {
		s.fire(c)
	}
	return err
}

func (s *Store) next() uint64 {
	s.generation++
	return s.generation
}

func (s *Store) fire(c change) {
	if c.path == "" {
		return
	}
	for ses := range s.sessions {
		for _, w := range ses.watches {
			ses.notify(w, c)
		}
	}
}

func (s *Store) serve(conn net.Conn, domid uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses := newSession(s, conn, domid)
	if s.closed {
		_ = conn.Close()
		return
	}
	s.sessions[ses] = struct{}{}
	s.goroutines.Go(ses.read)
	s.goroutines.Go(ses.write)
}

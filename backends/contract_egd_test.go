package backends

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"headgate/wire/egd"
)

func init() {
	subjects["egd"] = func(t *testing.T, h float64) subject {
		s := serveEGD(t)
		return subject{source: build(t, Config{Type: "egd", Path: s.path, MinEntropy: h}), write: s.put}
	}
}

// egdServer is a server that gives what it was given, and answers no read that it has
// too little for.
type egdServer struct {
	path string
	put  func(p []byte)

	mu    sync.Mutex
	more  *sync.Cond
	have  []byte
	done  bool
	asked []egd.Request
	owed  int // bytes asked for by reads that wait
}

// serveEGD starts a server. It ends with the test.
func serveEGD(t testing.TB) *egdServer {
	s := &egdServer{path: filepath.Join(t.TempDir(), "egd.sock")}
	s.more = sync.NewCond(&s.mu)
	s.put = func(p []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.have = append(s.have, p...)
		s.more.Broadcast()
	}
	l, err := net.Listen("unix", s.path)
	check(t, err)
	var clients sync.WaitGroup
	var conns []net.Conn
	clients.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			conns = append(conns, conn)
			s.mu.Unlock()
			clients.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		s.done = true
		for _, conn := range conns {
			_ = conn.Close()
		}
		s.more.Broadcast()
		s.mu.Unlock()
		clients.Wait()
	})
	return s
}

// serve answers one client until it has gone.
func (s *egdServer) serve(conn net.Conn) {
	defer conn.Close()
	requests := make(chan egd.Request)
	gone := false
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer conn.Close()
	tasks.Go(func() {
		defer func() {
			s.mu.Lock()
			gone = true
			s.more.Broadcast()
			s.mu.Unlock()
			close(requests)
		}()
		var head [2]byte
		for {
			if _, err := io.ReadFull(conn, head[:]); err != nil {
				return
			}
			r, _, err := egd.ParseRequest(head[:])
			if err != nil {
				return
			}
			requests <- r
		}
	})
	for r := range requests {
		answer, ok := s.answer(r, &gone)
		if _, err := conn.Write(answer); err != nil || !ok {
			_ = conn.Close()
			for range requests { // what it has asked for until then
			}
			return
		}
	}
}

// answer waits for the bytes of a blocking read, until the client or the test is gone.
func (s *egdServer) answer(r egd.Request, gone *bool) (answer []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	n := int(r.N)
	if r.Op == egd.OpReadNonblock {
		n = min(n, len(s.have))
		answer = append(answer, byte(n))
	}
	s.owed = n
	for len(s.have) < n && !s.done && !*gone {
		s.more.Wait()
	}
	s.owed = 0
	if len(s.have) < n {
		return nil, false
	}
	answer = append(answer, s.have[:n]...)
	s.have = s.have[n:]
	return answer, true
}

// requests returns what was asked for until now.
func (s *egdServer) requests() []egd.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]egd.Request(nil), s.asked...)
}

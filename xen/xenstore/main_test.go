package xenstore

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for something that is to happen.
const patience = 20 * time.Second

// far is the other end of a connection, driven by hand.
type far struct {
	t    *testing.T
	conn net.Conn
	buf  []byte
}

// connected returns a client and the other end of its socket.
func connected(t *testing.T, limit time.Duration) (*Conn, *far) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := start(socket(t, fds[0]), false, limit)
	f := &far{t: t, conn: socket(t, fds[1])}
	_ = f.conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() {
		_ = f.conn.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, f
}

func socket(t *testing.T, fd int) net.Conn {
	t.Helper()
	file := os.NewFile(uintptr(fd), "socketpair")
	conn, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// request takes the next request.
func (f *far) request() (header, string) {
	f.t.Helper()
	for {
		h, payload, size, err := nextMessage(f.buf)
		if err != nil {
			f.t.Error(err)
			return h, ""
		}
		if size > 0 {
			s := string(payload)
			f.buf = f.buf[size:]
			return h, s
		}
		more := make([]byte, messageMax)
		n, err := f.conn.Read(more)
		if err != nil {
			f.t.Errorf("no request: %v", err)
			return h, ""
		}
		f.buf = append(f.buf, more[:n]...)
	}
}

func (f *far) send(b []byte) {
	f.t.Helper()
	if _, err := f.conn.Write(b); err != nil {
		f.t.Error(err)
	}
}

func (f *far) reply(h header, payload string) { f.send(appendMessage(nil, h, payload)) }

// answer answers the next request in a goroutine.
func (f *far) answer(with func(header, string) []byte) {
	go func() {
		h, payload := f.request()
		f.send(with(h, payload))
	}()
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s does not happen", what)
	}
}

// scripted is a device: each write is answered by a function, as the kernel does
// within write(2).
type scripted struct {
	in    io.ReadCloser
	write func(b []byte) error
	close func()
}

func (s *scripted) Read(p []byte) (int, error) { return s.in.Read(p) }
func (s *scripted) Close() error               { s.close(); return s.in.Close() }
func (s *scripted) Write(b []byte) (int, error) {
	if err := s.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

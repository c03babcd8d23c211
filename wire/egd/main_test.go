package egd

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headgate/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for something that is to happen.
const patience = 20 * time.Second

// A pair is one connection with a server at the other end.
type pair struct {
	t      testing.TB
	conn   net.Conn
	client *Client
	cancel context.CancelCauseFunc
	served chan struct{}
	err    error  // of Serve, once served is closed
	at     uint64 // how much of the tap's pattern has arrived
}

// dial starts s on one end of a real unix socket pair. When the test ends so
// does the connection.
func dial(t testing.TB, s *Server) *pair {
	t.Helper()
	ours, theirs := socketPair(t)
	return start(t, s, ours, theirs)
}

func start(t testing.TB, s *Server, ours, theirs net.Conn) *pair {
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &pair{t: t, conn: ours, client: NewClient(ours), cancel: cancel, served: make(chan struct{})}
	go func() {
		p.err = s.Serve(ctx, theirs)
		close(p.served)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		cancel(nil)
		_ = p.ended()
	})
	_ = ours.SetDeadline(time.Now().Add(patience))
	return p
}

func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return unixConn(t, fds[0]), unixConn(t, fds[1])
}

func unixConn(t testing.TB, fd int) *net.UnixConn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "socketpair")
	c, err := net.FileConn(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn)
}

// ended waits for Serve to return and says what it did.
func (p *pair) ended() error {
	p.t.Helper()
	select {
	case <-p.served:
		return p.err
	case <-time.After(patience):
		p.t.Fatal("Serve does not return")
		return nil
	}
}

func (p *pair) write(b ...byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// want reads n bytes and holds them to be the next of the tap's pattern.
func (p *pair) want(n int) {
	p.t.Helper()
	got := make([]byte, n)
	p.read(got)
	p.next(got)
}

func (p *pair) next(got []byte) {
	p.t.Helper()
	want := make([]byte, len(got))
	wiretest.Pattern(want, p.at)
	for i := range got {
		if got[i] != want[i] {
			p.t.Fatalf("byte %d of the tap is not what it gave", p.at+uint64(i))
		}
	}
	p.at += uint64(len(got))
}

// raw reads bytes that are no entropy.
func (p *pair) raw(want ...byte) {
	p.t.Helper()
	got := make([]byte, len(want))
	p.read(got)
	if string(got) != string(want) {
		p.t.Fatalf("answer %x, want %x", got, want)
	}
}

// dry waits until a writer hangs on the empty tank.
func dry(t testing.TB, tank *wiretest.Tank) {
	t.Helper()
	dryFor(t, tank, 1)
}

func dryFor(t testing.TB, tank *wiretest.Tank, writers int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tank.Dry(ctx, writers)
	if ctx.Err() != nil {
		t.Fatal("nobody waits for the tap")
	}
}

// read fills b.
func (p *pair) read(b []byte) {
	p.t.Helper()
	if _, err := io.ReadFull(p.conn, b); err != nil {
		p.t.Fatal(err)
	}
}

// close closes the client's end, which is no error to the server.
func (p *pair) close() {
	p.t.Helper()
	if err := p.conn.Close(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.ended(); err != nil {
		p.t.Fatalf("Serve: %v", err)
	}
}

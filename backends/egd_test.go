package backends

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"headgate/wire/egd"
)

// TestEGDAsksForNoMoreThanItNeeds reads all there is at once, and then waits for a
// few bytes and no more.
func TestEGDAsksForNoMoreThanItNeeds(t *testing.T) {
	s := serveEGD(t)
	stream, info, err := build(t, Config{Type: "egd", Path: s.path}).Open()
	check(t, err)
	defer stream.Close()
	if info.Noise != Unknown || !strings.HasPrefix(info.Origin, "socket:") || info.Path != s.path {
		t.Errorf("info %+v", info)
	}
	if asked := s.requests(); len(asked) != 0 {
		t.Errorf("Open asked for %v", asked)
	}
	want := noise(300 + egdWait)
	s.put(want[:300])
	var got []byte
	p := make([]byte, 512)
	for _, size := range []int{10, 255, 35} {
		n, err := stream.Read(p[:max(size, 10)])
		check(t, err)
		if n != size {
			t.Fatalf("read %d, want %d", n, size)
		}
		got = append(got, p[:n]...)
	}
	type read struct {
		n   int
		err error
	}
	done := make(chan read)
	go func() {
		n, err := stream.Read(p)
		done <- read{n, err}
	}()
	eventually(t, "it does not wait", func() bool { return len(s.requests()) == 5 })
	s.put(want[300 : 300+egdWait-1])
	select {
	case r := <-done:
		t.Fatalf("read %d, %v, of too little", r.n, r.err)
	case <-time.After(5 * time.Millisecond):
	}
	s.put(want[len(want)-1:])
	r := <-done
	check(t, r.err)
	got = append(got, p[:r.n]...)
	if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, not those that were given", len(got))
	}
	asked := []egd.Request{
		{Op: egd.OpReadNonblock, N: 10}, {Op: egd.OpReadNonblock, N: 255}, {Op: egd.OpReadNonblock, N: 35},
		{Op: egd.OpReadNonblock, N: 255}, {Op: egd.OpRead, N: egdWait},
	}
	if got := s.requests(); !slices.Equal(got, asked) {
		t.Errorf("asked\n got %v\nwant %v", got, asked)
	}
	if n, err := stream.Read(nil); n != 0 || err != nil || len(s.requests()) != len(asked) {
		t.Errorf("a read of nothing: %d, %v", n, err)
	}
}

// scriptEGD is a server that reads one request, writes answer and hangs up, or with
// hold waits for the client to go. The buffer of the client must not be as it was.
func scriptEGD(t *testing.T, answer []byte, hold bool) (path string) {
	path = filepath.Join(t.TempDir(), "egd.sock")
	l, err := net.Listen("unix", path)
	check(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.ReadFull(conn, make([]byte, 2))
		_, _ = conn.Write(answer)
		if hold {
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	return path
}

func TestEGDServerFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer []byte
		want   string
	}{
		{"at once", nil, "the EGD server has closed the connection"},
		{"in the middle", []byte{10, 1, 2, 3}, "the EGD server has closed the connection"},
		{"with nothing, and then", []byte{0}, "the EGD server has closed the connection"},
		{"more than asked", []byte{200, 1, 2, 3}, "gave 200 bytes of 16 asked"},
	} {
		stream, _, err := build(t, Config{Type: "egd", Path: scriptEGD(t, c.answer, false)}).Open()
		check(t, err)
		p := make([]byte, 16)
		n, err := stream.Read(p)
		if n != 0 || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
		if !bytes.Equal(p, make([]byte, 16)) {
			t.Errorf("%s: bytes of a broken answer are left", c.name)
		}
		check(t, stream.Close())
	}
}

// TestEGDServerHangs closes a stream whose server takes requests and answers in part.
func TestEGDServerHangs(t *testing.T) {
	for _, answer := range [][]byte{nil, {16}, {16, 1, 2}, {0}} {
		stream, _, err := build(t, Config{Type: "egd", Path: scriptEGD(t, answer, true)}).Open()
		check(t, err)
		done := make(chan error)
		go func() {
			_, err := stream.Read(make([]byte, 16))
			done <- err
		}()
		select {
		case err := <-done:
			t.Fatalf("read %v of a server that hangs", err)
		case <-time.After(2 * time.Millisecond):
		}
		check(t, stream.Close())
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Errorf("answer %v: %v", answer, err)
		}
	}
}

// TestPumpThroughEGD has the server go and come back at the same path.
func TestPumpThroughEGD(t *testing.T) {
	path := filepath.Join(t.TempDir(), "egd.sock")
	serve := func(seed byte) (stop func()) {
		l, err := net.Listen("unix", path)
		check(t, err)
		done := make(chan struct{})
		var conn net.Conn
		go func() {
			defer close(done)
			if conn, err = l.Accept(); err != nil {
				return
			}
			defer conn.Close()
			give := good(64<<10, seed)
			for head := make([]byte, 2); ; {
				if _, err := io.ReadFull(conn, head); err != nil {
					return
				}
				n := min(int(head[1]), len(give))
				answer := give[:n]
				if give = give[n:]; head[0] == egd.OpReadNonblock {
					answer = append([]byte{byte(n)}, answer...)
				} else if n == 0 {
					_, _ = conn.Read(head) // it has no more: until the client goes
					return
				}
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}
		}()
		return func() {
			_ = l.Close()
			if conn != nil {
				_ = conn.Close()
			}
			<-done
		}
	}
	r := start(t, build(t, Config{Type: "egd", Path: path, MinEntropy: 6}), new(bucket),
		PumpOptions{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond})
	defer r.stop()
	eventually(t, "it is not missing", func() bool { return r.Status().State == Missing })
	for i := range byte(2) {
		before := len(r.bytes())
		stop := serve(i)
		eventually(t, "nothing was poured", func() bool { return len(r.bytes()) > before+1024 })
		stop()
		eventually(t, "the loss was not noticed", func() bool { return r.Status().State == Missing })
	}
	if s := r.Status(); s.Startups != 2 {
		t.Errorf("status %+v", s)
	}
}

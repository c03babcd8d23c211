package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"headgate/wire/feed"
	"headgate/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guest is the far end of a connection to a Server.
type guest struct {
	t      *testing.T
	rw     net.Conn
	buf    []byte
	dec    feed.Decoder
	served chan error
	cancel context.CancelFunc
}

func connect(t *testing.T, s *Server) *guest {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	g := &guest{t: t, rw: theirs, dec: feed.Decoder{Accept: feed.ToGuest}, served: make(chan error, 1), cancel: cancel}
	go func() { g.served <- s.Serve(ctx, ours) }()
	t.Cleanup(func() {
		cancel()
		_ = theirs.Close()
		_ = g.end()
	})
	return g
}

func (g *guest) end() error {
	err := <-g.served
	g.served <- err
	return err
}

// next returns the next frame from the host, with data of its own.
func (g *guest) next() feed.Frame {
	g.t.Helper()
	_ = g.rw.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		f, n, err := g.dec.Next(g.buf)
		f.Data = bytes.Clone(f.Data)
		g.buf = g.buf[n:]
		if err == nil {
			return f
		}
		p := make([]byte, 1024)
		if n, err = g.rw.Read(p); err != nil {
			g.t.Fatal(err)
		}
		g.buf = append(g.buf, p[:n]...)
	}
}

func (g *guest) send(f feed.Frame) {
	g.t.Helper()
	b, err := feed.Append(nil, &f)
	if err == nil {
		_ = g.rw.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, err = g.rw.Write(b)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) request(n uint32) { g.send(feed.Frame{Type: feed.TypeRequest, N: n}) }

func TestPushComesFirstAndGrantsFollow(t *testing.T) {
	tank := wiretest.NewTank(1 << 20)
	s := &Server{Tap: tank, Count: new(Counters)}
	g := connect(t, s)
	push := g.next()
	if push.Type != feed.TypePush || len(push.Data) != 64 || push.Bits != 512 {
		t.Fatalf("first frame: %+v", push)
	}
	g.request(64)
	grant := g.next()
	if grant.Type != feed.TypeGrant || len(grant.Data) != 64 || grant.Bits != 512 || grant.Epoch != push.Epoch {
		t.Fatalf("grant: %+v", grant)
	}
	var want [128]byte
	wiretest.Pattern(want[:], 0)
	if !bytes.Equal(append(push.Data, grant.Data...), want[:]) {
		t.Error("a byte was lost, repeated or out of order")
	}
	if !s.Push() {
		t.Error("Push saw no connection")
	}
	if again := g.next(); again.Type != feed.TypePush || again.Epoch == push.Epoch {
		t.Errorf("second push: %+v", again)
	}
	_ = g.rw.Close()
	if err := g.end(); err != nil {
		t.Error("hang up:", err)
	}
	if s.Push() {
		t.Error("Push saw a connection after the hang-up")
	}
	if n := tank.Unzeroed(); n != 0 {
		t.Errorf("%d bytes were not zeroed", n)
	}
	if c := s.Count; c.Requests.Load() != 1 || c.BytesOut.Load() != 192 || c.Pushes.Load() != 2 {
		t.Errorf("%d requests, %d bytes, %d pushes", c.Requests.Load(), c.BytesOut.Load(), c.Pushes.Load())
	}
}

func TestLargeRequestComesWhole(t *testing.T) {
	g := connect(t, &Server{Tap: new(wiretest.Endless)})
	g.next()
	g.request(feed.MaxData)
	for got := 0; got < feed.MaxData; {
		got += len(g.next().Data)
	}
}

// A dry supply: the guest goes on writing without ever blocking, what it asks for
// beyond the bound is refused, a push passes the waiting grant, and all that was
// accepted is granted in the end under the newest epoch.
func TestDrainsWhileAGrantWaits(t *testing.T) {
	tank := wiretest.NewTank(DefaultPush)
	s := &Server{Tap: tank, Count: new(Counters)}
	g := connect(t, s)
	first := g.next()
	const piece = 512
	for range 2 * MaxOwed / piece {
		g.request(piece)
	}
	garbage := bytes.Repeat([]byte("HGFD\x01\x04\x00\xff rubbish"), 100)
	if _, err := g.rw.Write(garbage); err != nil {
		t.Fatal(err)
	}
	g.request(piece)
	tank.Dry(t.Context(), 1)
	s.Push()
	tank.Pour(DefaultPush)
	second := g.next()
	if second.Type != feed.TypePush || second.Epoch == first.Epoch {
		t.Fatalf("a waiting grant held up the push: %+v", second)
	}
	tank.Pour(1 << 20) // the supply is back: no more is drawn than was accepted
	for got := 0; got < MaxOwed; {
		f := g.next()
		if f.Type != feed.TypeGrant || f.Epoch != second.Epoch {
			t.Fatalf("after %d bytes: %v under %x", got, f.Type, f.Epoch)
		}
		got += len(f.Data)
	}
	_ = g.rw.Close()
	_ = g.end()
	if n := tank.Given(); n > 2*DefaultPush+4<<10 {
		t.Errorf("a guest that kept asking drew %d bytes", n)
	}
	c := s.Count
	if c.Requests.Load() != MaxOwed/piece || c.Refused.Load() != MaxOwed/piece+1 || c.Skipped.Load() != uint64(len(garbage)) {
		t.Errorf("%d taken, %d refused, %d skipped", c.Requests.Load(), c.Refused.Load(), c.Skipped.Load())
	}
}

// A read with garbage in it is one event, however many bytes or frames were bad.
func TestGarbageIsCountedOnceARead(t *testing.T) {
	request, _ := feed.Append(nil, &feed.Frame{Type: feed.TypeRequest, N: 1})
	broken := bytes.Clone(request)
	broken[len(broken)-1] ^= 1
	for name, c := range map[string]struct {
		reads                    [][]byte
		garbage, badCRC, skipped uint64
	}{
		"frames":                {reads: [][]byte{request, append(bytes.Clone(request), request...)}},
		"a frame in two pieces": {reads: [][]byte{request[:9], request[9:]}},
		"rubbish":               {reads: [][]byte{[]byte("rubbish, rubbish")}, garbage: 1, skipped: 16},
		"rubbish and a frame":   {reads: [][]byte{append([]byte("rubbish"), request...), request}, garbage: 1, skipped: 7},
		"two bad checksums":     {reads: [][]byte{append(bytes.Clone(broken), broken...)}, garbage: 1, badCRC: 2, skipped: 48},
		"two reads":             {reads: [][]byte{broken, request, broken}, garbage: 2, badCRC: 2, skipped: 48},
	} {
		var count Counters
		k := newConn(&Server{Tap: new(wiretest.Endless), Count: &count}, nil)
		k.debt.closed = true // nothing is written
		dec, kept := feed.Decoder{Accept: feed.ToHost}, 0
		for _, p := range c.reads {
			kept = k.take(&dec, kept+copy(k.in[kept:], p))
		}
		if count.Garbage.Load() != c.garbage || count.BadCRC.Load() != c.badCRC || count.Skipped.Load() != c.skipped {
			t.Errorf("%s: %d garbage, %d bad, %d skipped", name, count.Garbage.Load(), count.BadCRC.Load(), count.Skipped.Load())
		}
	}
}

func TestServeEnds(t *testing.T) {
	t.Run("cancelled while a grant waits", func(t *testing.T) {
		tank := wiretest.NewTank(DefaultPush)
		g := connect(t, &Server{Tap: tank})
		g.next()
		g.request(1)
		tank.Dry(t.Context(), 1)
		g.cancel()
		if err := g.end(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("cancelled while the guest does not read", func(t *testing.T) {
		g := connect(t, &Server{Tap: new(wiretest.Endless)})
		g.cancel()
		if err := g.end(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("the guest hangs up while a grant waits", func(t *testing.T) {
		tank := wiretest.NewTank(DefaultPush)
		g := connect(t, &Server{Tap: tank})
		g.next()
		g.request(1)
		tank.Dry(t.Context(), 1)
		_ = g.rw.Close()
		if err := g.end(); err != nil {
			t.Error(err)
		}
	})
	t.Run("the tap is closed", func(t *testing.T) {
		tank := wiretest.NewTank(0)
		tank.Close()
		g := connect(t, &Server{Tap: tank})
		if err := g.end(); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
}

// script is a guest whose frames are all there from the start; it takes what it
// is given until the connection is closed.
type script struct {
	io.Reader
	done chan struct{}
}

func (s script) Read(p []byte) (int, error) {
	if n, _ := s.Reader.Read(p); n > 0 {
		return n, nil
	}
	<-s.done
	return 0, os.ErrClosed
}
func (s script) Write(p []byte) (int, error) { return len(p), nil }
func (s script) Close() error                { close(s.done); return nil }

func TestReportsAreBoundedAndLatestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		s := &Server{Tap: new(wiretest.Endless), Report: func(r feed.Report) { got = append(got, r.Reason) }}
		var stream []byte
		for i := range 500 {
			stream, _ = feed.Append(stream, &feed.Frame{Type: feed.TypeReport, Report: feed.Report{Reason: strconv.Itoa(i)}})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = s.Serve(ctx, script{bytes.NewReader(stream), make(chan struct{})})
		if len(got) != 2 || got[0] != "0" || got[1] != "499" {
			t.Errorf("delivered %v", got)
		}
	})
}

// FuzzServe gives a server any bytes from a guest: it takes all of them, grants
// what the valid requests among them ask for, no byte more, and ends.
func FuzzServe(f *testing.F) {
	req, _ := feed.Append(nil, &feed.Frame{Type: feed.TypeRequest, N: 100})
	rep, _ := feed.Append(nil, &feed.Frame{Type: feed.TypeReport, Report: feed.Report{Reason: "start", Version: "1"}})
	f.Add(append(req, rep...))
	f.Add(bytes.Repeat(req, 700))
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<16 {
			t.Skip("longer streams show no more")
		}
		asked, taken := uint64(0), 0
		dec := feed.Decoder{Accept: feed.ToHost}
		for rest := stream; ; {
			fr, n, err := dec.Next(rest)
			if rest = rest[n:]; err != nil {
				taken = len(stream) - len(rest)
				break
			}
			asked += uint64(fr.N)
		}
		synctest.Test(t, func(t *testing.T) {
			tap := new(wiretest.Endless)
			s := &Server{Tap: tap, Count: new(Counters)}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			left := bytes.NewReader(stream)
			_ = s.Serve(ctx, script{left, make(chan struct{})})
			c := s.Count
			if left.Len() != 0 || c.Skipped.Load() > uint64(taken) {
				t.Fatalf("%d bytes not read, %d skipped of %d", left.Len(), c.Skipped.Load(), taken)
			}
			out := c.BytesOut.Load() - DefaultPush
			if out > asked || out != tap.Given()-DefaultPush || (c.Refused.Load() == 0 && out != asked) {
				t.Fatalf("%d asked for, %d written, %d refused", asked, out, c.Refused.Load())
			}
		})
	})
}

func BenchmarkGrant(b *testing.B) {
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = (&Server{Tap: new(wiretest.Endless)}).Serve(b.Context(), ours)
	}()
	buf := make([]byte, 1024)
	_, _ = theirs.Read(buf)
	req, _ := feed.Append(nil, &feed.Frame{Type: feed.TypeRequest, N: 64})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = theirs.Write(req)
		_, _ = theirs.Read(buf)
	}
	_ = theirs.Close()
	<-done
}

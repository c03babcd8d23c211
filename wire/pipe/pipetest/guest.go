package pipetest

import (
	"bytes"
	"io"
	"testing"
	"time"

	"headgate/wire/feed"
)

// soon bounds every wait for something that is to happen.
const soon = 10 * time.Second

// guest is guestd at the far end of a connection. Its frames come by a goroutine,
// which ends with the connection.
type guest struct {
	t      *testing.T
	rw     io.ReadWriteCloser
	frames chan feed.Frame // closed when the connection has ended
}

func newGuest(t *testing.T, rw io.ReadWriteCloser) *guest {
	g := &guest{t: t, rw: rw, frames: make(chan feed.Frame)}
	over := make(chan struct{})
	go g.read(over)
	t.Cleanup(func() {
		close(over)
		_ = rw.Close()
		for range g.frames { // until it has ended
		}
	})
	return g
}

func (g *guest) read(over chan struct{}) {
	defer close(g.frames)
	dec := feed.Decoder{Accept: feed.ToGuest}
	var buf []byte
	p := make([]byte, feed.MaxFrame)
	for {
		n, err := g.rw.Read(p)
		buf = append(buf, p[:n]...)
		for {
			f, n, short := dec.Next(buf)
			f.Data = bytes.Clone(f.Data)
			buf = buf[n:]
			if short != nil {
				break
			}
			select {
			case g.frames <- f:
			case <-over:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// next is the next frame; it must be of that type.
func (g *guest) next(want feed.Type) feed.Frame {
	g.t.Helper()
	select {
	case f, ok := <-g.frames:
		if !ok || f.Type != want {
			g.t.Fatalf("a frame of type %d, connected %v; want type %d", f.Type, ok, want)
		}
		return f
	case <-time.After(soon):
		g.t.Fatalf("no frame came, want type %d", want)
	}
	return feed.Frame{}
}

// hungUp waits until the pipe has hung up.
func (g *guest) hungUp() {
	g.t.Helper()
	for deadline := time.After(soon); ; {
		select {
		case _, ok := <-g.frames:
			if !ok {
				return
			}
		case <-deadline:
			g.t.Fatal("the connection has not ended")
		}
	}
}

func (g *guest) send(f feed.Frame) {
	g.t.Helper()
	b, err := feed.Append(nil, &f)
	if err == nil {
		_, err = g.rw.Write(b)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

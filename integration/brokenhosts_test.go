//go:build linux

package integration

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"headgate/integration/rig"
	"headgate/wire/feed"
)

// brokenHost listens where hostd would.
type brokenHost struct {
	stop context.CancelFunc
	busy sync.WaitGroup

	mu   sync.Mutex
	said []feed.Report // what guestd told it
}

// playing plays to the guest until its end, and returns when QEMU has connected.
func playing(ctx context.Context, t *testing.T, socket string, plays func(context.Context, net.Conn)) *brokenHost {
	t.Helper()
	h := new(brokenHost)
	ctx, h.stop = context.WithCancel(ctx)
	t.Cleanup(func() { h.end() })
	if plays == nil {
		return h
	}
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	came := make(chan struct{})
	arrived := sync.OnceFunc(func() { close(came) })
	h.busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			arrived()
			h.busy.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				h.busy.Go(func() { h.listen(c) })
				plays(ctx, c)
				_ = c.Close()
			})
		}
	})
	select {
	case <-came:
	case <-ctx.Done():
		t.Fatal("QEMU did not connect to the port's socket")
	}
	return h
}

// listen takes what guestd says.
func (h *brokenHost) listen(c net.Conn) {
	dec := feed.Decoder{Accept: feed.ToHost}
	var buf [4 << 10]byte
	for kept := 0; ; {
		n, err := c.Read(buf[kept:])
		end, at := kept+n, 0
		for {
			f, done, short := dec.Next(buf[at:end])
			at += done
			if short != nil {
				break
			}
			if f.Type == feed.TypeReport {
				h.mu.Lock()
				h.said = append(h.said, f.Report)
				h.mu.Unlock()
			}
		}
		kept = copy(buf[:], buf[at:end])
		if err != nil {
			return
		}
	}
}

// end ends the host, and returns what guestd told it.
func (h *brokenHost) end() []feed.Report {
	h.stop()
	h.busy.Wait()
	return h.said
}

// The hosts. Each returns when its connection is to be closed.

func endless(data []byte) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) {
		for {
			if _, err := c.Write(data); err != nil {
				return
			}
		}
	}
}

func garbage(_ context.Context, c net.Conn) {
	_, _ = io.Copy(c, rand.Reader)
}

// valid pushes and grants by turns, each push under a new epoch.
func valid(_ context.Context, c net.Conn) {
	f := feed.Frame{Bits: 1, Data: make([]byte, feed.MaxData)}
	for n := uint64(0); ; n++ {
		f.Type = feed.TypeGrant
		if n%2 == 0 {
			f.Type = feed.TypePush
			binary.BigEndian.PutUint64(f.Epoch[:], n)
		}
		_, _ = rand.Read(f.Data)
		if send(c, &f) != nil {
			return
		}
	}
}

func send(c net.Conn, f *feed.Frame) error {
	b, err := feed.Append(nil, f)
	if err != nil {
		return err
	}
	_, err = c.Write(b)
	return err
}

// zeros pushes what no physical source gives, and claims all of it as entropy.
func zeros(ctx context.Context, c net.Conn) {
	for n := byte(1); rig.Sleep(ctx, zeroEvery) == nil; n++ {
		f := feed.Frame{Type: feed.TypePush, Epoch: feed.Epoch{n}, Bits: 8 * 64, Data: make([]byte, 64)}
		if send(c, &f) != nil {
			return
		}
	}
}

func silent(ctx context.Context, c net.Conn) {
	restless(ctx, c)
	<-ctx.Done()
}

func restless(_ context.Context, c net.Conn) {
	frame := longest()
	_, _ = c.Write(frame[:len(frame)/2])
}

// headerBytes is what a frame begins with: magic, version, type, length and epoch.
const headerBytes = 16

func longest() []byte { return grant(feed.MaxData) }

func grant(n int) []byte {
	b, err := feed.Append(nil, &feed.Frame{Type: feed.TypeGrant, Data: make([]byte, n)})
	if err != nil {
		panic(err)
	}
	return b
}

// claims is nothing but headers without an epoch, that claim the longest payload and
// half of that by turns: what costs a decoder most.
func claims() (data []byte) {
	for range 4 << 10 {
		data = append(append(data, longest()[:8]...), grant(feed.MaxData / 2)[:8]...)
	}
	return data
}

package xen

import (
	"context"
	"io"
	"net"
	"strconv"
	"testing"

	"headgate/wire/feed"
)

// asker is a guest at the other end of a Ring, over a connection in memory.
type asker struct {
	conn           net.Conn
	request, grant []byte
}

func newAsker(tb testing.TB, n int) *asker {
	tb.Helper()
	d := newDock()
	r := newRing(Options{Tap: new(tap)}, d.connect)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	r.Offer(offer(5, 9, 1))
	a := &asker{conn: <-d.ends}
	frame := func(f feed.Frame) []byte {
		b, err := feed.Append(nil, &f)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	a.request = frame(feed.Frame{Type: feed.TypeRequest, N: uint32(n)})
	for ; n > 0; n -= 512 { // what is longer comes in several grants
		a.grant = append(a.grant, frame(feed.Frame{Type: feed.TypeGrant, Data: make([]byte, min(n, 512))})...)
	}
	push := frame(feed.Frame{Type: feed.TypePush, Data: make([]byte, 64)})
	if _, err := io.ReadFull(a.conn, push); err != nil {
		tb.Fatal(err)
	}
	return a
}

func (a *asker) ask(tb testing.TB) {
	if _, err := a.conn.Write(a.request); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(a.conn, a.grant); err != nil {
		tb.Fatal(err)
	}
}

func TestARequestAllocatesNothing(t *testing.T) {
	for _, n := range []int{64, 4096} {
		a := newAsker(t, n)
		if got := testing.AllocsPerRun(1000, func() { a.ask(t) }); got != 0 {
			t.Errorf("%v allocations for %d bytes", got, n)
		}
	}
}

func BenchmarkRing(b *testing.B) {
	for _, n := range []int{64, 4096} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			a := newAsker(b, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				a.ask(b)
			}
		})
	}
}

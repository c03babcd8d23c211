//go:build linux

package guard

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/rig"
	"headgate/wire/egd"
)

// TestFlood shows that 50,000 tries are counted one by one, that what is said of them is
// little, and that a guest is served all the while.
func TestFlood(t *testing.T) {
	const threads, each, said = 4, 12_500, 40
	ctx := rig.Within(t, 2*time.Minute)
	text, socket := guest("drawing", "egd", rig.Dir(t))
	h := takeOver(t, require+rig.Sound+open+text)
	drawn := draw(ctx, t, socket)
	before := drawn.bytes.Load()

	begun := time.Now()
	h.refuses(ctx, t, try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_STREAM, Times: each, Threads: threads}, syscall.EPERM)
	took := time.Since(begun)
	if r := status(ctx, t, h.Daemon).Guard.Refused; r.Inet != threads*each || r.Inet6 != 0 {
		t.Errorf("%d and %d tries are counted, want %d and none", r.Inet, r.Inet6, threads*each)
	}
	longest := time.Duration(drawn.longest.Load())
	t.Logf("%d tries in %s; a guest had %d bytes meanwhile, and waited %s at most for 64", threads*each,
		took.Round(time.Millisecond), drawn.bytes.Load()-before, longest.Round(time.Millisecond))
	if longest > time.Second || drawn.bytes.Load() == before {
		t.Errorf("a guest waited %s for 64 bytes, and had %d bytes", longest, drawn.bytes.Load()-before)
	}

	// Of its events some are kept, and the next, when it is time for one, tells how many
	// were not.
	for suppressed := ""; suppressed == ""; {
		rig.Pause(ctx, t, time.Second)
		h.refuses(ctx, t, try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_STREAM}, syscall.EPERM)
		all := h.EventsOf(ctx, t, tried)
		if len(all) > said {
			t.Fatalf("%d events were made of it, want at most %d", len(all), said)
		}
		if len(all) > 0 {
			suppressed = all[len(all)-1].Fields["suppressed"]
		}
		if suppressed != "" {
			t.Logf("%d events, %s suppressed", len(all), suppressed)
		}
	}
}

// drawing is what a greedy guest has had.
type drawing struct {
	bytes   atomic.Int64
	longest atomic.Int64 // time for one request, in nanoseconds
}

// draw reads from an egd: pipe without pause until the test ends, and returns when the
// first bytes have come.
func draw(ctx context.Context, t *testing.T, socket string) *drawing {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	d, first, done := &drawing{}, make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		client := egd.NewClient(conn)
		for buf := make([]byte, 64); ; {
			begun := time.Now()
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			if d.bytes.Add(int64(n)) == int64(n) {
				close(first) // until now the sources had their start-up tests
				continue
			}
			d.longest.Store(max(d.longest.Load(), int64(time.Since(begun))))
		}
	}()
	select {
	case <-first:
	case <-ctx.Done():
		t.Fatal("a guest has had no bytes: ", ctx.Err())
	}
	return d
}

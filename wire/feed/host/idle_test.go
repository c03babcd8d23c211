package host

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"

	"headgate/wire/wiretest"
)

// idleMost is what one idle connection may cost in Go's memory: its share of the
// 20 KiB that an idle guest may cost in all.
const idleMost = 12 << 10

func TestIdleConnectionIsSmall(t *testing.T) {
	const conns = 500
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	before := used()
	buf := make([]byte, 256)
	for range conns {
		ours, theirs := net.Pipe()
		s := &Server{Tap: new(wiretest.Endless)}
		wg.Go(func() { _ = s.Serve(ctx, ours) })
		if _, err := theirs.Read(buf); err != nil { // the push; from now on it is idle
			t.Fatal(err)
		}
	}
	each := (used() - before) / conns
	cancel()
	wg.Wait()
	t.Logf("%d bytes for an idle connection", each)
	if each > idleMost {
		t.Errorf("%d bytes for an idle connection, more than %d", each, idleMost)
	}
}

package vhost

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire"
	"headgate/wire/wiretest"
)

// soon bounds every wait for something that is to happen.
const soon = 20 * time.Second

// tap counts its newcomers.
type tap struct {
	wire.Tap
	fresh atomic.Int32
}

func (t *tap) Fresh() { t.fresh.Add(1) }

// rig is a device and the front end that it is connected to.
type rig struct {
	*vhosttest.Front
	t      testing.TB
	server *Server
	tap    *tap
	count  Counters
	at     uint64 // how much of the tap's pattern the guest has got
	cancel context.CancelCauseFunc
	served chan struct{}
	err    error // of Serve, once served is closed
}

// connect has a device serve a front end, which has said nothing yet.
func connect(t testing.TB, source wire.Tap, opt vhosttest.Options) *rig {
	t.Helper()
	front, err := vhosttest.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	r := &rig{Front: front, t: t, tap: &tap{Tap: source}}
	r.server = &Server{Tap: r.tap, Count: &r.count}
	r.reconnect()
	return r
}

// reconnect has the same device serve the same front end on a new connection.
func (r *rig) reconnect() {
	r.t.Helper()
	conn, back, err := vhosttest.Pair()
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	served := make(chan struct{})
	r.cancel, r.served = cancel, served
	go func() {
		defer close(served)
		r.err = r.server.Serve(ctx, back)
	}()
	r.t.Cleanup(func() {
		cancel(nil)
		_ = r.ended()
	})
	if err := r.Use(conn); err != nil {
		r.t.Fatal(err)
	}
}

// start is a front end whose ring has been started.
func start(t testing.TB, source wire.Tap, opt vhosttest.Options) *rig {
	t.Helper()
	r := connect(t, source, opt)
	r.start()
	return r
}

func (r *rig) start() {
	r.t.Helper()
	if err := r.Start(within(r.t)); err != nil {
		r.t.Fatal(err)
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	t.Cleanup(cancel)
	return ctx
}

// ended waits until Serve has returned, and says what it returned.
func (r *rig) ended() error {
	r.t.Helper()
	select {
	case <-r.served:
		return r.err
	case <-time.After(soon):
		r.t.Fatal("Serve does not return")
		return nil
	}
}

// stopped sees that the device is stopped, for a reason that has words in it.
func (r *rig) stopped(words string) {
	r.t.Helper()
	err := r.ended()
	if err == nil || !strings.Contains(err.Error(), words) {
		r.t.Fatalf("the device ended with %v, want %q", err, words)
	}
	if text := err.Error(); strings.ContainsAny(text, "\n\r") || text[:1] != strings.ToLower(text[:1]) || len(text) > 300 {
		r.t.Errorf("%q is not one short lowercase line", text)
	}
	select {
	case <-r.Gone():
	case <-time.After(soon):
		r.t.Fatal("the connection is still there")
	}
}

// gone sees that the device ends as it does when the front end leaves.
func (r *rig) gone() {
	r.t.Helper()
	r.HangUp()
	if err := r.ended(); err != nil {
		r.t.Fatalf("the device ended with %v", err)
	}
}

// read asks for n bytes in one buffer and holds what comes, all of them, to be the
// next of the tap's pattern.
func (r *rig) read(n int) {
	r.t.Helper()
	p := make([]byte, n)
	got, err := r.Read(within(r.t), p)
	if err != nil || got != n {
		r.t.Fatalf("%d of %d bytes, %v", got, n, err)
	}
	r.next(p)
}

// next holds bytes to be the next of the tap's pattern.
func (r *rig) next(p []byte) {
	r.t.Helper()
	want := make([]byte, len(p))
	wiretest.Pattern(want, r.at)
	if !bytes.Equal(p, want) {
		r.t.Fatalf("of %d bytes from byte %d of the tap on, not all are what it gave", len(p), r.at)
	}
	r.at += uint64(len(p))
}

// post makes a chain available and kicks.
func (r *rig) post(chain ...vhosttest.Desc) {
	r.t.Helper()
	if _, err := r.Post(chain...); err != nil {
		r.t.Fatal(err)
	}
	if err := r.Kick(); err != nil {
		r.t.Fatal(err)
	}
}

// used waits for the next chain to come back, and returns how many bytes it has.
func (r *rig) used() int {
	r.t.Helper()
	_, n, err := r.Used(within(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	return int(n)
}

// data is what is in the front's memory.
func (r *rig) data(offset uint64, n int) []byte { return r.Memory.Bytes[offset:][:n] }

// dry waits until a device hangs on the empty tank.
func dry(t testing.TB, tank *wiretest.Tank) {
	t.Helper()
	ctx := within(t)
	tank.Dry(ctx, 1)
	if ctx.Err() != nil {
		t.Fatal("nobody waits for the tap")
	}
}

// leakless sees that the test leaves no descriptor and no shared mapping. It is to
// be called first, so that it looks last.
func leakless(t testing.TB) {
	t.Helper()
	conn, back, err := vhosttest.Pair() // and the runtime has its poller
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	back.Close()
	takeBell().give() // what one needs stays
	before := held(t)
	t.Cleanup(func() {
		if after := held(t); after != before {
			t.Errorf("%+v before, %+v after", before, after)
		}
	})
}

// holding is what a process could leak.
type holding struct {
	descriptors, mappings int
	mapped                int64
}

func held(t testing.TB) holding {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	shared := 0
	for line := range bytes.Lines(maps) {
		if fields := bytes.Fields(line); len(fields) > 1 && bytes.HasSuffix(fields[1], []byte("s")) && !bytes.Contains(line, []byte("[aio]")) { // bells are kept
			shared++
		}
	}
	return holding{len(entries), shared, mappedBytes.Load()}
}

// beside is another guest's device, which is to be served on whatever happens to the
// one under test.
func beside(t testing.TB) {
	t.Helper()
	other := start(t, new(wiretest.Endless), vhosttest.Options{})
	other.read(64)
	t.Cleanup(func() { other.read(64) })
}

func addressOf(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }

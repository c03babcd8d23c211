//go:build linux

package vhost

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"headgate/integration/rig"
	"headgate/kvm/vhost/vhosttest"
)

// visit is how a front end comes and goes.
type visit struct {
	name string
	at   string // the guest
	does func(context.Context, *vhosttest.Front) error
}

var visits = []visit{
	{"reads and leaves", "open", func(ctx context.Context, f *vhosttest.Front) error {
		if err := f.Start(ctx); err != nil {
			return err
		}
		_, err := f.Read(ctx, make([]byte, 64))
		return err
	}},
	{"leaves while its requests wait", "slow", func(ctx context.Context, f *vhosttest.Front) error {
		if err := f.Start(ctx); err != nil {
			return err
		}
		for range 4 {
			if _, err := f.Post(vhosttest.Buffer(f.Data, 64)); err != nil {
				return err
			}
		}
		if err := f.Kick(); err != nil {
			return err
		}
		return rig.Sleep(ctx, 5*time.Millisecond)
	}},
	{"leaves in the middle of a message", "open", func(ctx context.Context, f *vhosttest.Front) error {
		if err := f.Start(ctx); err != nil {
			return err
		}
		payload, fds := vhosttest.MemTable(f.Region())
		m := vhosttest.Message{Request: vhosttest.SetMemTable, Flags: vhosttest.Version, Payload: payload}
		return f.Send(m.Bytes()[:20], fds...)
	}},
	{"leaves when its memory is mapped", "open", func(_ context.Context, f *vhosttest.Front) error {
		if err := f.SetMemTable(f.Region()); err != nil {
			return err
		}
		// What is answered after it was obeyed.
		_, err := f.Get(vhosttest.GetFeatures, nil)
		return err
	}},
	{"leaves at once", "open", func(context.Context, *vhosttest.Front) error { return nil }},
}

// TestConnects has front ends come and go 200 times, and shows that nothing of them stays
// with hostd: no descriptor, mapping, thread or goroutine.
func TestConnects(t *testing.T) {
	t.Parallel()
	const times, few = 200, 4
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	d := rig.Hostd(t, hostd(t), dir, rig.Sound+classes+
		guest("open", "open", path("open"), true)+guest("slow", "slow", path("slow"), true)+
		guest("dialled", "open", path("dialled"), false))
	visited := func(times, redials int) held {
		comeAndGo(ctx, t, dir, times)
		redialled(ctx, t, path("dialled"), redials)
		alone(ctx, t, d)
		return holds(t, d.PID())
	}
	visited(20, 1)
	want := goroutines(ctx, t, d)

	if err := d.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	before := visited(20, 1)
	after := visited(times, 5)
	got := goroutines(ctx, t, d)
	t.Logf("before %d connects: %s, %d goroutines", times, before, want)
	t.Logf("and after them:     %s, %d goroutines", after, got)
	// Each kind of visit was made five times at least. Go's runtime makes a thread, or maps
	// more for its heap, when it sees fit, and of hostd's own goroutines one comes and goes.
	if after.files > before.files || after.memory != before.memory || got > want+few || after.threads > before.threads+few {
		t.Errorf("%d connects have left something behind: %s, %d goroutines; before them %s, %d goroutines", times, after, got, before, want)
	}
	if after.resident > before.resident+4<<20 {
		t.Errorf("hostd grew from %d to %d KiB", before.resident>>10, after.resident>>10)
	}
}

// comeAndGo makes so many visits.
func comeAndGo(ctx context.Context, t *testing.T, dir string, times int) {
	t.Helper()
	for i := range times {
		v := visits[i%len(visits)]
		f := newFront(t)
		err := f.Dial(ctx, filepath.Join(dir, v.at))
		if err == nil {
			err = v.does(ctx, f)
		}
		if f.Close(); err != nil {
			t.Fatalf("a front end that %s: %v", v.name, err)
		}
	}
}

// redialled has a front end that listens be dialled so often.
func redialled(ctx context.Context, t *testing.T, path string, times int) {
	t.Helper()
	f := newFront(t)
	defer f.Close()
	if err := f.Listen(path); err != nil {
		t.Fatal(err)
	}
	for range times {
		if err := f.Accept(ctx); err != nil {
			t.Fatal(err)
		}
		if err := visits[0].does(ctx, f); err != nil {
			t.Fatalf("of a front end that is dialled: %v", err)
		}
		f.HangUp()
	}
}

func newFront(t *testing.T) *vhosttest.Front {
	t.Helper()
	f, err := vhosttest.New(vhosttest.Options{EventIdx: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

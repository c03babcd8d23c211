//go:build linux

package vhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/hostd/control"
	"headgate/integration/rig"
	"headgate/kvm/vhost/vhosttest"
)

// attack is what a guest, or who has its place, does to a ring that runs.
type attack struct {
	name string
	said string // in hostd's event
	does func(*vhosttest.Front) error
}

// offered makes one chain of these descriptors available, as they are.
func offered(chain ...vhosttest.Desc) func(*vhosttest.Front) error {
	return func(f *vhosttest.Front) error {
		for i, d := range chain {
			f.SetDesc(uint16(i), d)
		}
		f.Offer(0)
		return f.ForceKick()
	}
}

// sent sends a message.
func sent(request vhosttest.Request, payload []byte) func(*vhosttest.Front) error {
	return func(f *vhosttest.Front) error { return f.Set(request, payload) }
}

// Addresses in a front's memory: the first buffer comes after a page with descriptors and
// one with the used ring, and there are 64 KiB for buffers.
const (
	inMemory = vhosttest.GuestBase + 2*4096
	theEnd   = inMemory + 64<<10
)

// attacks are some of each kind: package kvm/vhost's own tests have more.
var attacks = []attack{
	{"a loop", "a loop", offered(
		vhosttest.Desc{Addr: inMemory, Len: 1, Flags: vhosttest.Write | vhosttest.Next, Next: 1},
		vhosttest.Desc{Addr: inMemory, Len: 1, Flags: vhosttest.Write | vhosttest.Next})},
	{"a wild address", "outside of the guest's memory", offered(vhosttest.Desc{Addr: 0xdead_0000_0000, Len: 64, Flags: vhosttest.Write})},
	{"address 0", "outside of the guest's memory", offered(vhosttest.Desc{Len: 64, Flags: vhosttest.Write})},
	{"no length", "empty", offered(vhosttest.Desc{Addr: inMemory, Flags: vhosttest.Write})},
	{"4 GiB", "outside of the guest's memory", offered(vhosttest.Desc{Addr: theEnd - 16, Len: 1<<32 - 1, Flags: vhosttest.Write})},
	{"a buffer to read", "not for the device to write", offered(vhosttest.Desc{Addr: inMemory, Len: 64})},
	{"a link out of the table", "outside of its descriptor table", offered(
		vhosttest.Desc{Addr: inMemory, Len: 64, Flags: vhosttest.Write | vhosttest.Next, Next: 999})},
	{"a table in a table", "in another", func(f *vhosttest.Front) error {
		inner := vhosttest.Desc{Addr: inMemory, Len: 16, Flags: vhosttest.Indirect}
		return offered(f.Table(f.Data, inner))(f)
	}},
	{"a head out of the table", "begins outside", func(f *vhosttest.Front) error {
		f.Offer(999)
		return f.ForceKick()
	}},
	{"an index far ahead", "ahead by more", func(f *vhosttest.Front) error {
		f.SetAvailIdx(30_000)
		return f.ForceKick()
	}},
	{"a message without end", "at most", func(f *vhosttest.Front) error {
		return f.Send(vhosttest.Words(uint32(vhosttest.SetMemTable), vhosttest.Version, 1<<32-1))
	}},
	{"a message that is none", "not known", sent(4711, nil)},
	{"memory beyond its file", "of a file of", func(f *vhosttest.Front) error {
		r := f.Region()
		r.Size += 1 << 30
		payload, files := vhosttest.MemTable(r)
		return f.Set(vhosttest.SetMemTable, payload, files...)
	}},
	{"rings out of memory", "has no", sent(vhosttest.SetVringAddr, append(vhosttest.Words(0, 0), vhosttest.Longs(4096, 4096, 4096, 0)...))},
	{"memory that is taken away", "is gone", func(f *vhosttest.Front) error {
		if err := unix.Ftruncate(f.Memory.FD, 0); err != nil {
			return err
		}
		return f.ForceKick()
	}},
}

// TestHostileDevice shows that a device whose rings do what no driver does is stopped, and
// that hostd says why; a device beside it gets its rate all the while, and hostd does not
// grow.
func TestHostileDevice(t *testing.T) {
	t.Parallel()
	// A busy machine may have the good one stand still for a moment just when it is looked
	// at; it catches up then, as far as its burst of a second's worth allows.
	const rate, growth, still = 4096.0, 4 << 20, 0.2
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	d := rig.Hostd(t, hostd(t), dir, rig.Sound+classes+
		guest("good", "metered", path("good"), true)+guest("hostile", "open", path("hostile"), true))
	good := reading(ctx, t, path("good"))
	stop(ctx, t, d, path("hostile"), attacks[0]) // memory that hostd needs for the first of them
	rig.Pause(ctx, t, time.Second)               // beyond the burst
	resident := holds(t, d.PID()).resident
	begun, before := time.Now(), good.Load()
	for _, a := range attacks {
		stop(ctx, t, d, path("hostile"), a)
	}
	for i := range 100 {
		f := started(ctx, t, path("hostile"))
		does := attacks[i%len(attacks)]
		if err := does.does(f); err != nil {
			t.Fatalf("%s: %v", does.name, err)
		}
		gone(ctx, t, does.name, f)
	}
	rig.Pause(ctx, t, max(0, 5*time.Second-time.Since(begun)))
	want := rate * time.Since(begun).Seconds()
	got := float64(good.Load() - before)
	after := holds(t, d.PID()).resident
	t.Logf("beside %d hostile devices a good one got %.3f of its rate; hostd has %d KiB, %d before", len(attacks)+100, got/want, after>>10, resident>>10)
	if got < 0.97*want-still*rate || got > 1.03*want+still*rate {
		t.Errorf("beside hostile devices a good one got %.0f bytes, want %.0f", got, want)
	}
	if after > resident+growth {
		t.Errorf("hostd grew from %d to %d KiB", resident>>10, after>>10)
	}
	if log, err := os.Stat(d.Log); err != nil || log.Size() > 256<<10 {
		t.Errorf("the log has %d bytes: hostile guests can fill the disk (%v)", log.Size(), err)
	}
}

// stop attacks, and sees that the device is stopped for that, and that hostd says so.
func stop(ctx context.Context, t *testing.T, d *rig.Daemon, path string, a attack) {
	t.Helper()
	was := d.EventsOf(ctx, t, "guest_broken")
	f := started(ctx, t, path)
	if err := a.does(f); err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	gone(ctx, t, a.name, f)
	alone := func(g control.GuestStatus) bool { return !g.Pipes[0].Connected }
	if p := d.AwaitGuest(ctx, t, "hostile", "it is stopped", alone).Pipes[0]; p.Errors == 0 {
		t.Errorf("%s: no counter says so: %+v", a.name, p)
	}
	now := d.EventsOf(ctx, t, "guest_broken")
	if len(now) != len(was)+1 {
		t.Fatalf("%s: hostd does not say why the device was stopped: %v", a.name, now)
	}
	reason := fmt.Sprint(now[len(now)-1].Fields)
	t.Logf("%s: %s", a.name, reason)
	if !strings.Contains(reason, a.said) {
		t.Errorf("%s: hostd says %s", a.name, reason)
	}
}

// started is a front end that owns its rings, and they run.
func started(ctx context.Context, t *testing.T, path string) *vhosttest.Front {
	t.Helper()
	f, err := vhosttest.New(vhosttest.Options{EventIdx: true, Indirect: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	if err := f.Dial(ctx, path); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// gone waits until hostd has hung up.
func gone(ctx context.Context, t *testing.T, what string, f *vhosttest.Front) {
	t.Helper()
	select {
	case <-f.Gone():
		f.Close()
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: the device was not stopped", what)
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// reading is a device whose driver reads without pause, until the test ends.
func reading(ctx context.Context, t *testing.T, path string) (got *atomic.Int64) {
	t.Helper()
	f := started(ctx, t, path)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error)
	got = new(atomic.Int64)
	go func() {
		for buf := make([]byte, 64); ; {
			n, err := f.Read(ctx, buf)
			if err != nil {
				done <- err
				return
			}
			got.Add(int64(n))
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the device beside hostile ones: %v", err)
		}
	})
	return got
}

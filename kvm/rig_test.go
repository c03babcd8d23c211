package kvm

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headgate/wire/pipe"
	"headgate/wire/wiretest"
)

// tap is a tank that counts its newcomers.
type tap struct {
	*wiretest.Tank
	fresh atomic.Int32
}

func (t *tap) Fresh() { t.fresh.Add(1) }

type rig struct {
	*Pipe
	tap    *tap
	path   string
	events chan pipe.Event
	room   Room
	owner  atomic.Pointer[Owner]
}

// run serves a pipe, to which anybody may connect, until the test ends.
func run(t *testing.T, kind Kind, level int) *rig {
	t.Helper()
	r := open(t, kind, level)
	r.opt.Owner = nil
	r.run(t)
	return r
}

// open makes a pipe, to which clients can connect and wait there.
func open(t *testing.T, kind Kind, level int) *rig {
	t.Helper()
	r := &rig{
		tap:    &tap{Tank: wiretest.NewTank(level)},
		path:   filepath.Join(t.TempDir(), "guest.sock"),
		events: make(chan pipe.Event, 100),
	}
	r.room.Resize(1)
	var err error
	r.Pipe, err = Open(Options{
		Kind:   kind,
		Socket: Socket{Path: r.path, UID: -1, GID: -1, Mode: 0o660},
		Tap:    r.tap,
		Room:   &r.room,
		Owner:  r.owner.Load,
		Notify: func(e pipe.Event) { r.events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) run(t *testing.T) {
	t.Helper()
	// The test's own context ends before what it cleans up, as a QEMU that listens.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if _, err := os.Lstat(r.path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
}

func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func (r *rig) expect(t *testing.T, kind pipe.EventKind) pipe.Event {
	t.Helper()
	e := r.next(t)
	if e.Kind != kind {
		t.Fatalf("event %+v, want kind %d", e, kind)
	}
	return e
}

func (r *rig) next(t *testing.T) pipe.Event {
	t.Helper()
	select {
	case e := <-r.events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happened")
		return pipe.Event{}
	}
}

func kinds(t *testing.T, f func(t *testing.T, kind Kind)) {
	for _, kind := range []Kind{QEMU, EGD, Port} {
		t.Run(string(kind), func(t *testing.T) { f(t, kind) })
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

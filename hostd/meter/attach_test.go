package meter

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"headgate/hostd/probe"
	"headgate/integration/need"
)

// attached is a meter of this kernel's. Not every kernel lets itself be looked at: one
// that is locked down, or was built without, says so; the tests of integration/meter run
// these in a guest whose kernel does, and there METER=must has them fail.
func attached(t testing.TB, o Options) *Meter {
	t.Helper()
	need.Root(t, "to attach to the kernel's functions")
	m, err := Attach(o)
	if err == nil {
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	if os.Getenv("METER") == "must" {
		t.Fatal(err)
	}
	t.Skip(err)
	return nil
}

// both runs a test with either way of attaching.
func both(t *testing.T, test func(*testing.T, Options)) {
	t.Run(probe.Fentry, func(t *testing.T) { test(t, Options{}) })
	t.Run(probe.Kprobe, func(t *testing.T) { test(t, Options{Kprobe: true}) })
}

func read(t testing.TB, m *Meter) Reading {
	t.Helper()
	r, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Ways) != len(Ways()) || len(r.Notes) == 0 {
		t.Fatalf("not whole: %+v", r)
	}
	for i, w := range r.Ways {
		bytes, calls := r.Other.Bytes[w.Way], r.Other.Calls[w.Way]
		for _, u := range r.Users {
			bytes += u.Bytes[w.Way]
			calls += u.Calls[w.Way]
		}
		if w.Way != Ways()[i] || w.Bytes != bytes || w.Calls != calls {
			t.Fatalf("%+v is not the sum of %d bytes by %d calls", w, bytes, calls)
		}
	}
	return r
}

// find is the user of that name.
func find(t testing.TB, r Reading, name string) User {
	t.Helper()
	for _, u := range r.Users {
		if u.Process == name {
			return u
		}
	}
	t.Fatalf("%q is not among %+v", name, r.Users)
	return User{}
}

func (d drunk) check(t testing.TB, u User, way Way) {
	t.Helper()
	if len(u.Bytes) != 1 || u.Bytes[way] != d.Bytes || u.Calls[way] != d.Calls {
		t.Errorf("%s drank %+v of %s, and %+v is shown", u.Process, d, way, u)
	}
}

func TestAttachedExact(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		m := attached(t, o)
		how := probe.Fentry
		if o.Kprobe {
			how = probe.Kprobe
		}
		running := map[Way]reader{}
		for _, w := range read(t, m).Ways {
			if w.How == "" && w.Way == HWRNG && os.Getenv("METER") != "must" {
				t.Log(w.Why)
				continue
			}
			if w.How != how || w.Function == "" || w.Why != "" {
				t.Errorf("not seen by %s: %+v", how, w)
				continue
			}
			running[w.Way] = start(t, task{Name: "reads " + string(w.Way), Way: w.Way, Bytes: 1 << 20, Chunk: 1000, Threads: 4})
		}
		r := read(t, m)
		for way, reader := range running {
			u := find(t, r, "reads "+string(way))
			reader.check(t, u, way)
			if u.PID != reader.pid || u.Gone || u.Cgroup == "" || u.Bytes[way] != 1<<20 {
				t.Errorf("process %d is shown as %+v", reader.pid, u)
			}
			reader.end()
		}
		after := read(t, m)
		for way, reader := range running {
			u := find(t, after, "reads "+string(way))
			reader.check(t, u, way)
			if u.PID != reader.pid || !u.Gone {
				t.Errorf("process %d, which ended, is shown as %+v", reader.pid, u)
			}
		}
		for _, w := range after.Ways {
			if w.Missed != 0 {
				t.Errorf("missed: %+v", w)
			}
		}
	})
}

func TestAttachedOdd(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		m := attached(t, o)
		faults := start(t, task{Name: "faults", Do: "faults"})
		splices := start(t, task{Name: "splices", Do: "splice", Bytes: 100_000})
		r := read(t, m)
		faults.check(t, find(t, r, "faults"), Getrandom)
		splices.check(t, find(t, r, "splices"), Urandom)
	})
}

// TestAttachedFull has more names than there is room for: the names are lost, not the bytes.
func TestAttachedFull(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		m := attached(t, o)
		total := func(r Reading) uint64 { return r.Ways[len(r.Ways)-1].Bytes }
		before := total(read(t, m))
		many := start(t, task{Name: "many", Do: "names"})
		r := read(t, m)
		if got := total(r) - before; got != many.Bytes {
			t.Errorf("%d bytes were drunk and %d are shown", many.Bytes, got)
		}
		if other := r.Other.Bytes[Getrandom]; other < 4200-4096 || other > 4200-3000 {
			t.Errorf("%d bytes are without a name", other)
		}
		many.end()
		r = read(t, m)
		if got := total(r) - before; got != many.Bytes {
			t.Errorf("%d bytes were drunk and %d are shown once it ended", many.Bytes, got)
		}
		if len(r.Users) > maxEnded+10 {
			t.Errorf("%d users are kept", len(r.Users))
		}
		next := start(t, task{Name: "the next", Way: Getrandom, Bytes: 1000})
		next.check(t, find(t, read(t, m), "the next"), Getrandom)
	})
}

func TestAttachedTwoMeters(t *testing.T) {
	one, two := attached(t, Options{}), attached(t, Options{Kprobe: true})
	reader := start(t, task{Name: "of two", Way: Urandom, Bytes: 1 << 20, Threads: 2})
	reader.check(t, find(t, read(t, one), "of two"), Urandom)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Read(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	reader.check(t, find(t, read(t, two), "of two"), Urandom)
}

// TestAttachedNothingLeft waits for the kernel, which frees a program when nobody can be inside
// of it any more.
func TestAttachedNothingLeft(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		m := attached(t, o)
		if n := loaded(t); n == 0 {
			t.Error("none of the programs is known by its name")
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for loaded(t) > 0 {
			if time.Now().After(deadline) {
				t.Fatalf("%d programs are left", loaded(t))
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// loaded is how many programs the kernel has that are named as the meter's.
func loaded(t *testing.T) (n int) {
	var id ebpf.ProgramID
	for {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone meanwhile
		}
		if info, err := p.Info(); err == nil && strings.HasPrefix(info.Name, "getrandom_") {
			n++
		}
		_ = p.Close()
	}
}

// TestAttachedManyLook has them read while it is counted: nothing goes back, and nothing is
// lost.
func TestAttachedManyLook(t *testing.T) {
	m := attached(t, Options{})
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var last [4]WayCount
			for {
				r, err := m.Read()
				if err != nil {
					t.Error(err)
					return
				}
				for i, w := range r.Ways {
					if w.Bytes < last[i].Bytes || w.Calls < last[i].Calls {
						t.Errorf("went back from %+v to %+v", last[i], w)
						return
					}
				}
				last = [4]WayCount(r.Ways)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	var all drunk
	for range 10 {
		r := start(t, task{Name: "looked at", Way: Getrandom, Bytes: 1 << 20, Chunk: 256, Threads: 2})
		r.end()
		all.Bytes += r.Bytes
		all.Calls += r.Calls
	}
	close(done)
	wg.Wait()
	all.check(t, find(t, read(t, m), "looked at"), Getrandom)
}

// TestAttachedWithoutRights has the counters read by who gave up what it took to attach.
func TestAttachedWithoutRights(t *testing.T) {
	m := attached(t, Options{})
	r := start(t, task{Name: "unwatched", Way: Random, Bytes: 5000})
	shown := make(chan Reading)
	go func() {
		defer close(shown)
		runtime.LockOSThread() // which ends with it, and its rights
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Error(err)
			return
		}
		if _, err := Attach(Options{}); err == nil || !strings.Contains(err.Error(), "CAP_BPF") {
			t.Errorf("attached without the right: %v", err)
		}
		got, err := m.Read()
		if err != nil {
			t.Error(err)
			return
		}
		shown <- got
	}()
	for got := range shown {
		r.check(t, find(t, got, "unwatched"), Random)
	}
}

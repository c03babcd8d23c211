package vhost

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// connections are how many come and go before what is left of them is counted.
const connections = 200

// Of connections that come and go, in whatever way, nothing is left.
func TestNothingIsLeftOfConnections(t *testing.T) {
	endings := []struct {
		name string
		end  func(*rig)
	}{
		{"the front end leaves", func(r *rig) { r.gone() }},
		{"while a request waits", func(r *rig) {
			tank := wiretest.NewTank(0)
			r.gone()
			r.tap.Tap = tank
			r.reconnect()
			r.start()
			r.post(vhosttest.Buffer(r.Data, 64))
			dry(r.t, tank)
			r.gone()
		}},
		{"it breaks the rules", func(r *rig) {
			r.Offer(60000)
			_ = r.ForceKick()
			r.stopped("begins outside")
		}},
		{"the memory is cut", func(r *rig) {
			_ = unix.Ftruncate(r.Memory.FD, 0)
			_ = r.ForceKick()
			r.stopped("memory is gone")
		}},
		{"in the middle of a message", func(r *rig) {
			payload, fds := vhosttest.MemTable(r.Region(), r.Region())
			_ = r.Send(vhosttest.Message{Request: vhosttest.SetMemTable, Flags: vhosttest.Version, Payload: payload}.Bytes()[:40], fds...)
			r.gone()
		}},
		{"hostd ends", func(r *rig) {
			r.cancel(os.ErrClosed)
			if err := r.ended(); err == nil {
				r.t.Error("no reason was given")
			}
		}},
	}
	leakless(t)
	beside(t)
	round := func(t *testing.T) {
		for n := range connections {
			t.Run(fmt.Sprint(n), func(t *testing.T) { // so that it is cleaned up after each
				r := start(t, new(wiretest.Endless), vhosttest.Options{})
				r.read(64)
				endings[n%len(endings)].end(r)
			})
		}
	}
	round(t) // what the runtime keeps, it has then
	before, memory, goroutines := held(t), anonymous(t), runtime.NumGoroutine()
	for range 3 {
		round(t)
	}
	if after := held(t); after != before {
		t.Errorf("%+v before, %+v after", before, after)
	}
	for deadline := time.Now().Add(soon); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
	grown := anonymous(t) - memory
	t.Logf("%d connections: %d KiB more", 3*connections, grown>>10)
	if grown > 2<<20 && !raced {
		t.Errorf("%d KiB of memory before, %d KiB more after", memory>>10, grown>>10)
	}
}

// A guest that has a byte written to each page of its memory does not make hostd large:
// the kernel ends who is, when memory runs out.
func TestTheGuestsMemoryIsNotHostds(t *testing.T) {
	const pages = 4 * maxPages
	r := start(t, new(wiretest.Endless), vhosttest.Options{Data: pages << 12})
	before := resident(t, "RssShmem:")
	for page := range uint64(pages) {
		r.post(vhosttest.Buffer(r.Data+page<<12, 1))
		r.used()
	}
	if grown := resident(t, "RssShmem:") - before; grown > 2*maxPages<<12 {
		t.Errorf("%d MiB after %d MiB were touched", grown>>20, pages>>8)
	}
}

// anonymous is how much memory of its own the process has, in bytes, without what the
// runtime could give back.
func anonymous(t testing.TB) int {
	t.Helper()
	debug.FreeOSMemory()
	return resident(t, "RssAnon:")
}

// resident is a line of /proc/self/status in bytes (proc(5)).
func resident(t testing.TB, line string) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte(line))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("no %s in /proc/self/status", line)
	}
	kib, err := strconv.Atoi(string(fields[0]))
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

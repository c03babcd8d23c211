package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRefused(t *testing.T) {
	apart(t, func(t *testing.T) {
		g := attached(t)
		refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_STREAM, 0)
		refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_DGRAM, 0)
		refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		refusedWith(t, unix.EPERM, unix.AF_INET6, unix.SOCK_STREAM, 0)
		refusedWith(t, unix.EPERM, unix.AF_INET6, unix.SOCK_DGRAM, 0)
		unixWorks(t)
		errno, child := curious(t, "curious")
		if errno != unix.EPERM {
			t.Errorf("a child process's socket: %v", errno)
		}

		self := comm(t)
		want := Refused{Inet: 4, Inet6: 2, By: []Refusal{
			{Family: "inet", Process: self, PID: os.Getpid(), Count: 3},
			{Family: "inet6", Process: self, PID: os.Getpid(), Count: 2},
			{Family: "inet", Process: "curious", PID: child, Count: 1},
		}}
		if got := g.Refused(); !reflect.DeepEqual(got, want) {
			t.Errorf("refused: %+v, want %+v", got, want)
		}

		var tries []Try
		ctx, cancel := context.WithCancel(t.Context())
		err := g.Watch(ctx, func(try Try) {
			if tries = append(tries, try); len(tries) == 6 {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []Try{
			{"inet", "stream", "tcp", self, os.Getpid()},
			{"inet", "dgram", "udp", self, os.Getpid()},
			{"inet", "raw", "icmp", self, os.Getpid()},
			{"inet6", "stream", "tcp", self, os.Getpid()},
			{"inet6", "dgram", "udp", self, os.Getpid()},
			{"inet", "stream", "tcp", "curious", child},
		}; !slices.Equal(tries, want) {
			t.Errorf("watched: %+v, want %+v", tries, want)
		}

		// While it waits: told at once; and it may be watched again.
		ctx, cancel = context.WithCancel(t.Context())
		seen, end := make(chan Try), make(chan error)
		go func() { end <- g.Watch(ctx, func(try Try) { seen <- try }) }()
		refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_STREAM, 0)
		if try := <-seen; try.Family != "inet" {
			t.Errorf("watched: %+v", try)
		}
		cancel()
		if err := <-end; err != nil {
			t.Errorf("Watch whose context has ended: %v", err)
		}

		go func() { end <- g.Watch(t.Context(), func(Try) {}) }()
		before := g.Refused()
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-end; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Watch after Close: %v", err)
		}
		if after := g.Refused(); !reflect.DeepEqual(after, before) {
			t.Errorf("refused after Close: %+v, before: %+v", after, before)
		}
		if err := g.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		if err := g.Watch(t.Context(), func(Try) {}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Watch after Close: %v", err)
		}
		refusedWith(t, nil, unix.AF_INET, unix.SOCK_STREAM, 0)
	})
}

// Many tries at once from several threads: each is counted, and what is told of them
// stays in its bounds.
func TestFlood(t *testing.T) {
	apart(t, func(t *testing.T) {
		const threads, each = 4, 25_000
		g := attached(t)
		var all sync.WaitGroup
		for n := range threads {
			all.Go(func() {
				for range each {
					_, _ = unix.Socket([]int{unix.AF_INET, unix.AF_INET6}[n%2], unix.SOCK_STREAM, 0) // the counts say if it was refused
				}
			})
		}
		all.Wait()
		got := g.Refused()
		if got.Inet != threads/2*each || got.Inet6 != threads/2*each || len(got.By) != 2 {
			t.Errorf("refused: %+v, want %d of each family", got, threads/2*each)
		}
		if kept := g.tries.AvailableBytes(); kept > g.tries.BufferSize() {
			t.Errorf("%d bytes are kept for who watches", kept)
		}
	})
}

// More names than the table has rows, each of which appears on several threads at the
// same time: no row twice, and what finds none is in that of the others.
func TestOthers(t *testing.T) {
	apart(t, func(t *testing.T) {
		const threads, names, each = 4, 300, 3
		g := attached(t)
		var all sync.WaitGroup
		for range threads {
			all.Go(func() {
				// Ends with the goroutine, which does not unlock it: it has another name.
				runtime.LockOSThread()
				for n := range names {
					rename(t, fmt.Sprintf("name %d", n))
					for range each {
						_, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0) // the counts say if it was refused
					}
				}
			})
		}
		all.Wait()
		refusedWith(t, unix.EPERM, unix.AF_INET6, unix.SOCK_STREAM, 0)

		got := g.Refused()
		if got.Inet != threads*names*each || got.Inet6 != 1 {
			t.Errorf("refused: %d and %d, want %d and 1", got.Inet, got.Inet6, threads*names*each)
		}
		if want := len(slots{}); len(got.By) != want {
			t.Errorf("%d rows, want %d", len(got.By), want)
		}
		rows := map[Refusal]bool{}
		for _, row := range got.By {
			count := row.Count
			row.Count = 0
			if rows[row] {
				t.Errorf("two rows are of %+v", row)
			}
			rows[row] = true
			switch {
			case row.Process != Others && count != threads*each,
				row == Refusal{Family: "inet", Process: Others} && count != threads*each*(names-(uint64(len(slots{}))-others)),
				row == Refusal{Family: "inet6", Process: Others} && count != 1:
				t.Errorf("%d of %+v", count, row)
			}
		}
	})
}

// comm is the name of this process's threads.
func comm(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return string(name[:len(name)-1])
}

func rename(t *testing.T, name string) {
	if err := os.WriteFile("/proc/thread-self/comm", []byte(name), 0); err != nil {
		t.Errorf("name the thread: %v", err)
	}
}

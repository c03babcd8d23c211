//go:build !race

package egd

import (
	"bytes"
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"headgate/wire/wiretest"
)

// TestIdleConnectionIsSmall measures what the server's end of a connection
// costs the process. The clients' ends are bare descriptors, so that what Go
// keeps is the server's alone; what the kernel keeps for a socket is no RSS.
func TestIdleConnectionIsSmall(t *testing.T) {
	const guests = 2000
	needDescriptors(t, 2*guests+100)
	tank := wiretest.NewTank(0)
	s := &Server{Tap: tank, Count: new(Counters)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	before := rssKiB(t)
	var wg sync.WaitGroup
	clients := make([]int, guests)
	for i := range clients {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = fds[0]
		conn := unixConn(t, fds[1])
		wg.Go(func() { _ = s.Serve(ctx, conn) })
	}
	defer wg.Wait()
	defer func() {
		for _, fd := range clients {
			_ = syscall.Close(fd)
		}
	}()
	report := func(state string, limit float64) {
		debug.FreeOSMemory()
		each := float64(rssKiB(t)-before) / guests
		t.Logf("%s: %.1f KiB of RSS each", state, each)
		if each > limit {
			t.Errorf("%s: %.1f KiB of RSS each, want at most %.0f", state, each, limit)
		}
	}

	ask := func(waiting bool) {
		buf := make([]byte, 64)
		if !waiting {
			tank.Pour(64 * guests)
		}
		for _, fd := range clients {
			if _, err := syscall.Write(fd, []byte{OpRead, 64}); err != nil {
				t.Fatal(err)
			}
		}
		if waiting {
			dryFor(t, tank, guests)
			report("waiting on a dry tap", 16) // and a writer has its stack
			tank.Pour(64 * guests)
		}
		for _, fd := range clients {
			for got := 0; got < len(buf); {
				n, err := syscall.Read(fd, buf[got:])
				if err != nil || n == 0 {
					t.Fatal(n, err)
				}
				got += n
			}
		}
	}
	ask(false)
	report("idle after a request", 10)
	ask(true)
	report("idle after a wait", 10)
}

func needDescriptors(t *testing.T, n uint64) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	if lim.Cur < n {
		t.Fatalf("needs %d open files, may have %d: raise ulimit -Hn", n, lim.Cur)
	}
}

func rssKiB(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			n, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no RssAnon in /proc/self/status")
	return 0
}

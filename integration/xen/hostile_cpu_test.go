//go:build linux

package xen

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig"
)

// watch measures hostd and what a guest gets.
type watch struct {
	hostd *rig.Daemon
	guest string
	began time.Time
	cpu   time.Duration
	bytes uint64
}

func begin(ctx context.Context, t *testing.T, hostd *rig.Daemon, guest string) watch {
	t.Helper()
	return watch{hostd, guest, time.Now(), cpuOf(t, hostd.PID()), got(ctx, t, hostd, guest)}
}

// end is the share of a core, and the bytes a second.
func (w watch) end(ctx context.Context, t *testing.T) (cpu, rate float64) {
	t.Helper()
	spent := time.Since(w.began).Seconds()
	return (cpuOf(t, w.hostd.PID()) - w.cpu).Seconds() / spent,
		float64(got(ctx, t, w.hostd, w.guest)-w.bytes) / spent
}

// cpuOf is the processor time of a process: utime and stime of /proc/PID/stat
// (proc(5)), in ticks of 10 ms.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // 14 and 15, of which pid and name are cut off
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// wake is the processor time that this process needs to wake a goroutine through a
// pipe.
func wake(t *testing.T) time.Duration {
	t.Helper()
	const rounds = 500
	there, thereW := pipe(t)
	back, backW := pipe(t)
	go func() { // until there is closed
		_, _ = io.CopyBuffer(struct{ io.Writer }{backW}, struct{ io.Reader }{there}, make([]byte, 1))
	}()
	var before, after syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b := []byte{1}
	for i := 0; i < rounds && err == nil; i++ {
		if _, err = thereW.Write(b); err == nil {
			_, err = back.Read(b)
		}
	}
	if err == nil {
		err = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	}
	if err != nil {
		t.Fatal(err)
	}
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return time.Duration(spent) / (2 * rounds)
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		r.Close()
	})
	return r, w
}

//go:build linux

package load

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/rig"
)

// Cost is what connected guests cost that ask for nothing.
type Cost struct {
	Guests     int
	Connected  int           // fewer than Guests where the limit on open files is too low
	RSS        int           // bytes a guest, beyond an idle daemon with none
	CPU        float64       // of a core, over Time
	Time       time.Duration // measured
	Start      time.Duration // from the daemon's start until it is ready
	Unanswered error         // if a guest that asks after all that is not answered
}

// spareFiles are what a daemon needs beside its guests, at most.
const spareFiles = 64

// Idle starts a hostd with so many guests and leaves it alone.
func Idle(ctx context.Context, binary string, guests int, d time.Duration) (c Cost, err error) {
	dir, err := tempDir()
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	empty, err := rssAlone(ctx, filepath.Join(dir, "empty"), binary)
	if err != nil {
		return c, err
	}

	var text strings.Builder
	path := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	for i := range guests {
		fmt.Fprintf(&text, "[[guest]]\nname = \"g%d\"\npipes = [\"egd:%s\"]\n", i, path(i))
	}
	hostd, err := rig.NewDaemon(dir, binary, text.String())
	if err != nil {
		return c, err
	}
	start := time.Now()
	if err := hostd.Start(ctx); err != nil {
		return c, err
	}
	defer hostd.Close()
	c = Cost{Guests: guests, Start: time.Since(start), Time: d}
	most, err := openFiles()
	if err != nil {
		return c, err
	}
	c.Connected = min(guests, most-guests-spareFiles)
	if c.Connected < guests/2 {
		return c, fmt.Errorf("%d guests need %d open files, the limit is %d: raise it with ulimit -n", guests, 2*guests+spareFiles, most)
	}
	var last net.Conn
	for i := range c.Connected {
		conn, err := dial(ctx, path(i))
		if err != nil {
			return c, err
		}
		defer conn.Close()
		last = conn
	}
	wait(ctx, 3*time.Second) // the last of them are taken in, garbage is collected
	full, err := RSS(hostd.PID())
	if err != nil {
		return c, err
	}
	c.RSS = (full - empty) / guests
	before, err := CPU(hostd.PID())
	if err != nil {
		return c, err
	}
	wait(ctx, d)
	after, err := CPU(hostd.PID())
	if err != nil {
		return c, err
	}
	c.CPU = (after - before).Seconds() / d.Seconds()
	_, c.Unanswered = egd{Conn: last}.ask(1)
	return c, ctx.Err()
}

// rssAlone is the resident memory of a daemon without guests.
func rssAlone(ctx context.Context, dir, binary string) (int, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	hostd, err := rig.NewDaemon(dir, binary, "")
	if err != nil {
		return 0, err
	}
	if err := hostd.Start(ctx); err != nil {
		return 0, err
	}
	defer hostd.Close()
	wait(ctx, 2*time.Second)
	return RSS(hostd.PID())
}

// openFiles raises this process's limit on open files, and so its children's, as
// far as it goes.
func openFiles() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(limit.Max, 1<<30)), nil
}

// RSS is a process's resident memory in bytes (proc(5), VmRSS).
func RSS(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(data, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("process %d has no VmRSS", pid)
	}
	kib, err := strconv.Atoi(string(fields[0]))
	return kib << 10, err
}

// CPU is the time that a process has used, user and system, its threads that have ended
// included. Unlike the ticks of /proc/PID/stat the process's clock, whose number is made
// of its pid, has all of it (clock_getcpuclockid(3); CPUCLOCK_SCHED in the kernel's
// posix-timers.h).
func CPU(pid int) (time.Duration, error) {
	const sched = 2
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &used); err != nil {
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

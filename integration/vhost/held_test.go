//go:build linux

package vhost

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/load"
	"headgate/integration/rig"
)

// held is what a process has.
type held struct {
	files    int // descriptors
	memory   int // bytes of guests' that are mapped
	mappings int
	threads  int
	resident int // bytes
}

func holds(t *testing.T, pid int) held {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	resident, err := load.RSS(pid)
	if err != nil {
		t.Fatal(err)
	}
	return held{
		files: len(files), threads: len(threads), resident: resident,
		mappings: bytes.Count(maps, []byte("\n")), memory: mapped(t, pid),
	}
}

func (h held) String() string {
	return fmt.Sprintf("%d descriptors, %d mappings, %d KiB of guests, %d threads, %d KiB resident",
		h.files, h.mappings, h.memory>>10, h.threads, h.resident>>10)
}

// mapped is how much of guests' memory a process has mapped, in bytes: the memory of QEMU's
// memory-backend-memfd and that of package vhosttest are memfds (proc(5), maps).
func mapped(t *testing.T, pid int) (size int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, " /memfd:") {
			continue
		}
		var begin, end int
		if _, err := fmt.Sscanf(line, "%x-%x ", &begin, &end); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		size += end - begin
	}
	return size
}

// alone waits until nobody is connected to hostd, and the one who asked for that has gone,
// too.
func alone(ctx context.Context, t *testing.T, d *rig.Daemon) {
	t.Helper()
	d.Await(ctx, t, "nobody is connected", func(s control.Status) bool {
		for _, g := range s.Guests {
			if g.Pipes[0].Connected {
				return false
			}
		}
		return true
	})
	rig.Pause(ctx, t, 200*time.Millisecond)
}

// goroutines ends hostd and counts what it says that it was at: Go's runtime writes that
// for each goroutine when the program is told to quit (SIGQUIT; package os/signal).
func goroutines(ctx context.Context, t *testing.T, d *rig.Daemon) int {
	t.Helper()
	before, err := os.ReadFile(d.Log)
	if err != nil {
		t.Fatal(err)
	}
	pid := d.PID()
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	for syscall.Kill(pid, 0) == nil {
		rig.Pause(ctx, t, 10*time.Millisecond)
	}
	text, err := os.ReadFile(d.Log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text[len(before):], []byte("\ngoroutine "))
}

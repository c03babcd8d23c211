//go:build linux

package guard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestRightsAreGone shows that hostd, once all is attached, has on none of its threads
// what that took, and that seccomp holds for all of them.
func TestRightsAreGone(t *testing.T) {
	ctx := rig.Within(t, 30*time.Second)
	d := rig.Hostd(t, needed(t).hostd, rig.Dir(t), require+rig.Sound)
	settled(ctx, t, d)
	threads := threadsOf(t, d.PID())
	for len(rights(t, threads)) > 0 { // it drops them right after
		if rig.Sleep(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("hostd has still %v", rights(t, threads))
		}
		threads = threadsOf(t, d.PID())
	}
	if len(threads) < 2 {
		t.Fatalf("hostd has %d threads", len(threads))
	}
	for id, fields := range threads {
		// Seccomp: 2 is SECCOMP_MODE_FILTER of linux/seccomp.h.
		if fields["Seccomp"] != "2" || fields["NoNewPrivs"] != "1" {
			t.Errorf("thread %s has Seccomp %s, NoNewPrivs %s", id, fields["Seccomp"], fields["NoNewPrivs"])
		}
	}
	t.Logf("%d threads", len(threads))
}

// threadsOf are the fields of proc_pid_status(5) of each thread.
func threadsOf(t *testing.T, pid int) map[string]map[string]string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	threads := map[string]map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			fields[key] = strings.TrimSpace(value)
		}
		threads[fields["Pid"]] = fields
	}
	return threads
}

// rights are those that attaching takes, as far as a thread has them in any set.
func rights(t *testing.T, threads map[string]map[string]string) (all []string) {
	t.Helper()
	for id, fields := range threads {
		for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"} {
			bits, err := strconv.ParseUint(fields[set], 16, 64)
			if err != nil {
				t.Fatalf("%s of thread %s: %v", set, id, err)
			}
			for name, c := range map[string]int{
				"CAP_BPF": unix.CAP_BPF, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_PERFMON": unix.CAP_PERFMON,
			} {
				if bits>>c&1 != 0 {
					all = append(all, fmt.Sprintf("%s in %s of thread %s", name, set, id))
				}
			}
		}
	}
	return all
}

// settled waits until hostd has attached what it attaches beside its serving.
func settled(ctx context.Context, t *testing.T, d *rig.Daemon) control.Status {
	t.Helper()
	return d.Await(ctx, t, "the meter is attached, or cannot be", func(s control.Status) bool {
		return s.Meter.Up || s.Meter.Error != "" && !strings.Contains(s.Meter.Error, "is being attached")
	})
}

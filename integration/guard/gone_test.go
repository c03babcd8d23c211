//go:build linux

package guard

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

// patience is for the kernel to free what nobody holds: it does so from a work queue.
const patience = 10 * time.Second

// TestNothingIsLeft shows that a hostd which is killed leaves nothing attached: no program,
// no map, no link; its control group is empty, and the next hostd removes it. One that is
// asked to stop removes it itself.
func TestNothingIsLeft(t *testing.T) {
	ctx := rig.Within(t, time.Minute)
	p := needed(t)
	mount, err := cgroupMount()
	if err != nil {
		t.Fatal(err)
	}
	others := elsewhere(attached(ctx, t, mount))
	d := rig.Hostd(t, p.hostd, rig.Dir(t), require+rig.Sound)
	own := folder(t, settled(ctx, t, d).Guard.Cgroup)
	if on := attached(ctx, t, own); len(on) != 1 || !strings.Contains(on[0], "sock_create") {
		t.Errorf("on hostd's control group there are %v, want one program at cgroup_inet_sock_create", on)
	}
	if strings.TrimRight(mount, "/") == own {
		t.Errorf("hostd has no control group of its own, but is in %s", own)
	}
	ids := held(t, d.PID())
	t.Logf("hostd holds %v, in %s", ids, own)
	if len(ids["link"]) == 0 || len(ids["map"]) == 0 {
		t.Errorf("hostd holds %v of BPF: no link, or no map", ids)
	}

	d.Kill()
	freed(ctx, t, ids)
	if _, err := os.Stat(own); err == nil {
		if on := attached(ctx, t, own); len(on) > 0 {
			t.Errorf("on the control group of a hostd that was killed there are %v", on)
		}
		if left, err := os.ReadFile(filepath.Join(own, "cgroup.procs")); err != nil || len(left) > 0 {
			t.Errorf("in the control group of a hostd that was killed there are processes %q, %v", left, err)
		}
	}
	if now := elsewhere(attached(ctx, t, mount)); !slices.Equal(now, others) {
		t.Errorf("on all control groups that are no hostd's there are %v, before hostd there were %v", now, others)
	}

	if err := d.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	next := folder(t, status(ctx, t, d).Guard.Cgroup)
	if _, err := os.Stat(own); next != own && !os.IsNotExist(err) {
		t.Errorf("%s is there still beside %s: %v", own, next, err)
	}
	settled(ctx, t, d)
	ids = held(t, d.PID())
	if _, err := d.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(next); !os.IsNotExist(err) {
		t.Errorf("%s is there still after hostd has stopped: %v", next, err)
	}
	freed(ctx, t, ids)
}

// elsewhere are those that are not on a hostd's own control group: another's may run here.
func elsewhere(all []string) []string {
	return slices.DeleteFunc(all, func(on string) bool { return strings.Contains(on, "/headgate-") })
}

// freed waits until nothing of this is in the kernel any more.
func freed(ctx context.Context, t *testing.T, ids map[string][]int) {
	t.Helper()
	begun := time.Now()
	for _, kind := range slices.Sorted(maps.Keys(ids)) {
		if !slices.Contains([]string{"prog", "map", "link"}, kind) {
			continue
		}
		for {
			var left []int
			for _, id := range there(ctx, t, kind) {
				if slices.Contains(ids[kind], id) {
					left = append(left, id)
				}
			}
			if len(left) == 0 {
				break
			}
			if time.Since(begun) > patience {
				t.Errorf("%s after the end of hostd, bpftool %s show has its %v still", patience, kind, left)
				break
			}
			rig.Pause(ctx, t, 50*time.Millisecond)
		}
	}
	t.Logf("all was freed within %s", time.Since(begun).Round(time.Millisecond))
}

// TestRestarts shows that nothing gathers when hostd is started and stopped, or killed,
// again and again: no control group, no program, and no descriptor in it.
func TestRestarts(t *testing.T) {
	const times = 20
	ctx := rig.Within(t, 2*time.Minute)
	d := rig.Hostd(t, needed(t).hostd, rig.Dir(t), require+rig.Sound)
	first := 0
	var groups []string
	ids := map[string][]int{}
	for n := range times {
		if groups = append(groups, folder(t, status(ctx, t, d).Guard.Cgroup)); n == 0 {
			settled(ctx, t, d)
			first = files(t, d)
		}
		for kind, more := range held(t, d.PID()) {
			ids[kind] = append(ids[kind], more...)
		}
		if n%2 == 0 {
			d.Kill()
		} else if _, err := d.Terminate(patience); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	now := folder(t, status(ctx, t, d).Guard.Cgroup)
	for _, group := range groups {
		if _, err := os.Stat(group); group != now && !os.IsNotExist(err) {
			t.Errorf("after %d restarts %s is there still: %v", times, group, err)
		}
	}
	settled(ctx, t, d)
	begun := time.Now() // one may be open for a moment
	for now := files(t, d); now > first; now = files(t, d) {
		if time.Since(begun) > patience {
			t.Fatalf("after %d restarts hostd has %d files open, the first had %d", times, now, first)
		}
		rig.Pause(ctx, t, 20*time.Millisecond)
	}
	freed(ctx, t, ids)
}

// files is how many files a hostd has open.
func files(t *testing.T, d *rig.Daemon) int {
	t.Helper()
	list, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(d.PID()), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

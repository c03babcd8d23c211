//go:build linux

package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"headgate/integration/rig"
)

// cgroupMount is where cgroup v2 is mounted (proc_pid_mountinfo(5)).
func cgroupMount() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4], nil
		}
	}
	return "", errors.New("cgroup v2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")
}

// folder is that of a control group, as hostd's status names it.
func folder(t *testing.T, cgroup string) string {
	t.Helper()
	mount, err := cgroupMount()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(mount, cgroup)
}

// held are the identifiers of what a process holds of BPF, by kind: "prog", "map",
// "link", as /proc/PID/fdinfo has them (kernel/bpf/syscall.c, bpf_*_show_fdinfo).
func held(t *testing.T, pid int) map[string][]int {
	t.Helper()
	ids := map[string][]int{}
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		f, err := os.Open(file)
		if err != nil {
			continue // closed since
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), ":")
			kind, is := strings.CutSuffix(key, "_id")
			if id, err := strconv.Atoi(strings.TrimSpace(value)); is && err == nil && !slices.Contains(ids[kind], id) {
				ids[kind] = append(ids[kind], id)
			}
		}
		f.Close()
	}
	return ids
}

// there are the identifiers of all of one kind in the kernel, by bpftool(8).
func there(ctx context.Context, t *testing.T, kind string) []int {
	t.Helper()
	var list []struct{ ID int }
	bpftool(ctx, t, &list, kind, "show")
	var ids []int
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	return ids
}

// attached are the programs on a control group and on those in it, by its folder.
func attached(ctx context.Context, t *testing.T, cgroup string) (all []string) {
	t.Helper()
	var tree []struct {
		Cgroup   string
		Programs []struct {
			ID          int
			AttachType  string `json:"attach_type"`
			AttachFlags string `json:"attach_flags"`
			Name        string
		}
	}
	bpftool(ctx, t, &tree, "cgroup", "tree", cgroup)
	for _, c := range tree {
		for _, p := range c.Programs {
			all = append(all, fmt.Sprintf("%s %s %s", strings.TrimPrefix(c.Cgroup, cgroup), p.AttachType, p.Name))
		}
	}
	return all
}

func bpftool(ctx context.Context, t *testing.T, answer any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, rig.Tool(t, "bpftool", "bpftool"), append([]string{"--json"}, args...)...)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	if len(text) == 0 {
		return
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%v: %v in %.300s", cmd.Args, err, text)
	}
}

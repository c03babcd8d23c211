package cgroup

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxLines bounds /proc/PID/cgroup in bytes: a path is at most PATH_MAX, 4,096
// (include/uapi/linux/limits.h), and there is one for each of about 13 controllers of
// version 1 besides.
const maxLines = 64 << 10

// Of is the control group of a process, 0 for this one, as the kernel names it:
// "/machine.slice/x.scope". One that was removed since is named without that.
func Of(pid int) (string, error) {
	who := "self"
	if pid != 0 {
		who = strconv.Itoa(pid)
	}
	f, err := os.Open("/proc/" + who + "/cgroup")
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLines))
	if err != nil {
		return "", err
	}
	group, found := groupIn(string(text))
	if !found {
		return "", fmt.Errorf("%s names no cgroup v2: %w", f.Name(), ErrNone)
	}
	return group, nil
}

// groupIn finds the line of version 2 (cgroups(7), /proc/pid/cgroup): hierarchy 0, no
// controllers, the path. A path holds no newline (cgroup_mkdir refuses it).
func groupIn(text string) (string, bool) {
	for line := range strings.Lines(text) {
		if group, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return strings.TrimSuffix(group, " (deleted)"), true
		}
	}
	return "", false
}

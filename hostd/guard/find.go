package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"headgate/hostd/cgroup"
)

// find gives the process's cgroup: its path as /proc/self/cgroup writes it, and its
// folder here.
func find() (path, folder string, err error) {
	if path, err = cgroup.Of(0); err != nil {
		return "", "", err
	}
	mount, err := cgroup.Mounted()
	if err != nil {
		return "", "", err
	}
	if folder, err = mount.Folder(path); err != nil {
		return "", "", fmt.Errorf("%w: start hostd as a service of its own", err)
	}
	// Another mount may hide it.
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil || stat.Type != unix.CGROUP2_SUPER_MAGIC {
		return "", "", unseen(path, folder)
	}
	pids, err := processes(folder)
	if err != nil {
		return "", "", err
	}
	if !slices.Contains(pids, strconv.Itoa(os.Getpid())) {
		return "", "", unseen(path, folder)
	}
	return path, folder, nil
}

func processes(folder string) ([]string, error) {
	content, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if errors.Is(err, unix.EOPNOTSUPP) { // cgroup-v2.rst, Threads
		return nil, fmt.Errorf("the process is in a threaded cgroup, which cannot be guarded: start hostd as a service of its own: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the cgroup's processes: %w", err)
	}
	return strings.Fields(string(content)), nil
}

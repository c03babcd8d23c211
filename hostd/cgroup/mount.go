package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

// ErrNone is that this system has no tree of version 2 that this process sees.
var ErrNone = errors.New("no cgroup v2 is mounted here: mount it with \"mount -t cgroup2 none /sys/fs/cgroup\", or boot with systemd.unified_cgroup_hierarchy=1")

// Mount is where the tree is seen. There is one tree of version 2 (cgroups(7)), but a
// mount may show a part of it.
type Mount struct {
	Point string // the folder
	Root  string // the control group that it shows there; "/" as a rule
}

// Mounted finds the mount that shows most of the tree.
func Mounted() (Mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, fmt.Errorf("look for cgroup v2: %w", err)
	}
	defer f.Close()
	return mountIn(f)
}

// mountIn reads mountinfo (proc(5)): id, parent, device, root, mount point, options,
// optional fields up to a "-", then the type of the file system.
func mountIn(r io.Reader) (best Mount, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay's options name all its layers
	for lines.Scan() {
		before, after, found := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 6 || len(kind) == 0 || kind[0] != "cgroup2" {
			continue
		}
		m := Mount{Point: unescape(fields[4]), Root: unescape(fields[3])}
		if !strings.HasPrefix(m.Point, "/") || !strings.HasPrefix(m.Root, "/") || strings.HasPrefix(m.Root, "/..") {
			continue // a part of the tree that lies outside our own names for it
		}
		if best.Root == "" || len(m.Root) < len(best.Root) {
			best = m
		}
	}
	if err := lines.Err(); err != nil {
		return Mount{}, fmt.Errorf("look for cgroup v2: /proc/self/mountinfo: %w", err)
	}
	if best.Root == "" {
		return Mount{}, ErrNone
	}
	return best, nil
}

// unescape undoes what the kernel does to blanks and backslashes in mountinfo: an
// octal number of three digits (seq_path, fs/seq_file.c).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Folder is where a control group, named as /proc/PID/cgroup names it, is in the file
// system.
func (m Mount) Folder(group string) (string, error) {
	if !strings.HasPrefix(group, "/") || path.Clean(group) != group {
		return "", fmt.Errorf("cgroup %q is outside of what this process sees of the tree", group)
	}
	if m.Root == "/" {
		return path.Join(m.Point, group), nil
	}
	if group != m.Root && !strings.HasPrefix(group, m.Root+"/") {
		return "", fmt.Errorf("cgroup %q is not in what is mounted at %s, which is %s alone", group, m.Point, m.Root)
	}
	return path.Join(m.Point, strings.TrimPrefix(group, m.Root)), nil
}

// Path is the way back: the name of the control group whose folder that is.
func (m Mount) Path(folder string) string {
	return path.Join(m.Root, strings.TrimPrefix(folder, m.Point))
}

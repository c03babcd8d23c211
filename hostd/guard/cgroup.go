package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// own is a cgroup that holds this process and nobody else's.
type own struct {
	path   string // as /proc/PID/cgroup writes it
	folder string // where it is
	from   string // the folder of the cgroup that the process came from; "" if it is kept
	inside bool
}

// prefix begins the name of a cgroup that this makes, and its process's number ends it.
const prefix = "headgate-"

// prepare finds a cgroup to attach to: the process's, if it is alone there, or a new one
// below it, which is left to be entered.
func prepare() (*own, error) {
	path, folder, err := find()
	if err != nil {
		return nil, err
	}
	why, err := shared(folder)
	if err != nil {
		return nil, err
	}
	if why == "" {
		return &own{path: path, folder: folder, inside: true}, nil
	}
	sweep(folder)
	name := prefix + strconv.Itoa(os.Getpid())
	child := filepath.Join(folder, name)
	// Of an earlier process of this number; if it is not empty, Mkdir says that it exists.
	_ = unix.Rmdir(child)
	if err := os.Mkdir(child, 0o755); err != nil {
		return nil, notAlone(path, why, err)
	}
	return &own{path: filepath.Join(path, name), folder: child, from: folder}, nil
}

// enter moves the process there, all its threads.
func (o *own) enter() error {
	if o.inside {
		return nil
	}
	if err := move(o.folder); err != nil {
		return fmt.Errorf("enter the cgroup %s: %w", o.path, err)
	}
	o.inside = true
	return nil
}

// leave goes back to where the process came from, and removes what was made.
func (o *own) leave() error {
	if o.from == "" {
		return nil
	}
	if o.inside {
		if err := move(o.from); err != nil {
			return fmt.Errorf("leave the cgroup %s: %w", o.path, err)
		}
		o.inside = false
	}
	// A child process that is still there keeps it; then the next hostd removes it.
	if err := unix.Rmdir(o.folder); err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the cgroup %s: %w", o.path, err)
	}
	return nil
}

func move(folder string) error {
	return os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// shared says who else is in the cgroup or below it: "" if nobody is, and it may be
// kept. The one at the root of the tree, which has no cgroup.type, never is.
func shared(folder string) (string, error) {
	if _, err := os.Stat(filepath.Join(folder, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return "it is the root", nil
	}
	pids, err := processes(folder)
	if err != nil {
		return "", err
	}
	pids = slices.DeleteFunc(pids, func(pid string) bool { return pid == strconv.Itoa(os.Getpid()) })
	if len(pids) > 0 {
		// 0 is a process that the pid namespace of this one does not have.
		if len(pids) == 1 {
			return fmt.Sprintf("1 other process is in it (%s)", pids[0]), nil
		}
		return fmt.Sprintf("%d other processes are in it (%s and others)", len(pids), pids[0]), nil
	}
	below, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("read the cgroup: %w", err)
	}
	for _, entry := range below {
		if !entry.IsDir() {
			continue
		}
		events, err := os.ReadFile(filepath.Join(folder, entry.Name(), "cgroup.events"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just gone
		}
		if err != nil {
			return "", fmt.Errorf("read the cgroup: %w", err)
		}
		if !slices.Contains(strings.Split(string(events), "\n"), "populated 0") {
			return fmt.Sprintf("processes are below it, in %s", entry.Name()), nil
		}
	}
	return "", nil
}

// sweep removes what hostds have left in the folder that were killed. Only what is empty
// can be removed; and a hostd that has made its cgroup and is about to enter it lives.
func sweep(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // nothing depends on it
	}
	for _, entry := range entries {
		number, is := strings.CutPrefix(entry.Name(), prefix)
		pid, err := strconv.Atoi(number)
		if !is || err != nil || pid <= 0 || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			continue
		}
		_ = unix.Rmdir(filepath.Join(folder, entry.Name()))
	}
}

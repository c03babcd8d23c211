package vhost

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// descriptorsOf makes one of each kind of descriptor that is no memory or no eventfd.
func descriptorsOf(t *testing.T) (kinds map[string]int) {
	t.Helper()
	kinds = map[string]int{}
	keep := func(name string, fd int, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kinds[name] = fd
		t.Cleanup(func() { unix.Close(fd) })
	}
	var pair [2]int
	err := unix.Pipe2(pair[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	keep("a pipe", pair[0], err)
	keep("a pipe's other end", pair[1], err)
	pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	keep("a socket", pair[0], err)
	keep("a socket's other end", pair[1], err)
	disk := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(disk, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(name, path string, flags int) {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
		keep(name, fd, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type != unix.TMPFS_MAGIC { // else there is none here
		open("a file on a disk", disk, unix.O_RDWR)
	}
	open("/dev/zero", "/dev/zero", unix.O_RDWR)
	open("/proc/self/mem", "/proc/self/mem", unix.O_RDWR)
	open("a folder in memory", "/dev", unix.O_RDONLY)
	memory := func(name string, size int64, seals int) {
		fd, err := unix.MemfdCreate("memory", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		keep(name, fd, err)
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
	}
	memory("memory", 1<<16, 0)
	memory("short memory", 1<<16-1, 0)
	memory("sealed memory", 1<<16, unix.F_SEAL_WRITE)
	memory("huge memory", 1<<60, 0)
	open("memory to read", fmt.Sprintf("/proc/self/fd/%d", kinds["memory"]), unix.O_RDONLY)
	open("memory's name", fmt.Sprintf("/proc/self/fd/%d", kinds["memory"]), unix.O_PATH)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	keep("an eventfd that blocks", fd, err)
	fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	keep("an eventfd", fd, err)
	fd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	keep("a timer", fd, err)
	fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	keep("an epoll", fd, err)
	return kinds
}

//go:build linux

// Command reader reads exactly so many bytes in one of the ways in which a process gets
// randomness from the kernel, by plain system calls that it counts, and says how many they
// were: what a meter's figures are held against.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	way := flag.String("way", "urandom", "hwrng, random, urandom, getrandom, or vdso: getrandom as the C library of a new system calls it")
	bytes := flag.Int("bytes", 1<<20, "so many")
	chunk := flag.Int("chunk", 4096, "so many with each call")
	cgroup := flag.String("cgroup", "", "read in this cgroup, a folder")
	say := flag.String("say", "/dev/stdout", "say the number of calls into this file, such as a FIFO")
	stay := flag.Bool("stay", false, "end only when told to")
	flag.Parse()
	// Before anything is read, or SIGTERM could come too early.
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM)
	calls, err := read(*way, *cgroup, *bytes, *chunk)
	if err == nil {
		err = tell(*say, calls)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1)
	}
	if *stay {
		<-told
	}
}

// tell writes the number to the end of a file, or into a FIFO that somebody reads.
func tell(path string, calls int) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, calls)
	return errors.Join(err, file.Close())
}

// read reads, and returns how many calls that took: a short one is as many as a full one,
// one that a signal interrupted is one, too.
func read(way, cgroup string, bytes, chunk int) (calls int, err error) {
	if cgroup != "" {
		// "0" is the writer itself (cgroups(7)).
		if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return 0, err
		}
	}
	call, err := open(way)
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, chunk)
	for bytes > 0 {
		n, err := call(buffer[:min(bytes, chunk)])
		calls++
		if err != nil && !errors.Is(err, unix.EINTR) {
			return calls, fmt.Errorf("%s: %w", way, err)
		}
		bytes -= max(n, 0)
	}
	return calls, nil
}

// open returns one call of a way. Not os.File: it would make calls of its own.
func open(way string) (func([]byte) (int, error), error) {
	switch way {
	case "getrandom":
		return func(b []byte) (int, error) {
			n, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0)
			if errno != 0 {
				return 0, errno
			}
			return int(n), nil
		}, nil
	case "vdso":
		return func(b []byte) (int, error) { return unix.Getrandom(b, 0) }, nil
	}
	fd, err := unix.Open(filepath.Join("/dev", way), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/%s: %w", way, err)
	}
	return func(b []byte) (int, error) { return unix.Read(fd, b) }, nil
}

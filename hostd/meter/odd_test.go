package meter

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What readers do beside reading.

// getrandom is the system call itself, never the vDSO.
func getrandom(p *byte, n int, flags uintptr) (int, error) {
	got, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(p)), uintptr(n), flags)
	if errno != 0 {
		return 0, errno
	}
	return int(got), nil
}

// names4200 is a process that has more names than the kernel's table has rows, and
// takes a byte under each.
func names4200() (d drunk, err error) {
	for i := range 4200 {
		if err := rename(fmt.Sprintf("name %d", i)); err != nil {
			return d, err
		}
		var b [1]byte
		got, err := getrandom(&b[0], 1, 0)
		if err != nil {
			return d, err
		}
		d.Bytes += uint64(got)
		d.Calls++
	}
	return d, nil
}

// faults are calls that fail, and one that gives less than was asked for.
func faults() (d drunk, err error) {
	page := unix.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return d, err
	}
	if err := unix.Mprotect(memory[page:], unix.PROT_NONE); err != nil {
		return d, err
	}
	for _, c := range []struct {
		what  string
		at, n int
		flags uintptr
		want  error
		got   int
	}{
		{"memory that is not there", page, page, 0, unix.EFAULT, 0},
		{"flags that there are not", 0, 16, 1 << 9, unix.EINVAL, 0},
		{"memory that ends", page - 100, 200, 0, nil, 100},
		{"nothing amiss", 0, 16, unix.GRND_NONBLOCK, nil, 16},
	} {
		got, err := getrandom(&memory[c.at], c.n, c.flags)
		d.Calls++
		d.Bytes += uint64(got)
		if !errors.Is(err, c.want) || got != c.got {
			return d, fmt.Errorf("getrandom with %s: %d, %w", c.what, got, err)
		}
	}
	return d, nil
}

// splice takes from /dev/urandom without a read(2).
func splice(n int) (d drunk, err error) {
	f, err := os.Open("/dev/urandom")
	if err != nil {
		return d, err
	}
	defer f.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return d, err
	}
	defer out.Close()
	defer in.Close()
	drain := make([]byte, 4096)
	for d.Bytes < uint64(n) {
		got, err := unix.Splice(int(f.Fd()), nil, int(in.Fd()), nil, min(len(drain), n-int(d.Bytes)), 0)
		if err != nil {
			return d, fmt.Errorf("splice: %w", err)
		}
		d.Bytes += uint64(got)
		d.Calls++
		for got > 0 {
			out, err := out.Read(drain[:got])
			if err != nil {
				return d, err
			}
			got -= int64(out)
		}
	}
	return d, nil
}

package reservoir

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockMemory maps at least size bytes, in whole pages, that are never swapped,
// never dumped and never seen by a forked child.
func lockMemory(size int) ([]byte, error) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for the reservoir: %w", size, err)
	}
	if err := protect(mem); err != nil {
		_ = unix.Munmap(mem) // nothing is in it yet; the first error is the one to tell
		return nil, err
	}
	return mem, nil
}

func protect(mem []byte) error {
	if err := unix.Mlock(mem); err != nil {
		return fmt.Errorf("lock %d bytes of memory for the reservoir: %w: the limit on locked memory is %s; "+
			"raise it (LimitMEMLOCK= in the service's unit, ulimit -l in a shell) or make the reservoir smaller",
			len(mem), err, lockLimit())
	}
	if err := unix.Madvise(mem, unix.MADV_DONTDUMP); err != nil {
		return fmt.Errorf("keep the reservoir out of core dumps: %w", err)
	}
	if err := unix.Madvise(mem, unix.MADV_WIPEONFORK); err != nil {
		return fmt.Errorf("wipe the reservoir in forked children (needs Linux 4.14): %w", err)
	}
	return nil
}

func lockLimit() string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return "unknown"
	}
	if limit.Cur == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprintf("%d bytes", limit.Cur)
}

// unlockMemory wipes and unmaps. No one may touch mem any more.
func unlockMemory(mem []byte) error {
	clear(mem)
	if err := unix.Munmap(mem); err != nil {
		return fmt.Errorf("unmap the reservoir: %w", err)
	}
	return nil
}

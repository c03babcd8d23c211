//go:build linux

package early

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// boottime is the clock of early.c: bpf_ktime_get_boot_ns.
func boottime() (Seconds, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("clock_gettime: %w", err)
	}
	return Seconds(t.Nano()), nil
}

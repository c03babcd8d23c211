//go:build linux

package command

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// uptime returns the milliseconds since the kernel started, suspended time included.
func uptime() int {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return int(t.Nano() / 1e6)
}

// bootID returns the kernel's id of this boot, or zeros.
func bootID() (id [16]byte) {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	digits := strings.ReplaceAll(strings.TrimSpace(string(text)), "-", "")
	for i := range min(len(id), len(digits)/2) {
		b, _ := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		id[i] = byte(b)
	}
	return id
}

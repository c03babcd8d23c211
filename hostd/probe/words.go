package probe

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const (
	kernelTypes  = "/sys/kernel/btf/vmlinux"                   // Documentation/bpf/btf.rst
	kprobeEvents = "/sys/bus/event_source/devices/kprobe/type" // perf_event_open(2), "dynamic PMU"
)

// words tells the user what to do about an error of the kernel's.
func words(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		if status, err := os.ReadFile("/proc/thread-self/status"); err == nil && capable(string(status)) {
			return fmt.Errorf("this kernel forbids it whoever asks (lockdown, a security module): %w", errno)
		}
		return fmt.Errorf("it takes CAP_BPF and CAP_PERFMON (be root, or give the service AmbientCapabilities=): %w", errno)
	case syscall.ENOSYS:
		return fmt.Errorf("this kernel has no BPF (CONFIG_BPF_SYSCALL): %w", errno)
	case syscall.EBUSY:
		return fmt.Errorf("something else has taken that function (a live patch, another tracer): %w", errno)
	}
	return err
}

// Of include/uapi/linux/capability.h.
const (
	capSysAdmin = 21 // holds the other two
	capPerfmon  = 38
	capBPF      = 39
)

// capable is whether a process with that /proc/PID/status has the rights to trace.
func capable(status string) bool {
	_, rest, _ := strings.Cut(status, "\nCapEff:\t")
	line, _, _ := strings.Cut(rest, "\n")
	has, err := strconv.ParseUint(line, 16, 64)
	return err == nil && (has>>capSysAdmin&1 == 1 || has>>capPerfmon&1 == 1 && has>>capBPF&1 == 1)
}
